// relu_forward: four elements at a time in a vec4f, 16 invocations

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(16)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // The launch covers n invocations; the first quarter of them does all the work.
  let i = 4u * global_id.x;
  if (i + 4u <= params.n) {
    let bent = max(vec4f(x[i], x[i + 1u], x[i + 2u], x[i + 3u]), vec4f());
    for (var k = 0u; k < 4u; k++) {
      out[i + k] = bent[k];
    }
    return;
  }
  for (var k = i; k < params.n; k++) {
    out[k] = max(0.0, x[k]);
  }
}
