// argmax_row: chunks of neighbouring columns, and every lane looks for the first best chunk and says it

struct Params {
  n_rows: u32,
  n_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<i32>;

const SIZE = 32u;
var<workgroup> best_of: array<u32, SIZE>;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let n = params.n_cols;
  let row = group_id.x * n;
  let chunk = (n + SIZE - 1u) / SIZE;
  let begin = min(lane * chunk, n - 1u);
  // From the chunk's end to its begin: what is as large replaces what came later.
  var best = begin;
  for (var c = min(begin + chunk, n); c > begin; c--) {
    if (logits[row + c - 1u] >= logits[row + best]) {
      best = c - 1u;
    }
  }
  best_of[lane] = best;
  workgroupBarrier(); // every chunk has named its best column
  var winner = best_of[0];
  for (var k = 1u; k < SIZE; k++) {
    // Chunks lie in order: an equal score of a later one changes nothing.
    if (logits[row + best_of[k]] > logits[row + winner]) {
      winner = best_of[k];
    }
  }
  // All lanes write the same.
  out[group_id.x] = i32(winner);
}
