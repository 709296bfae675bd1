// layer_norm_backward: one invocation per row, then one per column

struct Params {
  n_rows: u32,
  d_model: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> gamma: array<f32>;
@group(0) @binding(4) var<storage, read> mean: array<f32>;
@group(0) @binding(5) var<storage, read> rstd: array<f32>;
@group(0) @binding(6) var<storage, read_write> dx: array<f32>;
@group(0) @binding(7) var<storage, read_write> dgamma: array<f32>;
@group(0) @binding(8) var<storage, read_write> dbeta: array<f32>;

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group_id: vec3u) {
  let n = params.d_model;
  if (group_id.x >= params.n_rows) {
    let c = group_id.x - params.n_rows;
    var scale = 0.0;
    var shift = 0.0;
    for (var r = 0u; r < params.n_rows; r++) {
      scale += dout[r * n + c] * (x[r * n + c] - mean[r]) * rstd[r];
      shift += dout[r * n + c];
    }
    dgamma[c] = scale;
    dbeta[c] = shift;
    return;
  }
  let r = group_id.x;
  var plain = 0.0;
  var along = 0.0;
  for (var c = 0u; c < n; c++) {
    let d = dout[r * n + c] * gamma[c];
    plain += d;
    along += d * ((x[r * n + c] - mean[r]) * rstd[r]);
  }
  for (var c = 0u; c < n; c++) {
    let d = dout[r * n + c] * gamma[c];
    dx[r * n + c] = rstd[r] * (d - (plain + (x[r * n + c] - mean[r]) * rstd[r] * along) / f32(n));
  }
}
