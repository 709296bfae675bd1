// conv2d_backward_input: dx[m, c, y, z] = sum of dout[m, o, r, s] * w[o, c, i, j] over all o, i, j, r, s with r * stride_h + i = y + pad_h and s * stride_w + j = z + pad_w
//
// Stage     04_cnn
// Source    LeCun et al. 1989, "Backpropagation applied to handwritten zip code recognition"
// Shapes    dout: (n, c_out, h_out, w_out) f32; w: (c_out, c_in, kh, kw) f32;
//           dx: (n, c_in, h_in, w_in) f32; all row-major
// Bindings  0 params uniform | 1 dout read | 2 w read | 3 dx read_write
// Dispatch  invocations = (w_in, h_in, n * c_in): one per element of dx, columns along x;
//           all sizes and strides >= 1, n * c_in <= 65535; the host gives h_in and w_in
// Guard     more invocations may run than needed and every array may be longer than its shape;
//           nothing past the end of a row, a picture or an array is read or written
// Numerics  f32, the sum in any order; a pixel that no window covers has gradient 0

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

@compute @workgroup_size(8, 4, 2)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // BEGIN SOLUTION
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
  // END SOLUTION
}
