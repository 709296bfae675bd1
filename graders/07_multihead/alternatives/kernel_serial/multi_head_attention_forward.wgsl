// multi_head_attention_forward: one invocation does it all: the largest score, then the weights' sum, then one column after the other

struct Params {
  n_batch: u32,
  n_masks: u32,
  n_queries: u32,
  n_keys: u32,
  n_heads: u32,
  d_head: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<f32>;
@group(0) @binding(2) var<storage, read> k: array<f32>;
@group(0) @binding(3) var<storage, read> v: array<f32>;
@group(0) @binding(4) var<storage, read> mask: array<u32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

fn score(query: u32, key: u32) -> f32 {
  var sum = 0.0;
  for (var j = 0u; j < params.d_head; j++) {
    sum += q[query + j] * k[key + j];
  }
  return sum * inverseSqrt(f32(params.d_head));
}

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) id: vec3u) {
  let d_model = params.n_heads * params.d_head;
  let query = (id.z * params.n_queries + id.x) * d_model + id.y * params.d_head;
  let first_key = id.z * params.n_keys * d_model + id.y * params.d_head;
  let first_mask = (id.z * params.n_masks / params.n_batch * params.n_queries + id.x) * params.n_keys;
  var top = -3e38;
  for (var t = 0u; t < params.n_keys; t++) {
    if (mask[first_mask + t] > 0u) {
      top = max(top, score(query, first_key + t * d_model));
    }
  }
  var total = 0.0;
  for (var j = 0u; j < params.d_head; j++) {
    out[query + j] = 0.0;
  }
  for (var t = 0u; t < params.n_keys; t++) {
    if (mask[first_mask + t] > 0u) {
      let weight = exp(score(query, first_key + t * d_model) - top);
      total += weight;
      for (var j = 0u; j < params.d_head; j++) {
        out[query + j] += weight * v[first_key + t * d_model + j];
      }
    }
  }
  if (total > 0.0) {
    for (var j = 0u; j < params.d_head; j++) {
      out[query + j] /= total;
    }
  }
}
