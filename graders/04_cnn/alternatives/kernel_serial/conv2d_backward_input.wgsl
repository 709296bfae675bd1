// conv2d_backward_input: one invocation per workgroup; asks every window of the map whether it holds the pixel

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
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  if (global_id.x >= params.w_in || global_id.y >= params.h_in || global_id.z >= params.n * params.c_in) {
    return;
  }
  let m = global_id.z / params.c_in;
  let c = global_id.z % params.c_in;
  let y = i32(global_id.y + params.pad_h);
  let z = i32(global_id.x + params.pad_w);
  var sum = 0.0;
  for (var r = 0u; r < params.h_out; r++) {
    let i = y - i32(r * params.stride_h);
    for (var s = 0u; s < params.w_out; s++) {
      let j = z - i32(s * params.stride_w);
      if (i >= 0 && i < i32(params.kh) && j >= 0 && j < i32(params.kw)) {
        for (var o = 0u; o < params.c_out; o++) {
          let upstream = dout[((m * params.c_out + o) * params.h_out + r) * params.w_out + s];
          sum += upstream * w[((o * params.c_in + c) * params.kh + u32(i)) * params.kw + u32(j)];
        }
      }
    }
  }
  dx[(global_id.z * params.h_in + global_id.y) * params.w_in + global_id.x] = sum;
}
