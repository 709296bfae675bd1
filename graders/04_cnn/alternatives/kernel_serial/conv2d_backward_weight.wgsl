// conv2d_backward_weight: one invocation adds up all places of its weight

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
@group(0) @binding(2) var<storage, read> dout: array<f32>;
@group(0) @binding(3) var<storage, read_write> dw: array<f32>;

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group_id: vec3u) {
  let o = group_id.z / params.c_in;
  let c = group_id.z % params.c_in;
  var sum = 0.0;
  for (var m = 0u; m < params.n; m++) {
    for (var r = 0u; r < params.h_out; r++) {
      let y = i32(r * params.stride_h + group_id.y) - i32(params.pad_h);
      for (var s = 0u; s < params.w_out; s++) {
        let z = i32(s * params.stride_w + group_id.x) - i32(params.pad_w);
        if (y >= 0 && y < i32(params.h_in) && z >= 0 && z < i32(params.w_in)) {
          let pixel = x[((m * params.c_in + c) * params.h_in + u32(y)) * params.w_in + u32(z)];
          sum += pixel * dout[((m * params.c_out + o) * params.h_out + r) * params.w_out + s];
        }
      }
    }
  }
  dw[((o * params.c_in + c) * params.kh + group_id.y) * params.kw + group_id.x] = sum;
}
