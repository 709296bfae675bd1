// softmax_forward: 256 invocations, trees with growing strides in functions, a finite lowest number

struct Params {
  n_rows: u32,
  n_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

const SIZE: u32 = 256u;
var<workgroup> maxima: array<f32, SIZE>;
var<workgroup> sums: array<f32, SIZE>;

fn row_maximum(lane: u32, value: f32) -> f32 {
  maxima[lane] = value;
  for (var stride = 1u; stride < SIZE; stride = stride << 1u) {
    workgroupBarrier();
    if (lane % (2u * stride) == 0u) {
      maxima[lane] = max(maxima[lane], maxima[lane + stride]);
    }
  }
  workgroupBarrier();
  return maxima[0];
}

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

const LOWEST = -0x1.fffffep+127f;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group_id.x * params.n_cols;
  var top = LOWEST;
  for (var c = lane; c < params.n_cols; c += SIZE) {
    top = max(top, x[first + c]);
  }
  top = row_maximum(lane, top);
  var total = 0.0;
  for (var c = lane; c < params.n_cols; c += SIZE) {
    total += exp(x[first + c] - top);
  }
  let inverse = 1.0 / row_total(lane, total);
  for (var c = lane; c < params.n_cols; c += SIZE) {
    out[first + c] = exp(x[first + c] - top) * inverse;
  }
}
