// Grid-stride over groups of four; half of the sum and half of its size make a ReLU.

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var first = 4u * id.x; first < params.n; first += 128u * groups.x) {
    let k = min(vec4u(first) + vec4u(0u, 1u, 2u, 3u), vec4u(params.n - 1u));
    let sum = vec4f(x[k.x], x[k.y], x[k.z], x[k.w]) + vec4f(y[k.x], y[k.y], y[k.z], y[k.w]);
    let bent = 0.5 * sum + 0.5 * abs(sum);
    // The last group may hold one element several times: it is stored once.
    for (var j = 0u; j < min(4u, params.n - first); j++) {
      out[first + j] = bent[j];
    }
  }
}
