// relu_forward: 32 invocations through workgroup memory, four elements to a lane

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

var<workgroup> bent: array<vec4f, 32>;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group_id.x * 128u;
  for (var k = 0u; k < 4u; k++) {
    // Past the end the last element comes again.
    bent[lane][k] = x[min(first + k * 32u + lane, params.n - 1u)];
  }
  bent[lane] = max(bent[lane], vec4f(0.0));
  for (var k = 0u; k < 4u; k++) {
    if (first + k * 32u + lane < params.n) {
      out[first + k * 32u + lane] = bent[lane][k];
    }
  }
}
