// affine_relu_forward: 16 by 16 tiles of both factors in workgroup memory

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

const TILE = 16u;
var<workgroup> left: array<array<f32, TILE>, TILE>;
var<workgroup> right: array<array<f32, TILE>, TILE>;

@compute @workgroup_size(TILE, TILE)
fn main(@builtin(global_invocation_id) global_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  let row = global_id.y;
  let col = global_id.x;
  var sum = 0.0;
  for (var start = 0u; start < params.d_in; start += TILE) {
    let across = start + local_id.x;
    let down = start + local_id.y;
    var x_value = 0.0;
    if (row < params.n_rows && across < params.d_in) {
      x_value = x[row * params.d_in + across];
    }
    var w_value = 0.0;
    if (down < params.d_in && col < params.d_out) {
      w_value = w[down * params.d_out + col];
    }
    left[local_id.y][local_id.x] = x_value;
    right[local_id.y][local_id.x] = w_value;
    workgroupBarrier(); // both tiles are loaded
    for (var k = 0u; k < TILE; k++) {
      sum += left[local_id.y][k] * right[k][local_id.x];
    }
    workgroupBarrier(); // both tiles have been used
  }
  if (row < params.n_rows && col < params.d_out) {
    out[row * params.d_out + col] = max(sum + b[col], 0.0);
  }
}
