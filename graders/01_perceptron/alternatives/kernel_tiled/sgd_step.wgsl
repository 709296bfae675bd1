// sgd_step: a grid-stride loop, 32 at a time

struct Params {
  n: u32,
  lr: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> w: array<f32>;
@group(0) @binding(2) var<storage, read> grad: array<f32>;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) global_id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  for (var i = global_id.x; i < params.n; i += grid.x * 32u) {
    w[i] = w[i] - params.lr * grad[i];
  }
}
