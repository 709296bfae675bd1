// add_relu_backward: dsum[i] = dout[i] where out[i] > 0, else 0
//
// Stage     05_resnet
// Source    He et al. 2015, "Deep Residual Learning for Image Recognition", figure 2
// Shapes    dout, out, dsum: (n) f32
// Bindings  0 params uniform | 1 dout read | 2 out read | 3 dsum read_write
// Dispatch  invocations = (n, 1, 1): one per element; n >= 1
// Guard     more invocations may run than needed and every array may be longer than n;
//           nothing past the end is read or written
// Numerics  exact: every element is copied or 0; out is what add_relu_forward returned, here it is read;
//           dsum is the gradient of x and of y alike

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> dsum: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
