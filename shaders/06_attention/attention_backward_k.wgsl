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
  // BEGIN SOLUTION
  let col = global_id.x;
  let key = global_id.y;
  let item = global_id.z;
  if (col >= params.d_head || key >= params.n_keys || item >= params.n_batch) {
    return;
  }

  // One column of dscores: every query that looked at this key.
  let dscores_start = item * params.n_queries * params.n_keys + key;
  let q_start = item * params.n_queries * params.d_head + col;
  var sum = 0.0;
  for (var query = 0u; query < params.n_queries; query++) {
    sum += dscores[dscores_start + query * params.n_keys] * q[q_start + query * params.d_head];
  }
  dk[(item * params.n_keys + key) * params.d_head + col] = sum / sqrt(f32(params.d_head));
  // END SOLUTION
}
