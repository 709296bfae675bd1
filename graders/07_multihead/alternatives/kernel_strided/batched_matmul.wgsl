// batched_matmul: 4 by 4 by 4 invocations; four terms at a time, then the one to three that are left

struct Params {
  n_batch: u32,
  n_rows: u32,
  n_inner: u32,
  n_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(4, 4, 4)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (any(id >= vec3u(params.n_cols, params.n_rows, params.n_batch))) {
    return;
  }
  let of_a = (id.z * params.n_rows + id.y) * params.n_inner;
  let of_b = id.z * params.n_inner * params.n_cols + id.x;
  let step = params.n_cols;
  let whole = params.n_inner / 4u * 4u;
  var sums = vec4f();
  for (var k = 0u; k < whole; k += 4u) {
    let down = of_b + k * step;
    sums += vec4f(a[of_a + k], a[of_a + k + 1u], a[of_a + k + 2u], a[of_a + k + 3u])
      * vec4f(b[down], b[down + step], b[down + 2u * step], b[down + 3u * step]);
  }
  var rest = 0.0;
  for (var k = whole; k < params.n_inner; k++) {
    rest += a[of_a + k] * b[of_b + k * step];
  }
  out[(id.z * params.n_rows + id.y) * params.n_cols + id.x] = dot(sums, vec4f(1.0)) + rest;
}
