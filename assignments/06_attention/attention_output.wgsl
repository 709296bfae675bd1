// attention_output: out[b, i, e] = sum_j attn[b, i, j] * v[b, j, e]
//
// Stage     06_attention
// Source    Vaswani et al. 2017, "Attention Is All You Need", eq. 1
// Shapes    attn: (n_batch, n_queries, n_keys) f32; v: (n_batch, n_keys, d_v) f32;
//           out: (n_batch, n_queries, d_v) f32; all row-major
// Bindings  0 params uniform | 1 attn read | 2 v read | 3 out read_write
// Dispatch  invocations = (d_v, n_queries, n_batch): one per element of out, columns along x; all sizes >= 1
// Guard     more invocations may run than needed and every array may be longer than its shape;
//           nothing past the end of a row, a column or an array is read or written
// Numerics  f32, the sum over j in any order

struct Params {
  n_batch: u32,
  n_queries: u32,
  n_keys: u32,
  d_v: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> attn: array<f32>;
@group(0) @binding(2) var<storage, read> v: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
