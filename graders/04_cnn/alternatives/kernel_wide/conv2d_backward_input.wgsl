// conv2d_backward_input: workgroups of 32 by 2 by 3

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

@compute @workgroup_size(32, 2, 3)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let col = global_id.x;
  let row = global_id.y;
  let image = global_id.z / params.c_in;
  let c = global_id.z % params.c_in;
  if (col >= params.w_in || row >= params.h_in || image >= params.n) {
    return;
  }

  // Each pixel collects from the windows that hold it, so no two invocations write one element.
  var sum = 0.0;
  for (var i = 0u; i < params.kh; i++) {
    // The window in which this pixel has row i starts i rows higher, on a multiple of the stride.
    let top = row + params.pad_h - i;
    if (i > row + params.pad_h || top % params.stride_h != 0u || top / params.stride_h >= params.h_out) {
      continue;
    }
    for (var j = 0u; j < params.kw; j++) {
      let left = col + params.pad_w - j;
      if (j > col + params.pad_w || left % params.stride_w != 0u || left / params.stride_w >= params.w_out) {
        continue;
      }
      for (var o = 0u; o < params.c_out; o++) {
        let plane = image * params.c_out + o;
        let upstream = dout[(plane * params.h_out + top / params.stride_h) * params.w_out + left / params.stride_w];
        sum += upstream * w[((o * params.c_in + c) * params.kh + i) * params.kw + j];
      }
    }
  }
  dx[(global_id.z * params.h_in + row) * params.w_in + col] = sum;
}
