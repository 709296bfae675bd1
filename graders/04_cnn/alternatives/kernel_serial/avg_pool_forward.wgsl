// avg_pool_forward: one invocation per workgroup; divides before it adds

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

@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  if (global_id.x >= params.w_out || global_id.y >= params.h_out || global_id.z >= params.n * params.c) {
    return;
  }
  let count = params.size_h * params.size_w;
  var mean = 0.0;
  for (var k = 0u; k < count; k++) {
    let y = global_id.y * params.stride_h + k / params.size_w;
    let z = global_id.x * params.stride_w + k % params.size_w;
    mean += x[(global_id.z * params.h_in + y) * params.w_in + z] / f32(count);
  }
  out[(global_id.z * params.h_out + global_id.y) * params.w_out + global_id.x] = mean;
}
