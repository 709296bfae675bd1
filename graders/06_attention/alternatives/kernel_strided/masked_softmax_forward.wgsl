// masked_softmax_forward: four invocations that know nothing of each other: each does the whole row and stores the same

struct Params {
  n_batch: u32,
  n_queries: u32,
  n_keys: u32,
  n_masks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<f32>;
@group(0) @binding(2) var<storage, read> mask: array<u32>;
@group(0) @binding(3) var<storage, read_write> attn: array<f32>;

@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) group_id: vec3u) {
  let start = (group_id.x + params.n_queries * group_id.y) * params.n_keys;
  let masks = group_id.y * params.n_masks / params.n_batch;
  let seen = (group_id.x + params.n_queries * masks) * params.n_keys;

  // A whole number a little above the maximum serves as well: what is subtracted cancels.
  var shift = -3.4e38;
  for (var key = 0u; key < params.n_keys; key++) {
    if (mask[seen + key] > 0u) {
      shift = max(shift, ceil(scores[start + key]));
    }
  }
  var sum = 0.0;
  for (var key = 0u; key < params.n_keys; key++) {
    if (mask[seen + key] > 0u) {
      sum += exp(scores[start + key] - shift);
    }
  }
  for (var key = 0u; key < params.n_keys; key++) {
    if (mask[seen + key] > 0u) {
      attn[start + key] = exp(scores[start + key] - shift) / sum;
    } else {
      attn[start + key] = 0.0;
    }
  }
}
