// layer_norm_forward: 256 invocations, running pairs of mean and squares merged in the tree (Chan et al.)

struct Params {
  n_rows: u32,
  d_model: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<storage, read_write> mean: array<f32>;
@group(0) @binding(6) var<storage, read_write> rstd: array<f32>;

const SIZE = 256u;
// (how many, their mean, the sum of squared differences from it)
var<workgroup> parts: array<vec3f, SIZE>;

fn merge(a: vec3f, b: vec3f) -> vec3f {
  let n = a.x + b.x;
  if (b.x == 0.0) {
    return a;
  }
  let d = b.y - a.y;
  return vec3f(n, a.y + d * (b.x / n), a.z + b.z + d * d * (a.x * b.x / n));
}

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group_id.x * params.d_model;
  var own = vec3f(0.0);
  for (var c = lane; c < params.d_model; c += SIZE) {
    own.x += 1.0;
    let d = x[first + c] - own.y;
    own.y += d / own.x;
    own.z += d * (x[first + c] - own.y);
  }
  parts[lane] = own;
  workgroupBarrier();
  for (var half = SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      parts[lane] = merge(parts[lane], parts[lane + half]);
    }
    workgroupBarrier();
  }
  let center = parts[0].y;
  let deviation = sqrt(parts[0].z / f32(params.d_model) + params.eps);
  if (lane == SIZE - 1u) {
    mean[group_id.x] = center;
    rstd[group_id.x] = 1.0 / deviation;
  }
  for (var c = lane; c < params.d_model; c += SIZE) {
    out[first + c] = gamma[c] * (x[first + c] - center) / deviation + beta[c];
  }
}
