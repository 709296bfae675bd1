// transpose: out[j, i] = x[i, j]
//
// Stage     00_first_kernel
// Source    the same as x.T.copy() in NumPy
// Shapes    x: (n_rows, n_cols) f32; out: (n_cols, n_rows) f32; row-major
// Bindings  0 params uniform | 1 x read | 2 out read_write
// Dispatch  invocations = (n_cols, n_rows, 1): one per element of x, and often more on
//           both axes; n_rows >= 1, n_cols >= 1
// Guard     arrays may be longer than n_rows * n_cols; nothing past the end is read or written
// Numerics  values are copied, bit for bit

struct Params {
  n_rows: u32,
  n_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

// Through a tile in workgroup memory, so that neighbours write neighbours.
const TILE = 16u;
var<workgroup> tile: array<f32, 256>;

@compute @workgroup_size(TILE, TILE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  let col = group_id.x * TILE + local_id.x;
  let row = group_id.y * TILE + local_id.y;
  if (row < params.n_rows && col < params.n_cols) {
    tile[local_id.y * TILE + local_id.x] = x[row * params.n_cols + col];
  }
  workgroupBarrier();
  let out_row = group_id.x * TILE + local_id.y;
  let out_col = group_id.y * TILE + local_id.x;
  if (out_row < params.n_cols && out_col < params.n_rows) {
    out[out_row * params.n_rows + out_col] = tile[local_id.x * TILE + local_id.y];
  }
}
