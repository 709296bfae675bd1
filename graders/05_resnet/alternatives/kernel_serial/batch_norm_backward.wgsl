// batch_norm_backward: one invocation per channel, pictures and places in two loops

struct Params {
  n: u32,
  c: u32,
  h: u32,
  w: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> gamma: array<f32>;
@group(0) @binding(4) var<storage, read> mean: array<f32>;
@group(0) @binding(5) var<storage, read> variance: array<f32>;
@group(0) @binding(6) var<storage, read_write> dx: array<f32>;
@group(0) @binding(7) var<storage, read_write> dgamma: array<f32>;
@group(0) @binding(8) var<storage, read_write> dbeta: array<f32>;

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group_id: vec3u) {
  let ch = group_id.x;
  let area = params.h * params.w;
  let count = f32(params.n * area);
  let inv_std = inverseSqrt(variance[ch] + params.eps);
  var plain = 0.0;
  var weighted = 0.0;
  for (var image = 0u; image < params.n; image++) {
    for (var p = 0u; p < area; p++) {
      let i = (image * params.c + ch) * area + p;
      plain += dout[i];
      weighted += dout[i] * (x[i] - mean[ch]);
    }
  }
  dbeta[ch] = plain;
  dgamma[ch] = weighted * inv_std;
  for (var image = 0u; image < params.n; image++) {
    for (var p = 0u; p < area; p++) {
      let i = (image * params.c + ch) * area + p;
      let x_hat = (x[i] - mean[ch]) * inv_std;
      dx[i] = (dout[i] - (plain + x_hat * (weighted * inv_std)) / count) * (gamma[ch] * inv_std);
    }
  }
}
