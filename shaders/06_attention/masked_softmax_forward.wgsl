// masked_softmax_forward: attn[b, i, j] = exp(scores[b, i, j] - max) / sum over the allowed j; 0 where not allowed
//
// Stage     06_attention
// Source    Vaswani et al. 2017, "Attention Is All You Need", sections 3.2.1 and 3.2.3
// Shapes    scores: (n_batch, n_queries, n_keys) f32; mask: (n_masks, n_queries, n_keys) u32;
//           attn: (n_batch, n_queries, n_keys) f32; all row-major
// Bindings  0 params uniform | 1 scores read | 2 mask read | 3 attn read_write
// Dispatch  workgroups = (n_queries, n_batch, 1): one per row; 1 <= n_queries, n_batch <= 65535; n_keys >= 1
// Guard     every array may be longer than its shape; nothing past the end is read or written
// Numerics  f32, the sum in any order; mask 0 forbids, anything else allows; the maximum is that of the allowed
//           scores, which may be any finite numbers, as the forbidden ones may; a row with nothing allowed gives
//           zeros; n_batch is a multiple of n_masks, and item b uses mask b / (n_batch / n_masks)

struct Params {
  n_batch: u32,
  n_queries: u32,
  n_keys: u32,
  n_masks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<f32>;
@group(0) @binding(2) var<storage, read> mask: array<u32>;
@group(0) @binding(3) var<storage, read_write> attn: array<f32>;

const WORKGROUP_SIZE = 64u;

// BEGIN SOLUTION
// The lowest f32. It is only a start for the maximum: a forbidden score is never put in its place.
const LOWEST = -0x1.fffffep+127f;

// One value per invocation. The trees below halve it again and again: WORKGROUP_SIZE is a power of two.
var<workgroup> partial: array<f32, WORKGROUP_SIZE>;
// END SOLUTION

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // BEGIN SOLUTION
  let lane = local_id.x;
  let query = group_id.x;
  let item = group_id.y;
  let start = (item * params.n_queries + query) * params.n_keys;
  // Items that follow each other share a mask: the heads of one sequence, in the next stage.
  let mask_item = item / (params.n_batch / params.n_masks);
  let mask_start = (mask_item * params.n_queries + query) * params.n_keys;

  // 1. The largest allowed score.
  var largest = LOWEST;
  for (var key = lane; key < params.n_keys; key += WORKGROUP_SIZE) {
    if (mask[mask_start + key] != 0u) {
      largest = max(largest, scores[start + key]);
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
  let row_max = partial[0];
  workgroupBarrier(); // every lane has read the maximum: partial may be used again

  // 2. The sum of the allowed exponentials. It is at least 1, unless nothing is allowed.
  var sum = 0.0;
  for (var key = lane; key < params.n_keys; key += WORKGROUP_SIZE) {
    if (mask[mask_start + key] != 0u) {
      sum += exp(scores[start + key] - row_max);
    }
  }
  partial[lane] = sum;
  workgroupBarrier(); // every lane's sum is stored
  for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      partial[lane] += partial[lane + half];
    }
    workgroupBarrier(); // this level of the tree is stored
  }
  let row_sum = partial[0];

  // 3. Where nothing is allowed nothing is divided: every weight stays 0.
  for (var key = lane; key < params.n_keys; key += WORKGROUP_SIZE) {
    var weight = 0.0;
    if (mask[mask_start + key] != 0u) {
      weight = exp(scores[start + key] - row_max) / row_sum;
    }
    attn[start + key] = weight;
  }
  // END SOLUTION
}
