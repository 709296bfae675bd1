// matmul_tiled: tiles of 8 by 8, loads guarded along the sum only: other rows and columns reach nothing that is stored

struct Params {
  n_rows: u32,
  n_inner: u32,
  n_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

const TILE = 8u;
var<workgroup> a_tile: array<array<f32, TILE>, TILE>;
var<workgroup> b_tile: array<array<f32, TILE>, TILE>;

@compute @workgroup_size(TILE, TILE, 1)
fn main(@builtin(global_invocation_id) global_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  var sum = 0.0;
  for (var k0 = 0u; k0 < params.n_inner; k0 += TILE) {
    let k_a = k0 + local_id.x;
    let k_b = k0 + local_id.y;
    a_tile[local_id.y][local_id.x] = select(0.0, a[global_id.y * params.n_inner + k_a], k_a < params.n_inner);
    b_tile[local_id.y][local_id.x] = select(0.0, b[k_b * params.n_cols + global_id.x], k_b < params.n_inner);
    workgroupBarrier(); // both tiles are loaded
    for (var k = 0u; k < TILE; k++) {
      sum += a_tile[local_id.y][k] * b_tile[k][local_id.x];
    }
    workgroupBarrier(); // both tiles have been used
  }
  if (all(global_id.xy < vec2u(params.n_cols, params.n_rows))) {
    out[global_id.y * params.n_cols + global_id.x] = sum;
  }
}
