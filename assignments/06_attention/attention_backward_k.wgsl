// attention_backward_k: dk[b, j, e] = sum_i dscores[b, i, j] * q[b, i, e] / sqrt(d_head)
//
// Stage     06_attention
// Source    Rumelhart et al. 1986, "Learning representations by back-propagating errors", eq. 7
// Shapes    dscores: (n_batch, n_queries, n_keys) f32; q: (n_batch, n_queries, d_head) f32;
//           dk: (n_batch, n_keys, d_head) f32; all row-major
// Bindings  0 params uniform | 1 dscores read | 2 q read | 3 dk read_write
// Dispatch  invocations = (d_head, n_keys, n_batch): one per element of dk, columns along x; all sizes >= 1
// Guard     more invocations may run than needed and every array may be longer than its shape;
//           nothing past the end of a row, a column or an array is read or written
// Numerics  f32, the sum over i in any order

struct Params {
  n_batch: u32,
  n_queries: u32,
  n_keys: u32,
  d_head: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dscores: array<f32>;
@group(0) @binding(2) var<storage, read> q: array<f32>;
@group(0) @binding(3) var<storage, read_write> dk: array<f32>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
