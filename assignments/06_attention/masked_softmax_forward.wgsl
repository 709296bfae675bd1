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

// YOUR CODE HERE

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // YOUR CODE HERE
}
