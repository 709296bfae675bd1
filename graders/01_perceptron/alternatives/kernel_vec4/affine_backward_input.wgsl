// affine_backward_input: four products at a time by dot of two vec4f, the rest one by one

struct Params {
  n_rows: u32,
  d_in: u32,
  d_out: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

fn left(row: u32, k: u32) -> f32 {
  return dout[row * params.d_out + k];
}

fn right(k: u32, col: u32) -> f32 {
  return w[col * params.d_out + k];
}

@compute @workgroup_size(16, 4)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let at = global_id.yx;
  if (any(at >= vec2u(params.n_rows, params.d_in))) {
    return;
  }
  var sum = 0.0;
  var k = 0u;
  for (; k + 4u <= params.d_out; k += 4u) {
    let a = vec4f(left(at.x, k), left(at.x, k + 1u), left(at.x, k + 2u), left(at.x, k + 3u));
    let b_values = vec4f(right(k, at.y), right(k + 1u, at.y), right(k + 2u, at.y), right(k + 3u, at.y));
    sum += dot(a, b_values);
  }
  for (; k < params.d_out; k++) {
    sum += left(at.x, k) * right(k, at.y);
  }
  dx[at.x * params.d_in + at.y] = sum;
}
