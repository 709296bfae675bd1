// affine_backward_bias: four rows at a time in a vec4f

struct Params {
  n_rows: u32,
  d_out: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read_write> db: array<f32>;

@compute @workgroup_size(128)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let col = global_id.x;
  if (col >= params.d_out) {
    return;
  }
  var sums = vec4f();
  var r = 0u;
  loop {
    if (r + 4u > params.n_rows) {
      break;
    }
    for (var lane = 0u; lane < 4u; lane++) {
      sums[lane] += dout[(r + lane) * params.d_out + col];
    }
    continuing {
      r += 4u;
    }
  }
  var rest = 0.0;
  while (r < params.n_rows) {
    rest += dout[r * params.d_out + col];
    r++;
  }
  db[col] = dot(sums, vec4f(1.0)) + rest;
}
