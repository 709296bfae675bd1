// argmax_row: out[r] = the column of the largest logits[r, c]; of equal ones the first
//
// Stage     09_language_model
// Source    the same as logits.argmax(axis=1) in NumPy
// Shapes    logits: (n_rows, n_cols) f32; out: (n_rows) i32; row-major
// Bindings  0 params uniform | 1 logits read | 2 out read_write
// Dispatch  workgroups = (n_rows, 1, 1): one per row; 1 <= n_rows <= 65535, n_cols >= 1
// Guard     arrays may be longer than the data; nothing past the end is read or written;
//           workgroup memory may arrive filled with junk
// Numerics  exact; a row may hold -inf, also only -inf (then column 0), but no NaN

struct Params {
  n_rows: u32,
  n_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<i32>;

const WORKGROUP_SIZE = 64u;

// YOUR CODE HERE

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // YOUR CODE HERE
}
