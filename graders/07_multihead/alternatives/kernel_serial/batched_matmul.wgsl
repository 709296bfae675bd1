// batched_matmul: one invocation per workgroup, the sum from the end

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

@compute @workgroup_size(1, 1, 1)
fn main(@builtin(workgroup_id) id: vec3u) {
  if (all(id < vec3u(params.n_cols, params.n_rows, params.n_batch))) {
    var sum = 0.0;
    var k = params.n_inner;
    while (k > 0u) {
      k -= 1u;
      sum = fma(a[id.z * params.n_rows * params.n_inner + id.y * params.n_inner + k],
        b[(id.z * params.n_inner + k) * params.n_cols + id.x], sum);
    }
    out[id.z * params.n_rows * params.n_cols + id.y * params.n_cols + id.x] = sum;
  }
}
