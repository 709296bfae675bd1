// relu_forward: one invocation per workgroup, by comparison

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < params.n) {
    var value: f32 = x[id.x];
    if (!(value > 0.0)) {
      value = 0.0;
    }
    out[id.x] = value;
  }
}
