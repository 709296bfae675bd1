// affine_backward_weight: dw[i, j] = sum_r x[r, i] * dout[r, j]
//
// Stage     01_perceptron
// Source    Rumelhart et al. 1986, "Learning representations by back-propagating errors", eq. 6
// Shapes    x: (n_rows, d_in) f32; dout: (n_rows, d_out) f32; dw: (d_in, d_out) f32; all row-major
// Bindings  0 params uniform | 1 x read | 2 dout read | 3 dw read_write
// Dispatch  invocations = (d_out, d_in, 1): one per element of dw, columns along x; all sizes >= 1
// Guard     more invocations may run than needed and every array may be longer than its shape;
//           nothing past the end of a row, a column or an array is read or written
// Numerics  f32, the sum over r in any order; dw is a sum over the rows, not a mean

struct Params {
  n_rows: u32,
  d_in: u32,
  d_out: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dout: array<f32>;
@group(0) @binding(3) var<storage, read_write> dw: array<f32>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
