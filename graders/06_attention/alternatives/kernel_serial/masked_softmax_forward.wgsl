// masked_softmax_forward: one invocation per row, three loops, the exponentials stored and then divided in place

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

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3<u32>) {
  let row = group.y * params.n_queries + group.x;
  let first = row * params.n_keys;
  let shared_by = params.n_batch / params.n_masks;
  let mask_first = (group.y / shared_by * params.n_queries + group.x) * params.n_keys;

  var found = false;
  var top: f32 = 0.0;
  for (var j: u32 = 0u; j < params.n_keys; j = j + 1u) {
    if (mask[mask_first + j] == 0u) {
      continue;
    }
    if (!found || scores[first + j] > top) {
      top = scores[first + j];
    }
    found = true;
  }
  var total: f32 = 0.0;
  for (var j: u32 = 0u; j < params.n_keys; j = j + 1u) {
    attn[first + j] = 0.0;
    if (mask[mask_first + j] != 0u) {
      attn[first + j] = exp(scores[first + j] - top);
      total = total + attn[first + j];
    }
  }
  if (!found) {
    return;
  }
  for (var j: u32 = 0u; j < params.n_keys; j = j + 1u) {
    attn[first + j] = attn[first + j] / total;
  }
}
