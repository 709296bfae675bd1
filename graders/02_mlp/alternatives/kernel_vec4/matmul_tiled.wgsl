// matmul_tiled: tiles of 16 by 16, the tile of b stored transposed, four products by dot

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
var<workgroup> rows: array<array<vec4f, 4>, TILE>;
var<workgroup> columns: array<array<vec4f, 4>, TILE>;

@compute @workgroup_size(TILE, TILE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  let row = group_id.y * TILE + local_id.y;
  let col = group_id.x * TILE + local_id.x;
  var sum = 0.0;
  for (var start = 0u; start < params.n_inner; start += TILE) {
    // The first four invocations of each row load a vec4f of a; the next four load one of b.
    let part = local_id.x % 4u;
    let k = start + 4u * part;
    if (local_id.x < 4u) {
      var values = vec4f();
      for (var j = 0u; j < 4u; j++) {
        if (row < params.n_rows && k + j < params.n_inner) {
          values[j] = a[row * params.n_inner + k + j];
        }
      }
      rows[local_id.y][part] = values;
    } else if (local_id.x < 8u) {
      let column = group_id.x * TILE + local_id.y;
      var values = vec4f();
      for (var j = 0u; j < 4u; j++) {
        if (column < params.n_cols && k + j < params.n_inner) {
          values[j] = b[(k + j) * params.n_cols + column];
        }
      }
      columns[local_id.y][part] = values;
    }
    workgroupBarrier(); // both tiles are loaded
    for (var j = 0u; j < 4u; j++) {
      sum += dot(rows[local_id.y][j], columns[local_id.x][j]);
    }
    workgroupBarrier(); // both tiles have been used
  }
  if (row < params.n_rows && col < params.n_cols) {
    out[row * params.n_cols + col] = sum;
  }
}
