// batched_matmul: out[b, r, c] = sum_k a[b, r, k] * b[b, k, c], one product per batch item
//
// Stage     07_multihead
// Source    Higham 2002, "Accuracy and Stability of Numerical Algorithms", section 3.5 (the error of a product)
// Shapes    a: (n_batch, n_rows, n_inner) f32; b: (n_batch, n_inner, n_cols) f32;
//           out: (n_batch, n_rows, n_cols) f32; row-major
// Bindings  0 params uniform | 1 a read | 2 b read | 3 out read_write
// Dispatch  invocations = (n_cols, n_rows, n_batch): one per number of out, columns along x; all sizes >= 1
// Guard     more invocations may run than needed and every array may be longer than its shape;
//           nothing past the end of a row, a column, an item or an array is read or written
// Numerics  f32 all the way, the sum over k in any order

struct Params {
  n_batch: u32,
  n_rows: u32,
  n_inner: u32,
  n_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(8, 4, 2)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
