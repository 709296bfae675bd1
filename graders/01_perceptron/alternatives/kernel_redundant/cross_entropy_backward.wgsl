// cross_entropy_backward: lanes trade in pairs; the reciprocal of the sum, scaled once

struct Params {
  n_rows: u32,
  n_classes: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read_write> dlogits: array<f32>;

const SIZE = 64u;
var<workgroup> shared_values: array<f32, SIZE>;

// Every lane trades with the lane whose number differs in one bit; in the end all hold the same.
fn trade(lane: u32, bit: u32, mine: f32) -> f32 {
  shared_values[lane] = mine;
  workgroupBarrier();
  let theirs = shared_values[lane ^ bit];
  workgroupBarrier();
  return theirs;
}

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  let lane = local_id.x;
  let first = group_id.x * params.n_classes;
  let end = first + params.n_classes;
  var top = logits[end - 1u];
  for (var i = first + lane; i < end; i += SIZE) {
    top = select(top, logits[i], logits[i] > top);
  }
  for (var bit = SIZE / 2u; bit > 0u; bit >>= 1u) {
    top = max(top, trade(lane, bit, top));
  }
  var total = 0.0;
  for (var i = first + lane; i < end; i += SIZE) {
    total += exp(logits[i] - top);
  }
  for (var bit = SIZE / 2u; bit > 0u; bit >>= 1u) {
    total += trade(lane, bit, total);
  }
  let label = labels[group_id.x];
  var scale = params.scale;
  if (label < 0) {
    scale = 0.0;
  }
  let scaled = scale / total;
  for (var i = first + lane; i < end; i += SIZE) {
    let hit = select(0.0, scale, i32(i - first) == label);
    dlogits[i] = exp(logits[i] - top) * scaled - hit;
  }
}
