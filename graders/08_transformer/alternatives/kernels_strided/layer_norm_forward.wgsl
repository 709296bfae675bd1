// layer_norm_forward: nothing shared, every lane measures the whole row and writes the same mean and rstd

struct Params {
  n_rows: u32,
  d_model: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<storage, read_write> mean: array<f32>;
@group(0) @binding(6) var<storage, read_write> rstd: array<f32>;

const SIZE = 32u;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  let n = params.d_model;
  let first = group_id.x * n;
  // Two halves, from both ends.
  var sum = vec2f();
  for (var c = 0u; c < n / 2u; c++) {
    sum += vec2f(x[first + c], x[first + n - 1u - c]);
  }
  if (n % 2u == 1u) {
    sum.x += x[first + n / 2u];
  }
  let center = (sum.x + sum.y) / f32(n);
  var spread = 0.0;
  for (var c = 0u; c < n; c++) {
    spread = fma(x[first + c] - center, x[first + c] - center, spread);
  }
  let scale = inverseSqrt(fma(spread, 1.0 / f32(n), params.eps));
  mean[group_id.x] = center;
  rstd[group_id.x] = scale;
  for (var c = local_id.x; c < n; c += SIZE) {
    out[first + c] = fma(gamma[c] * scale, x[first + c] - center, beta[c]);
  }
}
