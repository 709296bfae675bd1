// softmax_forward: out[r, c] = exp(x[r, c] - max_r) / sum_c exp(x[r, c] - max_r)
//
// Stage     01_perceptron
// Source    Bridle 1990, "Probabilistic Interpretation of Feedforward Classification Network Outputs"
// Shapes    x, out: (n_rows, n_cols) f32; row-major
// Bindings  0 params uniform | 1 x read | 2 out read_write
// Dispatch  workgroups = (n_rows, 1, 1): one per row; 1 <= n_rows <= 65535, n_cols >= 1
// Guard     x and out may be longer than n_rows * n_cols; nothing past the end is read or written
// Numerics  f32, the sum in any order; max_r is the largest score of row r; a row may hold -inf,
//           which gives 0, but not only -inf

struct Params {
  n_rows: u32,
  n_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

const WORKGROUP_SIZE = 64u;

// YOUR CODE HERE

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // YOUR CODE HERE
}
