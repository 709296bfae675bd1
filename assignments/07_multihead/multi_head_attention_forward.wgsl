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

// YOUR CODE HERE

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // YOUR CODE HERE
}
