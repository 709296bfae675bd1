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

// BEGIN SOLUTION
// One square piece of a and one of b, shared by the 256 invocations of a workgroup.
var<workgroup> a_tile: array<array<f32, TILE>, TILE>;
var<workgroup> b_tile: array<array<f32, TILE>, TILE>;
// END SOLUTION

@compute @workgroup_size(TILE, TILE)
fn main(@builtin(global_invocation_id) global_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // BEGIN SOLUTION
  let row = global_id.y;
  let col = global_id.x;

  // No early return: the invocations outside of out have values to load, and barriers to meet.
  var sum = 0.0;
  let n_tiles = (params.n_inner + TILE - 1u) / TILE;
  for (var tile = 0u; tile < n_tiles; tile++) {
    // 1. Each invocation brings one number of each tile; beyond the edge it brings a 0.
    let a_col = tile * TILE + local_id.x;
    var a_value = 0.0;
    if (row < params.n_rows && a_col < params.n_inner) {
      a_value = a[row * params.n_inner + a_col];
    }
    a_tile[local_id.y][local_id.x] = a_value;

    let b_row = tile * TILE + local_id.y;
    var b_value = 0.0;
    if (b_row < params.n_inner && col < params.n_cols) {
      b_value = b[b_row * params.n_cols + col];
    }
    b_tile[local_id.y][local_id.x] = b_value;
    workgroupBarrier(); // both tiles are complete

    // 2. Each invocation takes what it needs from the tiles: TILE products, and no trip to memory.
    for (var k = 0u; k < TILE; k++) {
      sum += a_tile[local_id.y][k] * b_tile[k][local_id.x];
    }
    workgroupBarrier(); // everyone has used the tiles: they may be filled again
  }

  if (row < params.n_rows && col < params.n_cols) {
    out[row * params.n_cols + col] = sum;
  }
  // END SOLUTION
}
