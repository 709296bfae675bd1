// adamw_step: a grid stride of small workgroups; the corrections go into the rate and into eps

struct Params {
  n: u32,
  lr: f32,
  beta1: f32,
  beta2: f32,
  eps: f32,
  weight_decay: f32,
  m_correction: f32,
  v_correction: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> m: array<f32>;
@group(0) @binding(3) var<storage, read_write> v: array<f32>;
@group(0) @binding(4) var<storage, read> grad: array<f32>;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) global_id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  // As Kingma and Ba write in section 2: the same step with one division less.
  let root = sqrt(params.v_correction);
  let rate = params.lr * root / params.m_correction;
  for (var i = global_id.x; i < params.n; i += 32u * groups.x) {
    let kept = 1.0 - params.lr * params.weight_decay;
    m[i] = dot(vec2f(params.beta1, 1.0 - params.beta1), vec2f(m[i], grad[i]));
    v[i] = dot(vec2f(params.beta2, 1.0 - params.beta2), vec2f(v[i], grad[i] * grad[i]));
    w[i] = kept * w[i] - rate * m[i] / (sqrt(v[i]) + params.eps * root);
  }
}
