// row_max: out[r] = max_c x[r, c]
//
// Stage     00_first_kernel
// Source    the same as x.max(axis=1) in NumPy
// Shapes    x: (n_rows, n_cols) f32; out: (n_rows) f32; row-major
// Bindings  0 params uniform | 1 x read | 2 out read_write
// Dispatch  workgroups = (n_rows, 1, 1): one per row; 1 <= n_rows <= 65535, n_cols >= 1
// Guard     arrays may be longer than the data; nothing past the end is read or written;
//           workgroup memory may arrive filled with junk
// Numerics  exact, in any order; x may hold -inf, whole rows of it too, but no NaN

struct Params {
  n_rows: u32,
  n_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

// The halves swap at every round, so that in the end every lane holds the maximum and writes it.
const SIZE = 64u;
var<workgroup> largest: array<f32, SIZE>;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group_id.x * params.n_cols;
  // Columns past the end are the last column again.
  let n_rounds = (params.n_cols + SIZE - 1u) / SIZE;
  var mine = x[first];
  for (var round = 0u; round < n_rounds; round++) {
    mine = max(mine, x[first + min(round * SIZE + lane, params.n_cols - 1u)]);
  }
  for (var bit = 1u; bit < SIZE; bit <<= 1u) {
    largest[lane] = mine;
    workgroupBarrier();
    mine = max(mine, largest[lane ^ bit]);
    workgroupBarrier();
  }
  out[group_id.x] = mine;
}
