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

// A running sum over the lanes, from one array to another and back. All lanes write the same result.
const SIZE = 64u;
var<workgroup> ping: array<f32, SIZE>;
var<workgroup> pong: array<f32, SIZE>;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  let lane = local_id.x;
  var sum = 0.0;
  for (var i = group_id.x * params.n_cols + lane; i < (group_id.x + 1u) * params.n_cols; i += SIZE) {
    sum += x[i];
  }
  ping[lane] = sum;
  workgroupBarrier();
  // Two steps per round: to pong with the one distance, back to ping with its double.
  for (var distance = 1u; distance < SIZE; distance *= 4u) {
    pong[lane] = ping[lane];
    if (lane >= distance) {
      pong[lane] += ping[lane - distance];
    }
    workgroupBarrier();
    ping[lane] = pong[lane];
    if (lane >= 2u * distance) {
      ping[lane] += pong[lane - 2u * distance];
    }
    workgroupBarrier();
  }
  out[group_id.x] = ping[SIZE - 1u];
}
