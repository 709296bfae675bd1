// The workgroup reads its winners together, 32 at a time, and each invocation looks its own pixel up among them.

struct Params {
  n: u32,
  c: u32,
  h_in: u32,
  w_in: u32,
  h_out: u32,
  w_out: u32,
  size_h: u32,
  size_w: u32,
  stride_h: u32,
  stride_w: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> winner: array<u32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

const TILE = 32u;
var<workgroup> places: array<u32, TILE>;
var<workgroup> gradients: array<f32, TILE>;

@compute @workgroup_size(8, 4)
fn main(@builtin(global_invocation_id) global_id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let n_windows = params.h_out * params.w_out;
  let lies_inside = global_id.x < params.w_in && global_id.y < params.h_in && global_id.z < params.n * params.c;
  let own = global_id.y * params.w_in + global_id.x;
  var sum = 0.0;
  for (var first = 0u; first < n_windows; first += TILE) {
    let window = global_id.z * n_windows + first + lane;
    let is_there = first + lane < n_windows && global_id.z < params.n * params.c;
    places[lane] = 0xffffffffu;
    if (is_there) {
      places[lane] = winner[window];
      gradients[lane] = dout[window];
    }
    workgroupBarrier(); // the tile is filled
    for (var k = 0u; k < TILE; k++) {
      if (places[k] == own) {
        sum += gradients[k];
      }
    }
    workgroupBarrier(); // and read
  }
  if (lies_inside) {
    dx[global_id.z * params.h_in * params.w_in + own] = sum;
  }
}
