// affine_backward_bias: db[j] = sum_r dout[r, j]
//
// Stage     01_perceptron
// Source    Rumelhart et al. 1986, "Learning representations by back-propagating errors", eq. 6 with input 1
// Shapes    dout: (n_rows, d_out) f32; db: (d_out) f32; row-major
// Bindings  0 params uniform | 1 dout read | 2 db read_write
// Dispatch  invocations = (d_out, 1, 1): one per column; all sizes >= 1
// Guard     more invocations may run than needed and every array may be longer than its shape;
//           nothing past the end is read or written
// Numerics  f32, the sum over r in any order; db is a sum over the rows, not a mean

struct Params {
  n_rows: u32,
  d_out: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read_write> db: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
