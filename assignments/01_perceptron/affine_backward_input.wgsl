// affine_backward_input: dx[r, i] = sum_j dout[r, j] * w[i, j]
//
// Stage     01_perceptron
// Source    Rumelhart et al. 1986, "Learning representations by back-propagating errors", eq. 7
// Shapes    dout: (n_rows, d_out) f32; w: (d_in, d_out) f32; dx: (n_rows, d_in) f32; all row-major
// Bindings  0 params uniform | 1 dout read | 2 w read | 3 dx read_write
// Dispatch  invocations = (d_in, n_rows, 1): one per element of dx, columns along x; all sizes >= 1
// Guard     more invocations may run than needed and every array may be longer than its shape;
//           nothing past the end of a row, a column or an array is read or written
// Numerics  f32, the sum over j in any order

struct Params {
  n_rows: u32,
  d_in: u32,
  d_out: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
