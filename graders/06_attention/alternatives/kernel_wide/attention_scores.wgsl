// attention_scores: 32 by 4 invocations, four sums side by side, added at the end

struct Params {
  n_batch: u32,
  n_queries: u32,
  n_keys: u32,
  d_head: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<f32>;
@group(0) @binding(2) var<storage, read> k: array<f32>;
@group(0) @binding(3) var<storage, read_write> scores: array<f32>;

@compute @workgroup_size(32, 4, 1)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  if (any(global_id >= vec3u(params.n_keys, params.n_queries, params.n_batch))) {
    return;
  }
  let key = global_id.x;
  let query = global_id.y;
  let item = global_id.z;
  let query_start = (item * params.n_queries + query) * params.d_head;
  let key_start = (item * params.n_keys + key) * params.d_head;
  var parts = vec4f(0.0);
  for (var e = 0u; e < params.d_head; e += 1u) {
    let slot = e & 3u;
    parts[slot] = fma(q[query_start + e], k[key_start + e], parts[slot]);
  }
  let total = (parts.x + parts.y) + (parts.z + parts.w);
  scores[(item * params.n_queries + query) * params.n_keys + key] = total * inverseSqrt(f32(params.d_head));
}
