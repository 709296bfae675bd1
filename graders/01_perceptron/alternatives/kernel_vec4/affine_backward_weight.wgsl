// affine_backward_weight: four products at a time by dot of two vec4f, the rest one by one

struct Params {
  n_rows: u32,
  d_in: u32,
  d_out: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dout: array<f32>;
@group(0) @binding(3) var<storage, read_write> dw: array<f32>;

fn left(row: u32, k: u32) -> f32 {
  return x[k * params.d_in + row];
}

fn right(k: u32, col: u32) -> f32 {
  return dout[k * params.d_out + col];
}

@compute @workgroup_size(16, 4)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let at = global_id.yx;
  if (any(at >= vec2u(params.d_in, params.d_out))) {
    return;
  }
  var sum = 0.0;
  var k = 0u;
  for (; k + 4u <= params.n_rows; k += 4u) {
    let a = vec4f(left(at.x, k), left(at.x, k + 1u), left(at.x, k + 2u), left(at.x, k + 3u));
    let b_values = vec4f(right(k, at.y), right(k + 1u, at.y), right(k + 2u, at.y), right(k + 3u, at.y));
    sum += dot(a, b_values);
  }
  for (; k < params.n_rows; k++) {
    sum += left(at.x, k) * right(k, at.y);
  }
  dw[at.x * params.d_out + at.y] = sum;
}
