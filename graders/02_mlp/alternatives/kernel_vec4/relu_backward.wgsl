// relu_backward: four elements at a time, step() as the gate

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(16)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  for (var i = 4u * global_id.x; i < min(4u * global_id.x + 4u, params.n); i++) {
    dx[i] = dout[i] * (1.0 - step(x[i], 0.0));
  }
}
