// layer_norm_backward: dx[r, c] = rstd[r] * (d - mean over the row of d - x_hat * mean over the row of d * x_hat)
//
// Stage     08_transformer
// Source    Ba et al. 2016, "Layer Normalization", eq. 3, differentiated
// Shapes    dout, x, dx: (n_rows, d_model) f32; gamma, dgamma, dbeta: (d_model) f32;
//           mean, rstd: (n_rows) f32; row-major
// Bindings  0 params uniform | 1 dout read | 2 x read | 3 gamma read | 4 mean read | 5 rstd read
//           | 6 dx read_write | 7 dgamma read_write | 8 dbeta read_write
// Dispatch  workgroups = (n_rows + d_model, 1, 1): first one per row, then one per column;
//           n_rows, d_model >= 1, n_rows + d_model <= 65535
// Guard     every array may be longer than its shape; nothing past the end is read or written
// Numerics  f32; d = gamma[c] * dout[r, c], x_hat = (x[r, c] - mean[r]) * rstd[r];
//           dgamma[c] = sum over the rows of dout * x_hat, dbeta[c] = sum over the rows of dout;
//           sums in any order; mean and rstd are what layer_norm_forward returned

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

const WORKGROUP_SIZE = 64u;

// BEGIN SOLUTION
// Two sums per invocation. WORKGROUP_SIZE is a power of two.
var<workgroup> partial: array<vec2f, WORKGROUP_SIZE>;

// The sum of every lane's pair, known to every lane.
fn tree_sum(lane: u32, own: vec2f) -> vec2f {
  partial[lane] = own;
  workgroupBarrier(); // every lane's pair is stored
  for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      partial[lane] += partial[lane + half];
    }
    workgroupBarrier(); // this level of the tree is stored
  }
  return partial[0];
}

fn normalized(row: u32, c: u32) -> f32 {
  return (x[row * params.d_model + c] - mean[row]) * rstd[row];
}
// END SOLUTION

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // BEGIN SOLUTION
  let lane = local_id.x;
  let d_model = params.d_model;
  var sums = vec2f(0.0, 0.0);

  // The whole workgroup takes the same branch, so the barriers inside tree_sum are met by all.
  if (group_id.x < params.n_rows) {
    // A row: take out of d its mean, and its part along x_hat.
    let row = group_id.x;
    for (var c = lane; c < d_model; c += WORKGROUP_SIZE) {
      let d = gamma[c] * dout[row * d_model + c];
      sums += vec2f(d, d * normalized(row, c));
    }
    let average = tree_sum(lane, sums) / f32(d_model);
    for (var c = lane; c < d_model; c += WORKGROUP_SIZE) {
      let d = gamma[c] * dout[row * d_model + c];
      dx[row * d_model + c] = rstd[row] * (d - average.x - normalized(row, c) * average.y);
    }
  } else {
    // A column: gamma and beta served every row, so their gradients are sums over the rows.
    let column = group_id.x - params.n_rows;
    for (var r = lane; r < params.n_rows; r += WORKGROUP_SIZE) {
      let slope = dout[r * d_model + column];
      sums += vec2f(slope, slope * normalized(r, column));
    }
    let total = tree_sum(lane, sums);
    if (lane == 0u) {
      dbeta[column] = total.x;
      dgamma[column] = total.y;
    }
  }
  // END SOLUTION
}
