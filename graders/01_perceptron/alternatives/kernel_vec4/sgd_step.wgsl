// sgd_step: four elements to an invocation where all four exist, 16 invocations

struct Params {
  n: u32,
  lr: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> w: array<f32>;
@group(0) @binding(2) var<storage, read> grad: array<f32>;

@compute @workgroup_size(16)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // The launch covers n invocations; the first quarter of them does all the work.
  let i = 4u * global_id.x;
  if (i + 4u <= params.n) {
    let before = vec4f(w[i], w[i + 1u], w[i + 2u], w[i + 3u]);
    let slope = vec4f(grad[i], grad[i + 1u], grad[i + 2u], grad[i + 3u]);
    let after = before - params.lr * slope;
    for (var k = 0u; k < 4u; k++) {
      w[i + k] = after[k];
    }
    return;
  }
  for (var k = i; k < params.n; k++) {
    w[k] -= params.lr * grad[k];
  }
}
