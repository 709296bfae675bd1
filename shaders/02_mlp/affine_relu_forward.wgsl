// affine_relu_forward: out[r, j] = max(0, sum_i x[r, i] * w[i, j] + b[j])
//
// Stage     02_mlp
// Source    Nair & Hinton 2010, "Rectified linear units improve restricted Boltzmann machines"
// Shapes    x: (n_rows, d_in) f32; w: (d_in, d_out) f32; b: (d_out) f32; out: (n_rows, d_out) f32; all row-major
// Bindings  0 params uniform | 1 x read | 2 w read | 3 b read | 4 out read_write
// Dispatch  invocations = (d_out, n_rows, 1): one per element of out, columns along x; all sizes >= 1
// Guard     more invocations may run than needed and every array may be longer than its shape;
//           nothing past the end of a row, a column or an array is read or written
// Numerics  f32, the sum over i in any order; the bias is added before the bend

struct Params {
  n_rows: u32,
  d_in: u32,
  d_out: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // BEGIN SOLUTION
  let row = global_id.y;
  let col = global_id.x;
  if (row >= params.n_rows || col >= params.d_out) {
    return;
  }

  var sum = b[col];
  for (var i = 0u; i < params.d_in; i++) {
    sum += x[row * params.d_in + i] * w[i * params.d_out + col];
  }
  // The sum is still in a register. Bending it here costs no trip to memory.
  out[row * params.d_out + col] = max(sum, 0.0);
  // END SOLUTION
}
