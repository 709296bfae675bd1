// max_pool_forward: out[m, c, r, s] = max_{i, j} x[m, c, r * stride_h + i, s * stride_w + j]; winner says where the maximum stood
//
// Stage     04_cnn
// Source    Riesenhuber & Poggio 1999, "Hierarchical models of object recognition in cortex"
// Shapes    x: (n, c, h_in, w_in) f32; out: (n, c, h_out, w_out) f32;
//           winner: (n, c, h_out, w_out) u32; all row-major
// Bindings  0 params uniform | 1 x read | 2 out read_write | 3 winner read_write
// Dispatch  invocations = (w_out, h_out, n * c): one per window, columns along x;
//           all sizes and strides >= 1, n * c <= 65535;
//           h_out = (h_in - size_h) / stride_h + 1 rounded down, w_out alike: the host works them out
// Guard     more invocations may run than needed and every array may be longer than its shape;
//           nothing past the end of a row, a picture or an array is read or written
// Numerics  exact; winner = row * w_in + column of the maximum in its channel; of equal ones the first
//           in reading order

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
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> winner: array<u32>;

@compute @workgroup_size(8, 4, 2)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
