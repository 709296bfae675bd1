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
  // YOUR CODE HERE
}
