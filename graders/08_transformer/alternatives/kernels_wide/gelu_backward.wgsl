// gelu_backward: 256 invocations, far values decided by select

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let i = global_id.x;
  if (i < params.n) {
    let inside = abs(x[i]) < 9.0;
    let near = select(0.0, x[i], inside);
    let t = tanh(clamp(0.7978845608 * (near + 0.044715 * near * near * near), -15.0, 15.0));
    let bend = 0.5 * (1.0 + t) + 0.5 * near * (1.0 - t * t) * 0.7978845608 * (1.0 + 0.134145 * near * near);
    dx[i] = dout[i] * select(select(0.0, 1.0, x[i] > 0.0), bend, inside);
  }
}
