// attention_backward_v: 64 by 1 invocations that stride over the whole grid; products of four at a time, then the rest

struct Params {
  n_batch: u32,
  n_queries: u32,
  n_keys: u32,
  d_v: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> attn: array<f32>;
@group(0) @binding(2) var<storage, read> dout: array<f32>;
@group(0) @binding(3) var<storage, read_write> dv: array<f32>;

const LANES = 64u;

fn left(item: u32, key: u32, query: u32) -> f32 {
  return attn[(item * params.n_queries + query) * params.n_keys + key];
}

fn right(item: u32, query: u32, col: u32) -> f32 {
  return dout[(item * params.n_queries + query) * params.d_v + col];
}

fn product(item: u32, key: u32, col: u32) -> f32 {
  var sum = 0.0;
  var n = 0u;
  for (; n + 4u <= params.n_queries; n += 4u) {
    let a = vec4f(left(item, key, n), left(item, key, n + 1u), left(item, key, n + 2u), left(item, key, n + 3u));
    let b = vec4f(right(item, n, col), right(item, n + 1u, col), right(item, n + 2u, col), right(item, n + 3u, col));
    sum += dot(a, b);
  }
  for (; n < params.n_queries; n++) {
    sum += left(item, key, n) * right(item, n, col);
  }
  return sum;
}

@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) start: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var item = start.z; item < params.n_batch; item += groups.z) {
    for (var key = start.y; key < params.n_keys; key += groups.y) {
      for (var col = start.x; col < params.d_v; col += groups.x * LANES) {
        dv[(item * params.n_keys + key) * params.d_v + col] = product(item, key, col);
      }
    }
  }
}
