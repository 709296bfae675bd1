// First the maximum, then a second walk for its first place; 64 rows of windows per workgroup.

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

@compute @workgroup_size(1, 64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  if (global_id.x >= params.w_out || global_id.y >= params.h_out || global_id.z >= params.n * params.c) {
    return;
  }
  let plane = global_id.z * params.h_in * params.w_in;
  let top = global_id.y * params.stride_h;
  let left = global_id.x * params.stride_w;
  var largest = x[plane + top * params.w_in + left];
  for (var y = top; y < top + params.size_h; y++) {
    for (var z = left; z < left + params.size_w; z++) {
      largest = max(largest, x[plane + y * params.w_in + z]);
    }
  }
  var place = params.h_in * params.w_in;
  for (var y = top; y < top + params.size_h; y++) {
    for (var z = left; z < left + params.size_w; z++) {
      let here = y * params.w_in + z;
      place = select(place, min(place, here), x[plane + here] == largest);
    }
  }
  out[(global_id.z * params.h_out + global_id.y) * params.w_out + global_id.x] = largest;
  winner[(global_id.z * params.h_out + global_id.y) * params.w_out + global_id.x] = place;
}
