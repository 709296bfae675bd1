// affine_backward_input: 16 by 16 tiles of both factors in workgroup memory

struct Params {
  n_rows: u32,
  d_in: u32,
  d_out: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

const TILE = 16u;
var<workgroup> left: array<array<f32, TILE>, TILE>;
var<workgroup> right: array<array<f32, TILE>, TILE>;

@compute @workgroup_size(TILE, TILE)
fn main(
  @builtin(global_invocation_id) global_id: vec3u,
  @builtin(local_invocation_id) local_id: vec3u,
) {
  let row = global_id.y;
  let col = global_id.x;
  var sum = 0.0;
  let n_tiles = (params.d_out + TILE - 1u) / TILE;
  for (var t = 0u; t < n_tiles; t++) {
    let across = t * TILE + local_id.x;
    let down = t * TILE + local_id.y;
    var a = 0.0;
    if (row < params.n_rows && across < params.d_out) {
      a = dout[row * params.d_out + across];
    }
    var b_value = 0.0;
    if (down < params.d_out && col < params.d_in) {
      b_value = w[col * params.d_out + down];
    }
    left[local_id.y][local_id.x] = a;
    right[local_id.y][local_id.x] = b_value;
    workgroupBarrier(); // both tiles are loaded
    for (var k = 0u; k < TILE; k++) {
      sum += left[local_id.y][k] * right[k][local_id.x];
    }
    workgroupBarrier(); // both tiles have been used
  }
  if (row < params.n_rows && col < params.d_in) {
    dx[row * params.d_in + col] = sum;
  }
}
