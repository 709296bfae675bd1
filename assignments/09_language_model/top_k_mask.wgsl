// top_k_mask: out[r, c] = logits[r, c] where it is one of the k largest of row r, else -inf
//
// Stage     09_language_model
// Source    Fan et al. 2018, "Hierarchical Neural Story Generation", section 5.2
// Shapes    logits, out: (n_rows, n_cols) f32; row-major
// Bindings  0 params uniform | 1 logits read | 2 out read_write
// Dispatch  invocations = (n_cols, n_rows, 1): x is the column, y the row; n_rows, n_cols >= 1
// Guard     more invocations may run than needed and both arrays may be longer than the data;
//           nothing past the end is read or written
// Numerics  exact; exactly k stay: of equal scores the one in the lower column counts as larger; k >= 1,
//           and k >= n_cols keeps all; a row may hold -inf, but no NaN

struct Params {
  n_rows: u32,
  n_cols: u32,
  k: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

// WGSL has no way to write -inf as a constant. Its bits, put into a variable, are allowed.
fn minus_infinity() -> f32 {
  var bits = 0xff800000u;
  return bitcast<f32>(bits);
}

@compute @workgroup_size(16, 4)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
