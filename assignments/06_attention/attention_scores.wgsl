// attention_scores: scores[b, i, j] = sum_e q[b, i, e] * k[b, j, e] / sqrt(d_head)
//
// Stage     06_attention
// Source    Vaswani et al. 2017, "Attention Is All You Need", section 3.2.1
// Shapes    q: (n_batch, n_queries, d_head) f32; k: (n_batch, n_keys, d_head) f32;
//           scores: (n_batch, n_queries, n_keys) f32; all row-major
// Bindings  0 params uniform | 1 q read | 2 k read | 3 scores read_write
// Dispatch  invocations = (n_keys, n_queries, n_batch): one per score, keys along x; all sizes >= 1
// Guard     more invocations may run than needed and every array may be longer than its shape;
//           nothing past the end of a row, a column or an array is read or written
// Numerics  f32, the sum over e in any order

struct Params {
  n_batch: u32,
  n_queries: u32,
  n_keys: u32,
  d_head: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<f32>;
@group(0) @binding(2) var<storage, read> k: array<f32>;
@group(0) @binding(3) var<storage, read_write> scores: array<f32>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
