// gelu_backward: dx[i] = dout[i] * ((1 + t) / 2 + x[i] * (1 - t * t) / 2 * u')
//
// Stage     08_transformer
// Source    Hendrycks & Gimpel 2016, "Gaussian Error Linear Units (GELUs)", section 2
// Shapes    dout, x, dx: (n) f32
// Bindings  0 params uniform | 1 dout read | 2 x read | 3 dx read_write
// Dispatch  invocations = (n, 1, 1): one per element; n >= 1
// Guard     more invocations may run than needed and every array may be longer than n;
//           nothing past the end is read or written
// Numerics  f32; t = tanh(u), u = sqrt(2 / pi) * (x + 0.044715 * x^3),
//           u' = sqrt(2 / pi) * (1 + 3 * 0.044715 * x^2); any finite x: for large ones t is 1 or -1, and
//           dx is dout or 0, although x^3 overflows

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

// YOUR CODE HERE

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
