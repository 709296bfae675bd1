// masked_softmax_backward: dscores[b, i, j] = attn[b, i, j] * (dattn[b, i, j] - sum_k dattn[b, i, k] * attn[b, i, k])
//
// Stage     06_attention
// Source    Bridle 1990, "Probabilistic Interpretation of Feedforward Classification Network Outputs"
// Shapes    dattn, attn, dscores: (n_batch, n_queries, n_keys) f32; row-major
// Bindings  0 params uniform | 1 dattn read | 2 attn read | 3 dscores read_write
// Dispatch  workgroups = (n_queries, n_batch, 1): one per row; 1 <= n_queries, n_batch <= 65535; n_keys >= 1
// Guard     every array may be longer than its shape; nothing past the end is read or written
// Numerics  f32, the sum in any order; attn is what masked_softmax_forward made: 0 where it was forbidden to
//           look, so dscores is 0 there, and all of it in a row with nothing allowed

struct Params {
  n_batch: u32,
  n_queries: u32,
  n_keys: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dattn: array<f32>;
@group(0) @binding(2) var<storage, read> attn: array<f32>;
@group(0) @binding(3) var<storage, read_write> dscores: array<f32>;

const WORKGROUP_SIZE = 64u;

// BEGIN SOLUTION
// One value per invocation. The tree below halves it again and again: WORKGROUP_SIZE is a power of two.
var<workgroup> partial: array<f32, WORKGROUP_SIZE>;
// END SOLUTION

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // BEGIN SOLUTION
  let lane = local_id.x;
  let start = (group_id.y * params.n_queries + group_id.x) * params.n_keys;

  // 1. The weighted mean of dattn: how the loss would change if every weight grew by the same share.
  var inner = 0.0;
  for (var key = lane; key < params.n_keys; key += WORKGROUP_SIZE) {
    inner += dattn[start + key] * attn[start + key];
  }
  partial[lane] = inner;
  workgroupBarrier(); // every lane's sum is stored
  for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      partial[lane] += partial[lane + half];
    }
    workgroupBarrier(); // this level of the tree is stored
  }
  let row_inner = partial[0];

  // 2. Weights sum to 1, so only the difference from that mean counts. No mask: the zeros in attn know it.
  for (var key = lane; key < params.n_keys; key += WORKGROUP_SIZE) {
    dscores[start + key] = attn[start + key] * (dattn[start + key] - row_inner);
  }
  // END SOLUTION
}
