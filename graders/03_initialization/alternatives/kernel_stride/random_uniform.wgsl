// A square workgroup whose invocations are counted by hand, four neighbouring numbers each.

struct Params {
  n: u32,
  seed: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;

fn pcg_hash(x: u32) -> u32 {
  var state = 2891336453u + 747796405u * x;
  state ^= state >> (extractBits(state, 28u, 4u) + 4u);
  state *= 277803737u;
  return state ^ extractBits(state, 22u, 10u);
}

@compute @workgroup_size(8, 8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let first = 4u * ((group.x * 8u + local.y) * 8u + local.x);
  let counters = vec4u(first, first + 1u, first + 2u, first + 3u) + vec4u(pcg_hash(params.seed));
  for (var k = 0u; k < 4u; k++) {
    if (first + k < params.n) {
      out[first + k] = ldexp(f32(extractBits(pcg_hash(counters[k]), 8u, 24u)), -24);
    }
  }
}
