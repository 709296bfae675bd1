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

fn hash(value: u32) -> u32 {
  var h = value * 747796405u + 2891336453u;
  let shift = (h >> 28u) + 4u;
  h = (h ^ (h >> shift)) * 277803737u;
  return h ^ (h >> 22u);
}

fn uniform_number(start: u32, i: u32) -> f32 {
  return f32(hash(start + i) / 256u) / 16777216.0;
}

const SIZE = 256u;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = group.x * SIZE + lane;
  if (i < params.n) {
    out[i] = uniform_number(hash(params.seed), i);
  }
}
