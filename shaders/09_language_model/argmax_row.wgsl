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

// BEGIN SOLUTION
// One candidate per invocation: its score and its column.
var<workgroup> scores: array<f32, WORKGROUP_SIZE>;
var<workgroup> columns: array<u32, WORKGROUP_SIZE>;
// END SOLUTION

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // BEGIN SOLUTION
  let start = group_id.x * params.n_cols;
  let lane = local_id.x;

  // Start from the first column: it is a fair candidate for every lane, also for one without columns.
  var best = logits[start];
  var column = 0u;
  for (var c = lane; c < params.n_cols; c += WORKGROUP_SIZE) {
    // Columns come in rising order, so an equal score never replaces an earlier one.
    if (logits[start + c] > best) {
      best = logits[start + c];
      column = c;
    }
  }
  scores[lane] = best;
  columns[lane] = column;
  // Wait until all candidates are stored.
  workgroupBarrier();

  for (var half = WORKGROUP_SIZE / 2u; half >= 1u; half /= 2u) {
    if (lane < half) {
      let other = lane + half;
      let larger = scores[other] > scores[lane];
      // Lanes hold columns in no order: of equal scores take the lower column.
      let earlier = scores[other] == scores[lane] && columns[other] < columns[lane];
      if (larger || earlier) {
        scores[lane] = scores[other];
        columns[lane] = columns[other];
      }
    }
    // Wait until this fold is complete: the next one reads what other invocations wrote.
    workgroupBarrier();
  }

  if (lane == 0u) {
    out[group_id.x] = i32(columns[0]);
  }
  // END SOLUTION
}
