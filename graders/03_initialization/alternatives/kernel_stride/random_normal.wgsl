// The workgroup makes all its uniform numbers first, then its pairs from workgroup memory.

struct Params {
  n: u32,
  seed: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;

const N_PAIRS = 64u;
var<workgroup> numbers: array<f32, 2u * N_PAIRS>;

fn pcg_hash(x: u32) -> u32 {
  var state = 2891336453u + 747796405u * x;
  state ^= state >> (extractBits(state, 28u, 4u) + 4u);
  state *= 277803737u;
  return state ^ extractBits(state, 22u, 10u);
}

@compute @workgroup_size(N_PAIRS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group.x * 2u * N_PAIRS;
  let start = first + pcg_hash(params.seed);
  for (var k = lane; k < 2u * N_PAIRS; k += N_PAIRS) {
    numbers[k] = ldexp(f32(pcg_hash(start + k) >> 8u), -24);
  }
  workgroupBarrier(); // all numbers are there
  for (var k = lane; k < 2u * N_PAIRS; k += N_PAIRS) {
    // cos(a) = sin(a + pi / 2), folded back into [-pi, pi).
    var turn = numbers[k | 1u] - 0.5;
    if ((k & 1u) == 0u) {
      turn += select(0.25, -0.75, turn >= 0.25);
    }
    let value = sqrt(-log(1.0 - numbers[k & ~1u])) * sqrt(2.0) * sin(turn * radians(360.0));
    if (first + k < params.n) {
      out[first + k] = value;
    }
  }
}
