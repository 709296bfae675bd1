// random_normal: out[2k] = r cos(theta), out[2k + 1] = r sin(theta), standard normal (Box-Muller), with
//                r = sqrt(-2 log(1 - u[2k])), theta = 2 pi (u[2k + 1] - 0.5), u = random_uniform(seed)
//
// Stage     03_initialization
// Source    Box & Muller 1958, "A Note on the Generation of Random Normal Deviates"
// Shapes    out: (n) f32
// Bindings  0 params uniform | 1 out read_write
// Dispatch  invocations = (ceil(n / 2), 1, 1): one per pair; n >= 1, odd n too, any seed
// Guard     more invocations may run than needed and out may be longer than n;
//           nothing past the end is written: of the last pair of an odd n only the first number
// Numerics  u as in random_uniform.wgsl, bit for bit: pcg_hash(i + pcg_hash(seed)) >> 8, times 2^-24;
//           1 - u is never 0, so the logarithm is finite; theta stays in [-pi, pi), where WGSL
//           promises that sin and cos err by at most 2^-11

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

@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  if (global_id.x == 0u) {
    let start = hash(params.seed);
    for (var i = 0u; i < params.n; i++) {
      let pair = i - i % 2u;
      let r = sqrt(-2.0 * log(1.0 - uniform_number(start, pair)));
      let turn = 3.1415927 * (2.0 * uniform_number(start, pair + 1u) - 1.0);
      out[i] = r * select(cos(turn), sin(turn), i % 2u == 1u);
    }
  }
}
