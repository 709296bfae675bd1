// relu_forward: a grid-stride loop, 256 at a time

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) global_id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  for (var i = global_id.x; i < params.n; i += grid.x * 256u) {
    out[i] = x[i] * f32(x[i] > 0.0);
  }
}
