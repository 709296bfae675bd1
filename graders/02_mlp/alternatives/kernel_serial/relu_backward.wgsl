// relu_backward: one invocation per workgroup, two stores

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < params.n) {
    if (x[id.x] > 0.0) {
      dx[id.x] = dout[id.x];
    } else {
      dx[id.x] = 0.0;
    }
  }
}
