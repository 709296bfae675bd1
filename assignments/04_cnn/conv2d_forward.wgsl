// conv2d_forward: out[m, o, r, s] = b[o] + sum_{c, i, j} x[m, c, r * stride_h + i - pad_h, s * stride_w + j - pad_w] * w[o, c, i, j]
//
// Stage     04_cnn
// Source    LeCun et al. 1989, "Backpropagation applied to handwritten zip code recognition"
// Shapes    x: (n, c_in, h_in, w_in) f32; w: (c_out, c_in, kh, kw) f32; b: (c_out) f32;
//           out: (n, c_out, h_out, w_out) f32; all row-major
// Bindings  0 params uniform | 1 x read | 2 w read | 3 b read | 4 out read_write
// Dispatch  invocations = (w_out, h_out, n * c_out): one per element of out, columns along x;
//           all sizes and strides >= 1, n * c_out <= 65535;
//           h_out = (h_in + 2 * pad_h - kh) / stride_h + 1 rounded down, w_out alike: the host works them out
// Guard     more invocations may run than needed and every array may be longer than its shape;
//           nothing past the end of a row, a picture or an array is read or written
// Numerics  f32, the sum in any order; x counts as 0 outside the picture

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

@compute @workgroup_size(8, 4, 2)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
