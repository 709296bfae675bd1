// affine_forward: 8 by 8 tiles, loads guarded along the sum only, the store on both axes

struct Params {
  n_rows: u32,
  d_in: u32,
  d_out: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

const TILE = 8u;
var<workgroup> left: array<f32, TILE * TILE>;
var<workgroup> right: array<f32, TILE * TILE>;

@compute @workgroup_size(TILE, TILE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  let row = group_id.y * TILE + local_id.y;
  let col = group_id.x * TILE + local_id.x;
  let lane = local_id.y * TILE + local_id.x;
  var sum = 0.0;
  for (var start = 0u; start < params.d_in; start += TILE) {
    // Rows and columns past the edge are loaded too: they reach no sum that is stored.
    let across = start + local_id.x;
    left[lane] = 0.0;
    if (across < params.d_in) {
      left[lane] = x[row * params.d_in + across];
    }
    let down = start + local_id.y;
    right[lane] = 0.0;
    if (down < params.d_in) {
      right[lane] = w[down * params.d_out + col];
    }
    workgroupBarrier(); // both tiles are loaded
    for (var k = 0u; k < TILE; k++) {
      sum += left[local_id.y * TILE + k] * right[k * TILE + local_id.x];
    }
    workgroupBarrier(); // both tiles have been used
  }
  if (row < params.n_rows && col < params.d_out) {
    out[row * params.d_out + col] = b[col] + sum;
  }
}
