// softmax_backward: dx[r, c] = out[r, c] * (dout[r, c] - sum_k dout[r, k] * out[r, k])
//
// Stage     01_perceptron
// Source    Bridle 1990, "Probabilistic Interpretation of Feedforward Classification Network Outputs"
// Shapes    dout, out, dx: (n_rows, n_cols) f32; row-major
// Bindings  0 params uniform | 1 dout read | 2 out read | 3 dx read_write
// Dispatch  workgroups = (n_rows, 1, 1): one per row; 1 <= n_rows <= 65535, n_cols >= 1
// Guard     every array may be longer than n_rows * n_cols; nothing past the end is read or written
// Numerics  f32, the sum in any order; out is what softmax_forward returned, here it is read

struct Params {
  n_rows: u32,
  n_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

const WORKGROUP_SIZE = 64u;

// YOUR CODE HERE

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // YOUR CODE HERE
}
