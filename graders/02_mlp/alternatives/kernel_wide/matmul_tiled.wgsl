// matmul_tiled: flat tiles of 4 by 16, and four running sums

struct Params {
  n_rows: u32,
  n_inner: u32,
  n_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

// Flat tiles: 4 rows by 16 columns of out, 16 numbers deep, with four running sums that are added at the end.
const COLS = 16u;
const ROWS = 4u;
var<workgroup> strip: array<f32, ROWS * COLS>;
var<workgroup> block: array<f32, COLS * COLS>;

@compute @workgroup_size(COLS, ROWS)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  let row = group_id.y * ROWS + local_id.y;
  let col = group_id.x * COLS + local_id.x;
  var strands = array<f32, 4>(0.0, 0.0, 0.0, 0.0);
  for (var start = 0u; start < params.n_inner; start += COLS) {
    let depth = min(COLS, params.n_inner - start);
    if (row < params.n_rows && local_id.x < depth) {
      strip[local_id.y * COLS + local_id.x] = a[row * params.n_inner + start + local_id.x];
    }
    for (var k = local_id.y; k < depth; k += ROWS) {
      if (col < params.n_cols) {
        block[k * COLS + local_id.x] = b[(start + k) * params.n_cols + col];
      }
    }
    workgroupBarrier(); // the strip and the block are loaded
    if (row < params.n_rows && col < params.n_cols) {
      for (var k = 0u; k < depth; k++) {
        strands[k % 4u] += strip[local_id.y * COLS + k] * block[k * COLS + local_id.x];
      }
    }
    workgroupBarrier(); // both have been used
  }
  if (row < params.n_rows && col < params.n_cols) {
    out[row * params.n_cols + col] = (strands[0] + strands[1]) + (strands[2] + strands[3]);
  }
}
