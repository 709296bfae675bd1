// relu_backward: dx[i] = dout[i] where x[i] > 0, otherwise 0
//
// Stage     02_mlp
// Source    Glorot, Bordes & Bengio 2011, "Deep sparse rectifier neural networks"
// Shapes    dout, x, dx: (n) f32
// Bindings  0 params uniform | 1 dout read | 2 x read | 3 dx read_write
// Dispatch  invocations = (n, 1, 1): one per element; n >= 1
// Guard     more invocations may run than needed and every array may be longer than n;
//           nothing past the end is read or written
// Numerics  f32, exact: a number is passed on or becomes 0; at x = 0 it becomes 0;
//           x is what the forward was given, its output serves as well

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
