// conv2d_forward: workgroups of 4 by 4 by 4

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

@compute @workgroup_size(4, 4, 4)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let col = global_id.x;
  let row = global_id.y;
  let image = global_id.z / params.c_out;
  let channel = global_id.z % params.c_out;
  if (col >= params.w_out || row >= params.h_out || image >= params.n) {
    return;
  }

  var sum = b[channel];
  for (var c = 0u; c < params.c_in; c++) {
    let plane = image * params.c_in + c;
    for (var i = 0u; i < params.kh; i++) {
      // Places are counted from the corner of the padded picture: u32 knows no -1.
      let y = row * params.stride_h + i;
      if (y < params.pad_h || y - params.pad_h >= params.h_in) {
        continue;
      }
      for (var j = 0u; j < params.kw; j++) {
        let z = col * params.stride_w + j;
        if (z < params.pad_w || z - params.pad_w >= params.w_in) {
          continue;
        }
        let pixel = x[(plane * params.h_in + y - params.pad_h) * params.w_in + z - params.pad_w];
        sum += pixel * w[((channel * params.c_in + c) * params.kh + i) * params.kw + j];
      }
    }
  }
  out[(global_id.z * params.h_out + row) * params.w_out + col] = sum;
}
