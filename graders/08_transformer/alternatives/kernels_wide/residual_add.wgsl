// residual_add: 256 invocations, the guard around the work

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> residual: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  if (global_id.x < params.n) {
    let sum = x[global_id.x] + residual[global_id.x];
    out[global_id.x] = sum;
  }
}
