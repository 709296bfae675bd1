// cross_entropy_backward: one invocation per row, the probability by its logarithm, the label's element last

struct Params {
  n_rows: u32,
  n_classes: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read_write> dlogits: array<f32>;

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3<u32>) {
  let label = labels[group.x];
  let first = group.x * params.n_classes;
  if (label < 0) {
    for (var c = 0u; c < params.n_classes; c++) {
      dlogits[first + c] = 0.0;
    }
    return;
  }
  var top = logits[first];
  for (var c = 1u; c < params.n_classes; c++) {
    top = max(top, logits[first + c]);
  }
  var total = 0.0;
  for (var c = 0u; c < params.n_classes; c++) {
    total += exp(logits[first + c] - top);
  }
  for (var c = 0u; c < params.n_classes; c++) {
    dlogits[first + c] = params.scale * (exp(logits[first + c] - top) / total);
  }
  let i = first + u32(label);
  dlogits[i] = dlogits[i] - params.scale;
}
