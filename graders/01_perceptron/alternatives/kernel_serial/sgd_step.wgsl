// sgd_step: one invocation per workgroup, a fused multiply-add

struct Params {
  n: u32,
  lr: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> w: array<f32>;
@group(0) @binding(2) var<storage, read> grad: array<f32>;

@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < params.n) {
    w[id.x] = fma(-params.lr, grad[id.x], w[id.x]);
  }
}
