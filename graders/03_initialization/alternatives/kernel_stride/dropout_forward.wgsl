// Grid-stride; the hash is compared as an integer with the rate in 2^24ths.

struct Params {
  n: u32,
  rate: f32,
  seed: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

fn pcg_hash(x: u32) -> u32 {
  var state = 2891336453u + 747796405u * x;
  state ^= state >> (extractBits(state, 28u, 4u) + 4u);
  state *= 277803737u;
  return state ^ extractBits(state, 22u, 10u);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let start = pcg_hash(params.seed);
  // bits * 2^-24 >= rate for whole bits means bits >= ceil(rate * 2^24), and both are exact.
  let threshold = u32(ceil(params.rate * 16777216.0));
  var i = id.x;
  while (i < params.n) {
    out[i] = 0.0;
    if ((pcg_hash(start + i) >> 8u) >= threshold) {
      out[i] = x[i] / (1.0 - params.rate);
    }
    i += 64u * groups.x;
  }
}
