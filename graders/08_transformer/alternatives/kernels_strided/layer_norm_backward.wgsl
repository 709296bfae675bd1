// layer_norm_backward: no tree, every lane adds up what 32 lanes left; dx as one fraction

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

const SIZE = 32u;
var<workgroup> sums: array<vec2f, SIZE>;

fn add_up() -> vec2f {
  workgroupBarrier(); // all sums are stored
  var total = vec2f();
  for (var k = 0u; k < SIZE; k++) {
    total += sums[k];
  }
  return total;
}

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let n = params.d_model;
  var own = vec2f();
  if (group_id.x >= params.n_rows) {
    let c = group_id.x - params.n_rows;
    for (var r = lane; r < params.n_rows; r += SIZE) {
      own += dout[r * n + c] * vec2f((x[r * n + c] - mean[r]) * rstd[r], 1.0);
    }
    sums[lane] = own;
    let total = add_up();
    // Every lane writes the same.
    dgamma[c] = total.x;
    dbeta[c] = total.y;
    return;
  }
  let r = group_id.x;
  let chunk = (n + SIZE - 1u) / SIZE;
  let end = min((lane + 1u) * chunk, n);
  for (var c = lane * chunk; c < end; c++) {
    own += dout[r * n + c] * gamma[c] * vec2f(1.0, x[r * n + c] - mean[r]);
  }
  sums[lane] = own;
  let total = add_up();
  for (var c = lane * chunk; c < end; c++) {
    let d = dout[r * n + c] * gamma[c];
    let along = (x[r * n + c] - mean[r]) * rstd[r] * rstd[r] * total.y;
    dx[r * n + c] = rstd[r] / f32(n) * (f32(n) * d - total.x - along);
  }
}
