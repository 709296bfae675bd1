// layer_norm_backward: 256 invocations, the branch only in the loads, one tree for both

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

const SIZE = 256u;
var<workgroup> first: array<f32, SIZE>;
var<workgroup> second: array<f32, SIZE>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let is_row = group_id.x < params.n_rows;
  let length = select(params.n_rows, params.d_model, is_row);
  first[lane] = 0.0;
  second[lane] = 0.0;
  for (var k = lane; k < length; k += SIZE) {
    let r = select(k, group_id.x, is_row);
    let c = select(group_id.x - params.n_rows, k, is_row);
    let i = r * params.d_model + c;
    var d = dout[i];
    if (is_row) {
      d *= gamma[c];
    }
    first[lane] += d;
    second[lane] += d * (x[i] - mean[r]) * rstd[r];
  }
  workgroupBarrier();
  for (var stride = SIZE / 2u; stride >= 1u; stride /= 2u) {
    if (lane < stride) {
      first[lane] += first[lane + stride];
      second[lane] += second[lane + stride];
    }
    workgroupBarrier();
  }
  if (is_row) {
    let r = group_id.x;
    for (var c = lane; c < params.d_model; c += SIZE) {
      let i = r * params.d_model + c;
      let x_hat = (x[i] - mean[r]) * rstd[r];
      let n = f32(params.d_model);
      dx[i] = rstd[r] * (gamma[c] * dout[i] - first[0] / n - x_hat * (second[0] / n));
    }
  } else if (lane == 7u) {
    dgamma[group_id.x - params.n_rows] = second[0];
    dbeta[group_id.x - params.n_rows] = first[0];
  }
}
