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

// A tile with one column to spare. Loads are not guarded: what lies past the edge is never stored.
const TILE = 8u;
var<workgroup> tile: array<array<f32, TILE + 1u>, TILE>;

@compute @workgroup_size(TILE, TILE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  let corner = group_id.xy * TILE;
  tile[local_id.y][local_id.x] = x[(corner.y + local_id.y) * params.n_cols + corner.x + local_id.x];
  workgroupBarrier();
  let row = corner.x + local_id.y;
  let col = corner.y + local_id.x;
  if (row < params.n_cols && col < params.n_rows) {
    out[row * params.n_rows + col] = tile[local_id.x][local_id.y];
  }
}
