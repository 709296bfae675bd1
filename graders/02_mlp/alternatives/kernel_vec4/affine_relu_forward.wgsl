// affine_relu_forward: four products at a time by dot of two vec4f

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

fn right(k: u32, col: u32) -> f32 {
  return w[k * params.d_out + col];
}

@compute @workgroup_size(16, 4)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let at = global_id.yx;
  if (any(at >= vec2u(params.n_rows, params.d_out))) {
    return;
  }
  let start = at.x * params.d_in;
  var sum = 0.0;
  var k = 0u;
  for (; k + 4u <= params.d_in; k += 4u) {
    let inputs = vec4f(x[start + k], x[start + k + 1u], x[start + k + 2u], x[start + k + 3u]);
    sum += dot(inputs, vec4f(right(k, at.y), right(k + 1u, at.y), right(k + 2u, at.y), right(k + 3u, at.y)));
  }
  for (; k < params.d_in; k++) {
    sum += x[start + k] * right(k, at.y);
  }
  sum += b[at.y];
  out[at.x * params.d_out + at.y] = 0.5 * (sum + abs(sum));
}
