// softmax_backward: 256 invocations, a tree with growing strides in a function

struct Params {
  n_rows: u32,
  n_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

const SIZE: u32 = 256u;
var<workgroup> sums: array<f32, SIZE>;

fn row_total(lane: u32, value: f32) -> f32 {
  sums[lane] = value;
  for (var stride = 1u; stride < SIZE; stride = stride << 1u) {
    workgroupBarrier();
    if (lane % (2u * stride) == 0u) {
      sums[lane] = sums[lane] + sums[lane + stride];
    }
  }
  workgroupBarrier();
  return sums[0];
}

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group_id.x * params.n_cols;
  var part = 0.0;
  for (var c = lane; c < params.n_cols; c += SIZE) {
    part = fma(dout[first + c], out[first + c], part);
  }
  let total = row_total(lane, part);
  for (var c = lane; c < params.n_cols; c += SIZE) {
    let i = first + c;
    dx[i] = (dout[i] - total) * out[i];
  }
}
