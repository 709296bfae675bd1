// residual_add: four elements to an invocation, 16 invocations

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> residual: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(16)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let first = 4u * global_id.x;
  for (var i = first; i < min(first + 4u, params.n); i++) {
    out[i] = residual[i] + x[i];
  }
}
