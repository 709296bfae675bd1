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

// Atomics on integers that are ordered as the floats are.
var<workgroup> best: atomic<u32>;

fn to_ordered(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}

fn from_ordered(bits: u32) -> f32 {
  return bitcast<f32>(select(~bits, bits & 0x7fffffffu, (bits & 0x80000000u) != 0u));
}

@compute @workgroup_size(48)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  if (local_id.x == 0u) {
    atomicStore(&best, 0u);
  }
  workgroupBarrier();
  for (var col = local_id.x; col < params.n_cols; col += 48u) {
    atomicMax(&best, to_ordered(x[group_id.x * params.n_cols + col]));
  }
  workgroupBarrier();
  if (local_id.x == 47u) {
    out[group_id.x] = from_ordered(atomicLoad(&best));
  }
}
