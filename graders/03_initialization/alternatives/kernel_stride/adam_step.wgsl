// Grid-stride: each invocation takes every k-th parameter; one division for both corrections.

struct Params {
  n: u32,
  lr: f32,
  beta1: f32,
  beta2: f32,
  eps: f32,
  m_correction: f32,
  v_correction: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> m: array<f32>;
@group(0) @binding(3) var<storage, read_write> v: array<f32>;
@group(0) @binding(4) var<storage, read> grad: array<f32>;

fn average(beta: f32, old: f32, now: f32) -> f32 {
  return fma(beta, old, (1.0 - beta) * now);
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let stride = groups.x * 32u;
  var i = id.x;
  loop {
    if (i >= params.n) { break; }
    m[i] = average(params.beta1, m[i], grad[i]);
    v[i] = average(params.beta2, v[i], grad[i] * grad[i]);
    let scale = params.m_correction * (sqrt(v[i] / params.v_correction) + params.eps);
    w[i] = w[i] - params.lr * (m[i] / scale);
    i += stride;
  }
}
