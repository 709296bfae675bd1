// max_pool_forward: one invocation per workgroup; walks the window backwards, so that the first of equal ones stays

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
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> winner: array<u32>;

@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  if (global_id.x >= params.w_out || global_id.y >= params.h_out || global_id.z >= params.n * params.c) {
    return;
  }
  let top = global_id.y * params.stride_h;
  let left = global_id.x * params.stride_w;
  let count = params.size_h * params.size_w;
  var best = -3.4e38;
  var place = 0u;
  for (var k = 0u; k < count; k++) {
    let back = count - 1u - k;
    let at = (top + back / params.size_w) * params.w_in + left + back % params.size_w;
    let value = x[global_id.z * params.h_in * params.w_in + at];
    if (value >= best) {
      best = value;
      place = at;
    }
  }
  let index = (global_id.z * params.h_out + global_id.y) * params.w_out + global_id.x;
  winner[index] = place;
  out[index] = best;
}
