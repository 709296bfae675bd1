// cross_entropy_forward: 256 invocations; the lane that owns the label's class writes the loss

struct Params {
  n_rows: u32,
  n_classes: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;

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

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group_id.x * params.n_classes;
  let label = labels[group_id.x];
  var top = logits[first + min(lane, params.n_classes - 1u)];
  for (var c = lane; c < params.n_classes; c += SIZE) {
    top = max(top, logits[first + c]);
  }
  top = row_maximum(lane, top);
  var total = 0.0;
  for (var c = lane; c < params.n_classes; c += SIZE) {
    total += exp(logits[first + c] - top);
  }
  total = row_total(lane, total);
  if (label < 0) {
    if (lane == 0u) {
      losses[group_id.x] = 0.0;
    }
  } else if (u32(label) % SIZE == lane) {
    losses[group_id.x] = log(total) + top - logits[first + u32(label)];
  }
}
