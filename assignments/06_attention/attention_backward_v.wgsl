// attention_backward_v: dv[b, j, e] = sum_i attn[b, i, j] * dout[b, i, e]
//
// Stage     06_attention
// Source    Rumelhart et al. 1986, "Learning representations by back-propagating errors", eq. 6
// Shapes    attn: (n_batch, n_queries, n_keys) f32; dout: (n_batch, n_queries, d_v) f32;
//           dv: (n_batch, n_keys, d_v) f32; all row-major
// Bindings  0 params uniform | 1 attn read | 2 dout read | 3 dv read_write
// Dispatch  invocations = (d_v, n_keys, n_batch): one per element of dv, columns along x; all sizes >= 1
// Guard     more invocations may run than needed and every array may be longer than its shape;
//           nothing past the end of a row, a column or an array is read or written
// Numerics  f32, the sum over i in any order

struct Params {
  n_batch: u32,
  n_queries: u32,
  n_keys: u32,
  d_v: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> attn: array<f32>;
@group(0) @binding(2) var<storage, read> dout: array<f32>;
@group(0) @binding(3) var<storage, read_write> dv: array<f32>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
