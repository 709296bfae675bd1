// multi_head_attention_forward: one walk: the weights so far shrink whenever a larger score comes up. Every lane sees every key, so nothing is shared

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

const SIZE = 32u;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let d_model = params.n_heads * params.d_head;
  let query = (id.z * params.n_queries + id.x) * d_model + id.y * params.d_head;
  let item_mask = id.z / (params.n_batch / params.n_masks);
  for (var j = lane; j < params.d_head; j += SIZE) {
    var top = 0.0;
    var total = 0.0;
    var sum = 0.0;
    var seen = false;
    for (var t = 0u; t < params.n_keys; t++) {
      if (mask[(item_mask * params.n_queries + id.x) * params.n_keys + t] == 0u) {
        continue;
      }
      let key = (id.z * params.n_keys + t) * d_model + id.y * params.d_head;
      var score = 0.0;
      for (var n = 0u; n < params.d_head; n++) {
        score += q[query + n] * k[key + n];
      }
      score /= sqrt(f32(params.d_head));
      if (!seen || score > top) {
        let shrink = select(0.0, exp(min(top - score, 0.0)), seen);
        total *= shrink;
        sum *= shrink;
        top = score;
        seen = true;
      }
      let weight = exp(score - top);
      total += weight;
      sum += weight * v[key + j];
    }
    if (seen) {
      out[query + j] = sum / total;
    } else {
      out[query + j] = 0.0;
    }
  }
}
