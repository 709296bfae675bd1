// affine_relu_forward: one invocation per workgroup, the sum taken backwards

struct Params {
  n_rows: u32,
  d_in: u32,
  d_out: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.y < params.n_rows && id.x < params.d_out) {
    var total: f32 = 0.0;
    var k: u32 = params.d_in;
    while (k > 0u) {
      k = k - 1u;
      total = total + x[id.y * params.d_in + k] * w[k * params.d_out + id.x];
    }
    total = total + b[id.x];
    out[id.y * params.d_out + id.x] = select(0.0, total, total > 0.0);
  }
}
