// relu_forward: out[i] = max(x[i], 0)
//
// Stage     02_mlp
// Source    Nair & Hinton 2010, "Rectified linear units improve restricted Boltzmann machines"
// Shapes    x, out: (n) f32
// Bindings  0 params uniform | 1 x read | 2 out read_write
// Dispatch  invocations = (n, 1, 1): one per element; n >= 1
// Guard     more invocations may run than needed and both arrays may be longer than n;
//           nothing past the end is read or written
// Numerics  f32, exact: a number is kept or becomes 0

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
