// gelu_forward: 256 invocations, the guard around the work, the argument of tanh clamped

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let i = global_id.x;
  if (i < params.n) {
    let value = x[i];
    let near = min(max(value, -1e3), 1e3);
    let u = clamp(0.79788456 * near + 0.035677408 * near * near * near, -12.0, 12.0);
    out[i] = value * 0.5 + value * 0.5 * tanh(u);
  }
}
