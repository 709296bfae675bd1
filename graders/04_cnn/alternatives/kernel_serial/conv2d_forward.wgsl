// conv2d_forward: one invocation per workgroup; signed coordinates, columns before channels

struct Params {
  n: u32,
  c_in: u32,
  h_in: u32,
  w_in: u32,
  c_out: u32,
  kh: u32,
  kw: u32,
  h_out: u32,
  w_out: u32,
  stride_h: u32,
  stride_w: u32,
  pad_h: u32,
  pad_w: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  if (global_id.x >= params.w_out || global_id.y >= params.h_out || global_id.z >= params.n * params.c_out) {
    return;
  }
  let m = global_id.z / params.c_out;
  let o = global_id.z - m * params.c_out;
  let top = i32(global_id.y * params.stride_h) - i32(params.pad_h);
  let left = i32(global_id.x * params.stride_w) - i32(params.pad_w);
  var sum = 0.0;
  for (var j = 0; j < i32(params.kw); j++) {
    for (var i = 0; i < i32(params.kh); i++) {
      let y = top + i;
      let z = left + j;
      if (y >= 0 && z >= 0 && y < i32(params.h_in) && z < i32(params.w_in)) {
        for (var c = 0u; c < params.c_in; c++) {
          let pixel = ((m * params.c_in + c) * params.h_in + u32(y)) * params.w_in + u32(z);
          let weight = ((o * params.c_in + c) * params.kh + u32(i)) * params.kw + u32(j);
          sum += x[pixel] * w[weight];
        }
      }
    }
  }
  out[(global_id.z * params.h_out + global_id.y) * params.w_out + global_id.x] = sum + b[o];
}
