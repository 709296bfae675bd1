// gelu_forward: four elements to an invocation, 16 invocations, tanh from exp

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(16)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let first = 4u * global_id.x;
  for (var i = first; i < min(first + 4u, params.n); i++) {
    // (1 + tanh(u)) / 2 is 1 / (1 + exp(-2 u)).
    let near = clamp(x[i], -8.0, 8.0);
    let u = 0.7978845608 * near * (1.0 + 0.044715 * near * near);
    out[i] = x[i] / (1.0 + exp(-2.0 * max(u, -40.0)));
  }
}
