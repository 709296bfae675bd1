// gelu_forward: out[i] = x[i] / 2 * (1 + tanh(sqrt(2 / pi) * (x[i] + 0.044715 * x[i]^3)))
//
// Stage     08_transformer
// Source    Hendrycks & Gimpel 2016, "Gaussian Error Linear Units (GELUs)", section 2
// Shapes    x, out: (n) f32
// Bindings  0 params uniform | 1 x read | 2 out read_write
// Dispatch  invocations = (n, 1, 1): one per element; n >= 1
// Guard     more invocations may run than needed and every array may be longer than n;
//           nothing past the end is read or written
// Numerics  f32; any finite x: on some drivers tanh of a large number is NaN, so keep its argument small
//           (tanh is 1 in f32 from 10 on)

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

// YOUR CODE HERE

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
