// layer_norm_forward: out[r, c] = gamma[c] * (x[r, c] - mean[r]) * rstd[r] + beta[c]
//
// Stage     08_transformer
// Source    Ba et al. 2016, "Layer Normalization", eq. 3 and 4
// Shapes    x, out: (n_rows, d_model) f32; gamma, beta: (d_model) f32; mean, rstd: (n_rows) f32; row-major
// Bindings  0 params uniform | 1 x read | 2 gamma read | 3 beta read | 4 out read_write
//           | 5 mean read_write | 6 rstd read_write
// Dispatch  workgroups = (n_rows, 1, 1): one per row; 1 <= n_rows <= 65535, d_model >= 1
// Guard     every array may be longer than its shape; nothing past the end is read or written
// Numerics  f32; mean[r] is that of row r, rstd[r] = 1 / sqrt(variance + eps), the variance with
//           1 / d_model; sums in any order; a mean far larger than the spread must not spoil it; eps > 0

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

const WORKGROUP_SIZE = 64u;

// YOUR CODE HERE

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // YOUR CODE HERE
}
