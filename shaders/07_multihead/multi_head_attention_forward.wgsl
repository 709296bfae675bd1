// multi_head_attention_forward: out_h = softmax(mask(q_h k_h^T / sqrt(d_head))) v_h for every head h, side by side
//
// Stage     07_multihead
// Source    Vaswani et al. 2017, "Attention Is All You Need", section 3.2.2
// Shapes    q: (n_batch, n_queries, n_heads * d_head) f32; k, v: (n_batch, n_keys, n_heads * d_head) f32;
//           mask: (n_masks, n_queries, n_keys) u32; out: (n_batch, n_queries, n_heads * d_head) f32; row-major,
//           q, k and v already projected; head h owns columns h * d_head to (h + 1) * d_head - 1
// Bindings  0 params uniform | 1 q read | 2 k read | 3 v read | 4 mask read | 5 out read_write
// Dispatch  workgroups = (n_queries, n_heads, n_batch): one per query of one head of one sequence; all sizes >= 1
// Guard     every array may be longer than its shape; nothing past the end is read or written
// Numerics  f32; mask 0 forbids and anything else allows; n_batch is a multiple of n_masks and sequence b uses
//           mask b / (n_batch / n_masks); a query that may see no key gives zeros; scores may be far from 0

struct Params {
  n_batch: u32,
  n_masks: u32,
  n_queries: u32,
  n_keys: u32,
  n_heads: u32,
  d_head: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<f32>;
@group(0) @binding(2) var<storage, read> k: array<f32>;
@group(0) @binding(3) var<storage, read> v: array<f32>;
@group(0) @binding(4) var<storage, read> mask: array<u32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

const WORKGROUP_SIZE = 64u;

// BEGIN SOLUTION
const LOWEST = -3.4028234e38; // below every score: the maximum of nothing
var<workgroup> partial: array<f32, WORKGROUP_SIZE>;

// Where head h of sequence b begins in row t of an array with n_rows rows per sequence.
fn place(b: u32, t: u32, h: u32, n_rows: u32) -> u32 {
  return ((b * n_rows + t) * params.n_heads + h) * params.d_head;
}

fn allowed(b: u32, i: u32, t: u32) -> bool {
  let m = b / (params.n_batch / params.n_masks);
  return mask[(m * params.n_queries + i) * params.n_keys + t] != 0u;
}

fn score(b: u32, i: u32, h: u32, t: u32) -> f32 {
  let query = place(b, i, h, params.n_queries);
  let key = place(b, t, h, params.n_keys);
  var sum = 0.0;
  for (var j = 0u; j < params.d_head; j++) {
    sum += q[query + j] * k[key + j];
  }
  return sum / sqrt(f32(params.d_head));
}
// END SOLUTION

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // BEGIN SOLUTION
  let lane = local_id.x;
  let i = group_id.x;
  let h = group_id.y;
  let b = group_id.z;

  // 1. The largest score among the keys that this query may see.
  var largest = LOWEST;
  for (var t = lane; t < params.n_keys; t += WORKGROUP_SIZE) {
    if (allowed(b, i, t)) {
      largest = max(largest, score(b, i, h, t));
    }
  }
  partial[lane] = largest;
  workgroupBarrier(); // every lane's maximum is stored
  for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      partial[lane] = max(partial[lane], partial[lane + half]);
    }
    workgroupBarrier(); // this level of the tree is stored
  }
  let top = partial[0];
  workgroupBarrier(); // every lane has read the maximum: partial may be used again

  // 2. Keys in pieces: each lane weighs one key of the piece, then each lane sums one column of v.
  for (var first_column = 0u; first_column < params.d_head; first_column += WORKGROUP_SIZE) {
    let j = first_column + lane;
    var sum = 0.0;
    var total = 0.0;
    for (var first_key = 0u; first_key < params.n_keys; first_key += WORKGROUP_SIZE) {
      let mine = first_key + lane;
      var weight = 0.0;
      if (mine < params.n_keys && allowed(b, i, min(mine, params.n_keys - 1u))) {
        weight = exp(score(b, i, h, mine) - top);
      }
      partial[lane] = weight;
      workgroupBarrier(); // the weights of this piece are stored
      for (var n = 0u; n < min(WORKGROUP_SIZE, params.n_keys - first_key); n++) {
        total += partial[n];
        if (j < params.d_head) {
          sum += partial[n] * v[place(b, first_key + n, h, params.n_keys) + j];
        }
      }
      workgroupBarrier(); // everyone has used the weights: partial may be filled again
    }
    if (j < params.d_head) {
      out[place(b, i, h, params.n_queries) + j] = select(0.0, sum / max(total, 1.0), total > 0.0);
    }
  }
  // END SOLUTION
}
