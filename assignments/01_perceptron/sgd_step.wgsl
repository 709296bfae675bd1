// sgd_step: w[i] = w[i] - lr * grad[i], in place
//
// Stage     01_perceptron
// Source    Robbins & Monro 1951, "A stochastic approximation method"
// Shapes    w, grad: (n) f32
// Bindings  0 params uniform | 1 w read_write inout | 2 grad read
// Dispatch  invocations = (n, 1, 1): one per parameter; n >= 1
// Guard     more invocations may run than needed and both arrays may be longer than n;
//           nothing past the end is read or written
// Numerics  f32, one product and one difference; a fused multiply-add is as good

struct Params {
  n: u32,
  lr: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> w: array<f32>;
@group(0) @binding(2) var<storage, read> grad: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
