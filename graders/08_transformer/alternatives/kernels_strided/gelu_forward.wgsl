// gelu_forward: four numbers at once in a vector, the last ones alone; tanh by exp of a negative number

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

fn bend(value: vec4f) -> vec4f {
  let near = clamp(value, vec4f(-7.0), vec4f(7.0));
  let u = 0.7978845608 * near * (vec4f(1.0) + 0.044715 * near * near);
  let e = exp(-2.0 * abs(u));
  let t = sign(u) * (vec4f(1.0) - e) / (vec4f(1.0) + e);
  return 0.5 * value * (vec4f(1.0) + t);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let first = 4u * global_id.x;
  if (first + 4u <= params.n) {
    let bent = bend(vec4f(x[first], x[first + 1u], x[first + 2u], x[first + 3u]));
    out[first] = bent.x;
    out[first + 1u] = bent.y;
    out[first + 2u] = bent.z;
    out[first + 3u] = bent.w;
    return;
  }
  for (var i = first; i < params.n; i++) {
    out[i] = bend(vec4f(x[i])).x;
  }
}
