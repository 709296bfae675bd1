// sgd_step: 256 invocations, a copy of the old value first

struct Params {
  n: u32,
  lr: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> w: array<f32>;
@group(0) @binding(2) var<storage, read> grad: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  let i = group_id.x * 256u + local_id.x;
  if (i < params.n) {
    let before = w[i];
    let step = grad[i] * params.lr;
    w[i] = before - step;
  }
}
