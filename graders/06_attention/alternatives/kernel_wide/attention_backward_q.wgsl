// attention_backward_q: 32 by 4 invocations, four sums side by side, added at the end

struct Params {
  n_batch: u32,
  n_queries: u32,
  n_keys: u32,
  d_head: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dscores: array<f32>;
@group(0) @binding(2) var<storage, read> k: array<f32>;
@group(0) @binding(3) var<storage, read_write> dq: array<f32>;

@compute @workgroup_size(32, 4, 1)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  if (any(global_id >= vec3u(params.d_head, params.n_queries, params.n_batch))) {
    return;
  }
  let col = global_id.x;
  let query = global_id.y;
  let item = global_id.z;
  let dscores_start = (item * params.n_queries + query) * params.n_keys;
  let k_start = item * params.n_keys * params.d_head + col;
  var parts = vec4f(0.0);
  for (var key = 0u; key < params.n_keys; key += 1u) {
    let slot = key & 3u;
    parts[slot] = fma(dscores[dscores_start + key], k[k_start + key * params.d_head], parts[slot]);
  }
  let total = (parts.x + parts.y) + (parts.z + parts.w);
  dq[(item * params.n_queries + query) * params.d_head + col] = total * inverseSqrt(f32(params.d_head));
}
