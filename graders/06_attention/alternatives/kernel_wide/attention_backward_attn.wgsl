// attention_backward_attn: 32 by 4 invocations, four sums side by side, added at the end

struct Params {
  n_batch: u32,
  n_queries: u32,
  n_keys: u32,
  d_v: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> v: array<f32>;
@group(0) @binding(3) var<storage, read_write> dattn: array<f32>;

@compute @workgroup_size(32, 4, 1)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  if (any(global_id >= vec3u(params.n_keys, params.n_queries, params.n_batch))) {
    return;
  }
  let key = global_id.x;
  let query = global_id.y;
  let item = global_id.z;
  let dout_start = (item * params.n_queries + query) * params.d_v;
  let v_start = (item * params.n_keys + key) * params.d_v;
  var parts = vec4f(0.0);
  for (var e = 0u; e < params.d_v; e += 1u) {
    let slot = e & 3u;
    parts[slot] = fma(dout[dout_start + e], v[v_start + e], parts[slot]);
  }
  let total = (parts.x + parts.y) + (parts.z + parts.w);
  dattn[(item * params.n_queries + query) * params.n_keys + key] = total;
}
