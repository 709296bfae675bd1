// affine_backward_input: one invocation per workgroup, the sum taken backwards

struct Params {
  n_rows: u32,
  d_in: u32,
  d_out: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.y < params.n_rows && id.x < params.d_in) {
    var total: f32 = 0.0;
    var k: u32 = params.d_out;
    while (k > 0u) {
      k = k - 1u;
      total = total + dout[id.y * params.d_out + k] * w[id.x * params.d_out + k];
    }
    dx[id.y * params.d_in + id.x] = total;
  }
}
