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

// YOUR CODE HERE

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
