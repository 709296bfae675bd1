// gelu_backward: four elements to an invocation, 16 invocations, the logistic function

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(16)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let first = 4u * global_id.x;
  for (var i = first; i < min(first + 4u, params.n); i++) {
    let near = clamp(x[i], -8.0, 8.0);
    let v = 2.0 * 0.7978845608 * near * (1.0 + 0.044715 * near * near);
    let share = 1.0 / (1.0 + exp(-clamp(v, -80.0, 80.0)));
    let other = 1.0 / (1.0 + exp(clamp(v, -80.0, 80.0)));
    dx[i] = dout[i] * (share + near * share * other * 2.0 * 0.7978845608 * (1.0 + 0.134145 * near * near));
  }
}
