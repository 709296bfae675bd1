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

// 100 lanes: when the number of sums is odd, the middle one waits for the next round.
var<workgroup> sums: array<f32, 100>;

@compute @workgroup_size(100)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  let lane = local_id.x;
  var sum = 0.0;
  var lost = 0.0;
  // Kahan's sum carries along what each addition has rounded away.
  for (var col = lane; col < params.n_cols; col += 100u) {
    let value = x[group_id.x * params.n_cols + col] - lost;
    let next = sum + value;
    lost = (next - sum) - value;
    sum = next;
  }
  sums[lane] = sum;
  workgroupBarrier();
  var left = 100u;
  while (left > 1u) {
    let half = (left + 1u) / 2u;
    if (lane + half < left) {
      sums[lane] += sums[lane + half];
    }
    left = half;
    workgroupBarrier();
  }
  if (lane == 0u) {
    out[group_id.x] = sums[0];
  }
}
