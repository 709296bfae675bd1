// residual_add: out[i] = x[i] + residual[i]
//
// Stage     08_transformer
// Source    He et al. 2016, "Identity Mappings in Deep Residual Networks", eq. 1
// Shapes    x, residual, out: (n) f32
// Bindings  0 params uniform | 1 x read | 2 residual read | 3 out read_write
// Dispatch  invocations = (n, 1, 1): one per element; n >= 1
// Guard     more invocations may run than needed and every array may be longer than n;
//           nothing past the end is read or written
// Numerics  f32, one sum per element; x is what a layer made, residual the stream that went past it

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> residual: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
