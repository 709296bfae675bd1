// transpose: out[j, i] = x[i, j]
//
// Stage     00_first_kernel
// Source    the same as x.T.copy() in NumPy
// Shapes    x: (n_rows, n_cols) f32; out: (n_cols, n_rows) f32; row-major
// Bindings  0 params uniform | 1 x read | 2 out read_write
// Dispatch  invocations = (n_cols, n_rows, 1): one per element of x, and often more on
//           both axes; n_rows >= 1, n_cols >= 1
// Guard     arrays may be longer than n_rows * n_cols; nothing past the end is read or written
// Numerics  values are copied, bit for bit

struct Params {
  n_rows: u32,
  n_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
