// sgd_step: the last parameter first, through a pointer

struct Params {
  n: u32,
  lr: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> w: array<f32>;
@group(0) @binding(2) var<storage, read> grad: array<f32>;

fn descend(slope: f32) -> f32 {
  return -params.lr * slope;
}

@compute @workgroup_size(64, 1, 1)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  if (global_id.x + 1u > params.n) { return; }
  let weight = &w[params.n - global_id.x - 1u];
  *weight = *weight + descend(grad[params.n - 1u - global_id.x]);
}
