// cross_entropy_forward: one invocation per row, an early return for ignored rows, the label's logit shifted too

struct Params {
  n_rows: u32,
  n_classes: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3<u32>) {
  let label = labels[group.x];
  if (label == -1) {
    losses[group.x] = 0.0;
    return;
  }
  let first = group.x * params.n_classes;
  var top = logits[first];
  for (var c = 1u; c < params.n_classes; c++) {
    top = max(top, logits[first + c]);
  }
  var total = 0.0;
  for (var c = 0u; c < params.n_classes; c++) {
    total += exp(logits[first + c] - top);
  }
  losses[group.x] = log(total) - (logits[first + u32(label)] - top);
}
