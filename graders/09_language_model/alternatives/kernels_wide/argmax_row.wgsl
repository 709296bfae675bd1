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

// First the maximum, then the lowest column that has it.
var<workgroup> scores: array<f32, 128>;
var<workgroup> first: atomic<u32>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let start = group_id.x * params.n_cols;
  var largest = logits[start + min(lane, params.n_cols - 1u)];
  for (var c = lane; c < params.n_cols; c += 128u) {
    largest = max(largest, logits[start + c]);
  }
  scores[lane] = largest;
  if (lane == 0u) {
    atomicStore(&first, params.n_cols);
  }
  for (var stride = 64u; stride > 0u; stride >>= 1u) {
    workgroupBarrier(); // what the lanes stored before is there
    if (lane < stride) {
      scores[lane] = max(scores[lane], scores[lane + stride]);
    }
  }
  workgroupBarrier(); // the maximum is there
  for (var c = lane; c < params.n_cols; c += 128u) {
    if (logits[start + c] == scores[0]) {
      atomicMin(&first, c);
    }
  }
  workgroupBarrier(); // every lane has said its lowest column
  if (lane == 0u) {
    out[group_id.x] = i32(atomicLoad(&first));
  }
}
