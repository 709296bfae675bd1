// dropout_forward: out[i] = x[i] / (1 - rate) where u[i] >= rate, else 0, with u = random_uniform(seed)
//
// Stage     03_initialization
// Source    Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting"
// Shapes    x, out: (n) f32
// Bindings  0 params uniform | 1 x read | 2 out read_write
// Dispatch  invocations = (n, 1, 1): one per element; n >= 1, 0 <= rate <= 1, any seed
// Guard     more invocations may run than needed and both arrays may be longer than n;
//           nothing past the end is read or written
// Numerics  u as in random_uniform.wgsl, bit for bit: pcg_hash(i + pcg_hash(seed)) >> 8, times 2^-24;
//           dropped elements are 0, at rate = 1 all of them

struct Params {
  n: u32,
  rate: f32,
  seed: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

// YOUR CODE HERE

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
