// random_uniform: out[i] = (pcg_hash(i + pcg_hash(seed)) >> 8) * 2^-24, uniform in [0, 1)
//
// Stage     03_initialization
// Source    Jarzynski & Olano 2020, "Hash Functions for GPU Rendering", JCGT 9(3), after O'Neill's PCG;
//           pcg_hash(x):  state = x * 747796405 + 2891336453
//                         word = ((state >> ((state >> 28) + 4)) ^ state) * 277803737
//                         result = (word >> 22) ^ word
// Shapes    out: (n) f32
// Bindings  0 params uniform | 1 out read_write
// Dispatch  invocations = (n, 1, 1): one per number; n >= 1, any seed
// Guard     more invocations may run than needed and out may be longer than n;
//           nothing past the end is written
// Numerics  u32 throughout, wrapping at 2^32, then one exact conversion: the same bits on every device

struct Params {
  n: u32,
  seed: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;

// YOUR CODE HERE

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
