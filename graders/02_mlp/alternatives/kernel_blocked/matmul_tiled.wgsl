// matmul_tiled: workgroups of 8 by 8 for tiles of 16 by 16: each invocation holds four elements of out in registers

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
const SIDE = 8u;
var<workgroup> a_tile: array<f32, TILE * SIDE>;
var<workgroup> b_tile: array<f32, SIDE * TILE>;

@compute @workgroup_size(SIDE, SIDE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // The launch has a workgroup for each 8 by 8 elements: three in four find nothing to do.
  let corner = group_id.xy * TILE;
  if (corner.y >= params.n_rows || corner.x >= params.n_cols) {
    return;
  }
  var sums = mat2x2f();
  for (var start = 0u; start < params.n_inner; start += SIDE) {
    for (var half = 0u; half < TILE; half += SIDE) {
      let row = corner.y + local_id.y + half;
      let across = start + local_id.x;
      let inside_a = row < params.n_rows && across < params.n_inner;
      a_tile[(local_id.y + half) * SIDE + local_id.x] = 0.0;
      if (inside_a) {
        a_tile[(local_id.y + half) * SIDE + local_id.x] = a[row * params.n_inner + across];
      }
      let down = start + local_id.y;
      let col = corner.x + local_id.x + half;
      var b_value = 0.0;
      if (down < params.n_inner && col < params.n_cols) {
        b_value = b[down * params.n_cols + col];
      }
      b_tile[local_id.y * TILE + local_id.x + half] = b_value;
    }
    workgroupBarrier(); // both tiles are loaded
    for (var k = 0u; k < SIDE; k++) {
      let left = vec2f(a_tile[local_id.y * SIDE + k], a_tile[(local_id.y + SIDE) * SIDE + k]);
      let right = vec2f(b_tile[k * TILE + local_id.x], b_tile[k * TILE + local_id.x + SIDE]);
      sums[0] += left.x * right;
      sums[1] += left.y * right;
    }
    workgroupBarrier(); // both tiles have been used
  }
  for (var i = 0u; i < 2u; i++) {
    for (var j = 0u; j < 2u; j++) {
      let row = corner.y + local_id.y + i * SIDE;
      let col = corner.x + local_id.x + j * SIDE;
      if (row < params.n_rows && col < params.n_cols) {
        out[row * params.n_cols + col] = sums[i][j];
      }
    }
  }
}
