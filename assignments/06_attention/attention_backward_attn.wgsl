// attention_backward_attn: dattn[b, i, j] = sum_e dout[b, i, e] * v[b, j, e]
//
// Stage     06_attention
// Source    Rumelhart et al. 1986, "Learning representations by back-propagating errors", eq. 7
// Shapes    dout: (n_batch, n_queries, d_v) f32; v: (n_batch, n_keys, d_v) f32;
//           dattn: (n_batch, n_queries, n_keys) f32; all row-major
// Bindings  0 params uniform | 1 dout read | 2 v read | 3 dattn read_write
// Dispatch  invocations = (n_keys, n_queries, n_batch): one per weight, keys along x; all sizes >= 1
// Guard     more invocations may run than needed and every array may be longer than its shape;
//           nothing past the end of a row, a column or an array is read or written
// Numerics  f32, the sum over e in any order

struct Params {
  n_batch: u32,
  n_queries: u32,
  n_keys: u32,
  d_v: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> v: array<f32>;
@group(0) @binding(3) var<storage, read_write> dattn: array<f32>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
