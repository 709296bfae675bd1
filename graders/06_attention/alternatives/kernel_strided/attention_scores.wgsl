// attention_scores: 64 by 1 invocations that stride over the whole grid; products of four at a time, then the rest

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

const LANES = 64u;

fn left(item: u32, query: u32, e: u32) -> f32 {
  return q[(item * params.n_queries + query) * params.d_head + e];
}

fn right(item: u32, e: u32, key: u32) -> f32 {
  return k[(item * params.n_keys + key) * params.d_head + e];
}

fn product(item: u32, query: u32, key: u32) -> f32 {
  var sum = 0.0;
  var n = 0u;
  for (; n + 4u <= params.d_head; n += 4u) {
    let a = vec4f(left(item, query, n), left(item, query, n + 1u), left(item, query, n + 2u), left(item, query, n + 3u));
    let b = vec4f(right(item, n, key), right(item, n + 1u, key), right(item, n + 2u, key), right(item, n + 3u, key));
    sum += dot(a, b);
  }
  for (; n < params.d_head; n++) {
    sum += left(item, query, n) * right(item, n, key);
  }
  return sum;
}

@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) start: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var item = start.z; item < params.n_batch; item += groups.z) {
    for (var query = start.y; query < params.n_queries; query += groups.y) {
      for (var key = start.x; key < params.n_keys; key += groups.x * LANES) {
        scores[(item * params.n_queries + query) * params.n_keys + key] = product(item, query, key) / sqrt(f32(params.d_head));
      }
    }
  }
}
