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

// YOUR CODE HERE

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // YOUR CODE HERE
}
