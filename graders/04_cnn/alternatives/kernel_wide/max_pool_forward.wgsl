// max_pool_forward: workgroups of 1 by 64

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
  let col = global_id.x;
  let row = global_id.y;
  let channel = global_id.z;
  if (col >= params.w_out || row >= params.h_out || channel >= params.n * params.c) {
    return;
  }

  let plane = channel * params.h_in * params.w_in;
  let corner = row * params.stride_h * params.w_in + col * params.stride_w;
  var best = x[plane + corner];
  var place = corner;
  for (var i = 0u; i < params.size_h; i++) {
    for (var j = 0u; j < params.size_w; j++) {
      let here = corner + i * params.w_in + j;
      // Only a larger one takes over, so that of equal ones the first stays.
      if (x[plane + here] > best) {
        best = x[plane + here];
        place = here;
      }
    }
  }
  let index = (channel * params.h_out + row) * params.w_out + col;
  out[index] = best;
  winner[index] = place;
}
