// row_sum: out[r] = sum_c x[r, c]
//
// Stage     00_first_kernel
// Source    the same as x.sum(axis=1) in NumPy
// Shapes    x: (n_rows, n_cols) f32; out: (n_rows) f32; row-major
// Bindings  0 params uniform | 1 x read | 2 out read_write
// Dispatch  workgroups = (n_rows, 1, 1): one per row; 1 <= n_rows <= 65535, n_cols >= 1
// Guard     arrays may be longer than the data; nothing past the end is read or written;
//           workgroup memory may arrive filled with junk
// Numerics  f32, any order of additions

struct Params {
  n_rows: u32,
  n_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

// Neighbours first: the distance doubles instead of halving.
var<workgroup> shared_sum: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_index) lane: u32) {
  shared_sum[lane] = 0.0;
  for (var col = lane; col < params.n_cols; col += 256u) {
    shared_sum[lane] += x[group_id.x * params.n_cols + col];
  }
  for (var distance = 1u; distance < 256u; distance *= 2u) {
    workgroupBarrier();
    if (lane % (2u * distance) == 0u) {
      shared_sum[lane] += shared_sum[lane + distance];
    }
  }
  if (lane == 0u) {
    out[group_id.x] = shared_sum[0];
  }
}
