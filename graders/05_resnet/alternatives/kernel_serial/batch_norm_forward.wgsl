// batch_norm_forward: one invocation per channel, pictures and places in two loops

struct Params {
  n: u32,
  c: u32,
  h: u32,
  w: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<storage, read_write> mean: array<f32>;
@group(0) @binding(6) var<storage, read_write> variance: array<f32>;

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group_id: vec3u) {
  let ch = group_id.x;
  let area = params.h * params.w;
  let count = f32(params.n * area);
  var sum = 0.0;
  for (var image = 0u; image < params.n; image++) {
    for (var p = 0u; p < area; p++) {
      sum += x[(image * params.c + ch) * area + p];
    }
  }
  let center = sum / count;
  var squares = 0.0;
  for (var image = 0u; image < params.n; image++) {
    for (var p = 0u; p < area; p++) {
      let d = x[(image * params.c + ch) * area + p] - center;
      squares += d * d;
    }
  }
  mean[ch] = center;
  variance[ch] = squares / count;
  let scale = gamma[ch] * inverseSqrt(squares / count + params.eps);
  for (var image = 0u; image < params.n; image++) {
    for (var p = 0u; p < area; p++) {
      let i = (image * params.c + ch) * area + p;
      out[i] = (x[i] - center) * scale + beta[ch];
    }
  }
}
