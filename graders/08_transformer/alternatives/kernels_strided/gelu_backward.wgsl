// gelu_backward: a grid stride, and 1 - tanh(u)^2 as 4 s (1 - s) with s = 1 / (1 + exp(-2 u))

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

fn slope(value: f32) -> f32 {
  let near = clamp(value, -7.0, 7.0);
  let u = 0.7978845608 * fma(0.044715 * near * near, near, near);
  // exp of a negative number: nothing can overflow.
  let e = exp(-2.0 * abs(u));
  let far_share = 1.0 / (1.0 + e);
  let share = select(e * far_share, far_share, u >= 0.0);
  let du = 0.7978845608 * fma(0.134145 * near, near, 1.0);
  return share + 2.0 * near * (e * far_share * far_share) * du;
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) global_id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = global_id.x; i < params.n; i += 32u * groups.x) {
    dx[i] = slope(x[i]) * dout[i];
  }
}
