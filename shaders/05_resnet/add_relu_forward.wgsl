// add_relu_forward: out[i] = max(x[i] + y[i], 0)
//
// Stage     05_resnet
// Source    He et al. 2015, "Deep Residual Learning for Image Recognition", figure 2
// Shapes    x, y, out: (n) f32
// Bindings  0 params uniform | 1 x read | 2 y read | 3 out read_write
// Dispatch  invocations = (n, 1, 1): one per element; n >= 1
// Guard     more invocations may run than needed and every array may be longer than n;
//           nothing past the end is read or written
// Numerics  f32, one sum; finite inputs

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // BEGIN SOLUTION
  let i = global_id.x;
  if (i >= params.n) {
    return;
  }

  // The sum never goes to memory: it is made, bent and stored once.
  out[i] = max(x[i] + y[i], 0.0);
  // END SOLUTION
}
