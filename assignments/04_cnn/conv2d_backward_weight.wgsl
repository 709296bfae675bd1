// conv2d_backward_weight: dw[o, c, i, j] = sum_{m, r, s} x[m, c, r * stride_h + i - pad_h, s * stride_w + j - pad_w] * dout[m, o, r, s]
//
// Stage     04_cnn
// Source    LeCun et al. 1989, "Backpropagation applied to handwritten zip code recognition"
// Shapes    x: (n, c_in, h_in, w_in) f32; dout: (n, c_out, h_out, w_out) f32;
//           dw: (c_out, c_in, kh, kw) f32; all row-major
// Bindings  0 params uniform | 1 x read | 2 dout read | 3 dw read_write
// Dispatch  workgroups = (kw, kh, c_out * c_in): one per weight, columns along x;
//           all sizes and strides >= 1, c_out * c_in <= 65535; the host gives kh and kw
// Guard     every array may be longer than its shape; nothing past the end of a row, a picture
//           or an array is read or written
// Numerics  f32, the sum in any order; x counts as 0 outside the picture; a sum, not a mean

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

// YOUR CODE HERE

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // YOUR CODE HERE
}
