// softmax_backward: 32 invocations, neighbouring columns to one lane, the row's total by lane 0 alone

struct Params {
  n_rows: u32,
  n_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

const SIZE = 32u;
var<workgroup> partial: array<f32, SIZE>;
var<workgroup> total: f32;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  let first = group_id.x * params.n_cols;
  let share = (params.n_cols + SIZE - 1u) / SIZE;
  let begin = min(local_id.x * share, params.n_cols);
  let end = min(begin + share, params.n_cols);
  var sum = 0.0;
  for (var c = begin; c < end; c++) {
    sum += dout[first + c] * out[first + c];
  }
  partial[local_id.x] = sum;
  workgroupBarrier(); // all parts are stored
  if (local_id.x == 0u) {
    var all = 0.0;
    for (var lane = 0u; lane < SIZE; lane++) {
      all += partial[lane];
    }
    total = all;
  }
  workgroupBarrier(); // the total is stored
  for (var c = begin; c < end; c++) {
    dx[first + c] = out[first + c] * (dout[first + c] - total);
  }
}
