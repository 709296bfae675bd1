// affine_backward_bias: one invocation per workgroup, the sum taken backwards

struct Params {
  n_rows: u32,
  d_out: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read_write> db: array<f32>;

@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < params.d_out) {
    var total: f32 = 0.0;
    var r: u32 = params.n_rows;
    while (r > 0u) {
      r = r - 1u;
      total = total + dout[r * params.d_out + id.x];
    }
    db[id.x] = total;
  }
}
