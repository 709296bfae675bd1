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

fn below_all() -> f32 {
  var bits = 0xff800000u;
  return bitcast<f32>(bits);
}

// One invocation per row hides everything, then lets the largest through, k times.
@compute @workgroup_size(1, 1)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  if (global_id.x > 0u || global_id.y >= params.n_rows) {
    return;
  }
  let start = global_id.y * params.n_cols;
  for (var c = 0u; c < params.n_cols; c++) {
    out[start + c] = below_all();
  }
  for (var round = 0u; round < min(params.k, params.n_cols); round++) {
    var best = params.n_cols;
    for (var c = 0u; c < params.n_cols; c++) {
      let taken = out[start + c] == logits[start + c];
      if (!taken && (best == params.n_cols || logits[start + c] > logits[start + best])) {
        best = c;
      }
    }
    // What is -inf is as hidden as it was.
    if (best < params.n_cols) {
      out[start + best] = logits[start + best];
    }
  }
}
