// affine_backward_bias: a grid-stride loop over the columns, 32 at a time

struct Params {
  n_rows: u32,
  d_out: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read_write> db: array<f32>;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) global_id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  for (var col = global_id.x; col < params.d_out; col += grid.x * 32u) {
    db[col] = 0.0;
    for (var r = 0u; r < params.n_rows; r++) {
      db[col] += dout[r * params.d_out + col];
    }
  }
}
