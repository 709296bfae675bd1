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

// BEGIN SOLUTION
const TWO_PI = 6.283185307179586;

fn pcg_hash(x: u32) -> u32 {
  let state = x * 747796405u + 2891336453u;
  let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
  return (word >> 22u) ^ word;
}

fn uniform_at(i: u32) -> f32 {
  return f32(pcg_hash(i + pcg_hash(params.seed)) >> 8u) * 0x1p-24;
}
// END SOLUTION

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // BEGIN SOLUTION
  let first = 2u * global_id.x;
  if (first >= params.n) {
    return;
  }

  let r = sqrt(-2.0 * log(1.0 - uniform_at(first)));
  let theta = TWO_PI * (uniform_at(first + 1u) - 0.5);
  out[first] = r * cos(theta);
  if (first + 1u < params.n) {
    out[first + 1u] = r * sin(theta);
  }
  // END SOLUTION
}
