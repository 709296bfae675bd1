// batched_matmul: tiles of 16 by 16 in workgroup memory; one item per layer of the grid

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

const TILE = 16u;
var<workgroup> a_tile: array<array<f32, TILE>, TILE>;
var<workgroup> b_tile: array<array<f32, TILE>, TILE>;

@compute @workgroup_size(TILE, TILE, 1)
fn main(@builtin(global_invocation_id) global_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  let item = global_id.z;
  let inside = item < params.n_batch;
  let row_fits = inside && global_id.y < params.n_rows;
  let col_fits = inside && global_id.x < params.n_cols;
  var sum = 0.0;
  for (var start = 0u; start < params.n_inner; start += TILE) {
    a_tile[local_id.y][local_id.x] = 0.0;
    b_tile[local_id.y][local_id.x] = 0.0;
    if (row_fits && start + local_id.x < params.n_inner) {
      a_tile[local_id.y][local_id.x] = a[(item * params.n_rows + global_id.y) * params.n_inner + start + local_id.x];
    }
    if (col_fits && start + local_id.y < params.n_inner) {
      b_tile[local_id.y][local_id.x] = b[(item * params.n_inner + start + local_id.y) * params.n_cols + global_id.x];
    }
    workgroupBarrier(); // both tiles are loaded
    for (var k = 0u; k < TILE; k++) {
      sum += a_tile[local_id.y][k] * b_tile[k][local_id.x];
    }
    workgroupBarrier(); // both tiles are used
  }
  if (row_fits && col_fits) {
    out[(item * params.n_rows + global_id.y) * params.n_cols + global_id.x] = sum;
  }
}
