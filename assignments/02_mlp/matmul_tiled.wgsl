// matmul_tiled: out[r, c] = sum_k a[r, k] * b[k, c], by tiles in workgroup memory
//
// Stage     02_mlp
// Source    Lam, Rothberg & Wolf 1991, "The cache performance and optimizations of blocked algorithms"
// Shapes    a: (n_rows, n_inner) f32; b: (n_inner, n_cols) f32; out: (n_rows, n_cols) f32; all row-major
// Bindings  0 params uniform | 1 a read | 2 b read | 3 out read_write
// Dispatch  invocations = (n_cols, n_rows, 1): one per element of out, columns along x; all sizes >= 1
// Guard     more invocations may run than needed and every array may be longer than its shape;
//           nothing past the end of a row, a column or an array is read or written
// Numerics  f32 all the way, the sum over k in any order
//           Cost: at most a quarter of the bytes are loaded that a kernel without tiles loads

struct Params {
  n_rows: u32,
  n_inner: u32,
  n_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

const TILE = 16u;

// YOUR CODE HERE

@compute @workgroup_size(TILE, TILE)
fn main(@builtin(global_invocation_id) global_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // YOUR CODE HERE
}
