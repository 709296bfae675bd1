// max_pool_backward: dx[m, c, y, z] = sum of dout[m, c, r, s] over the windows (r, s) whose winner is the pixel (y, z)
//
// Stage     04_cnn
// Source    Riesenhuber & Poggio 1999, "Hierarchical models of object recognition in cortex"
// Shapes    dout: (n, c, h_out, w_out) f32; winner: (n, c, h_out, w_out) u32;
//           dx: (n, c, h_in, w_in) f32; all row-major
// Bindings  0 params uniform | 1 dout read | 2 winner read | 3 dx read_write
// Dispatch  invocations = (w_in, h_in, n * c): one per pixel, columns along x;
//           all sizes and strides >= 1, n * c <= 65535; the host gives h_in and w_in
// Guard     more invocations may run than needed and every array may be longer than its shape;
//           nothing past the end of a row, a picture or an array is read or written
// Numerics  f32, the sum in any order; winner is what max_pool_forward wrote: row * w_in + column

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
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> winner: array<u32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(8, 4, 2)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
