// layer_norm_forward: one invocation per row, three loops

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

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group_id: vec3u) {
  let r = group_id.x;
  let n = f32(params.d_model);
  var sum = 0.0;
  for (var c = 0u; c < params.d_model; c++) {
    sum += x[r * params.d_model + c];
  }
  let center = sum / n;
  var squares = 0.0;
  for (var c = 0u; c < params.d_model; c++) {
    let d = x[r * params.d_model + c] - center;
    squares += d * d;
  }
  let scale = inverseSqrt(squares / n + params.eps);
  mean[r] = center;
  rstd[r] = scale;
  for (var c = 0u; c < params.d_model; c++) {
    let i = r * params.d_model + c;
    out[i] = (x[i] - center) * scale * gamma[c] + beta[c];
  }
}
