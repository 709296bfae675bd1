// affine_relu_forward: invocations past an edge compute its last row or column again

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

@compute @workgroup_size(4, 8)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let row = min(global_id.y, params.n_rows - 1u);
  let col = min(global_id.x, params.d_out - 1u);
  var even = 0.0;
  var odd = b[col];
  for (var i = 0u; i < params.d_in; i++) {
    let product = x[row * params.d_in + i] * w[i * params.d_out + col];
    if ((i & 1u) == 0u) {
      even += product;
    } else {
      odd += product;
    }
  }
  out[row * params.d_out + col] = max(even + odd, 0.0);
}
