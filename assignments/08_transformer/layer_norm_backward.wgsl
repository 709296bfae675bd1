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

// YOUR CODE HERE

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // YOUR CODE HERE
}
