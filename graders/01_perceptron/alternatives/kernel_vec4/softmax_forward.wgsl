// softmax_forward: 128 invocations, four columns each in a vec4f

struct Params {
  n_rows: u32,
  n_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

const SIZE = 128u;
var<workgroup> partial: array<f32, SIZE>;

const LOWEST = -0x1.fffffep+127f;

// Four columns from c on; past the end of the row they are `fill`.
fn load(first: u32, c: u32, fill: f32) -> vec4f {
  var four = vec4f(fill);
  for (var i = 0u; i < min(4u, params.n_cols - c); i++) {
    four[i] = x[first + c + i];
  }
  return four;
}

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group_id.x * params.n_cols;
  var tops = vec4f(x[first]);
  for (var c = 4u * lane; c < params.n_cols; c += 4u * SIZE) {
    tops = max(tops, load(first, c, x[first]));
  }
  let highest = max(max(tops.x, tops.y), max(tops.z, tops.w));
  partial[lane] = highest;
  workgroupBarrier();
  for (var half = SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      partial[lane] = max(partial[lane], partial[lane + half]);
    }
    workgroupBarrier();
  }
  let top = workgroupUniformLoad(&partial[0]);
  var sums = vec4f(0.0);
  for (var c = 4u * lane; c < params.n_cols; c += 4u * SIZE) {
    sums += exp(load(first, c, LOWEST) - top);
  }
  partial[lane] = dot(sums, vec4f(1.0));
  workgroupBarrier();
  for (var half = SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      partial[lane] = partial[lane] + partial[lane + half];
    }
    workgroupBarrier();
  }
  let total = workgroupUniformLoad(&partial[0]);
  for (var c = 4u * lane; c < params.n_cols; c += 4u * SIZE) {
    let four = exp(load(first, c, LOWEST) - top) / total;
    for (var i = 0u; i < min(4u, params.n_cols - c); i++) {
      out[first + c + i] = four[i];
    }
  }
}
