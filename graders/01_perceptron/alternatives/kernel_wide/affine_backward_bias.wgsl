// affine_backward_bias: 256 invocations, two rows at a time

struct Params {
  n_rows: u32,
  d_out: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read_write> db: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let col = global_id.x;
  if (col < params.d_out) {
    var even = 0.0;
    var odd = 0.0;
    for (var r = 0u; r + 1u < params.n_rows; r += 2u) {
      even += dout[r * params.d_out + col];
      odd += dout[(r + 1u) * params.d_out + col];
    }
    if (params.n_rows % 2u == 1u) {
      even += dout[(params.n_rows - 1u) * params.d_out + col];
    }
    db[col] = even + odd;
  }
}
