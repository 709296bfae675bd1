// affine_backward_bias: 8 columns by 8 strands of rows, added up in workgroup memory

struct Params {
  n_rows: u32,
  d_out: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read_write> db: array<f32>;

const COLS = 8u;
const STRANDS = 8u;
var<workgroup> sums: array<array<f32, COLS>, STRANDS>;

@compute @workgroup_size(COLS, STRANDS)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // The last column again, where there are no more.
  let col = min(group_id.x * COLS + local_id.x, params.d_out - 1u);
  var sum = 0.0;
  for (var r = local_id.y; r < params.n_rows; r += STRANDS) {
    sum += dout[r * params.d_out + col];
  }
  sums[local_id.y][local_id.x] = sum;
  workgroupBarrier(); // all strands are stored
  var total = 0.0;
  for (var strand = 0u; strand < STRANDS; strand++) {
    total += sums[strand][local_id.x];
  }
  // All strands write the same total to the same place.
  db[col] = total;
}
