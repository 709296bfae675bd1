// attention_scores: one invocation at a time, far more work each: a whole column walked downwards, the scale in every product

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

@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let scale = inverseSqrt(f32(params.d_head));
  let item: u32 = id.z;
  if (id.x < params.n_keys && id.y < params.n_queries && item < params.n_batch) {
    let key = id.x;
    let query = id.y;
    let query_start = (item * params.n_queries + query) * params.d_head;
    let key_start = (item * params.n_keys + key) * params.d_head;
    var total: f32 = 0.0;
    var e: u32 = params.d_head;
    loop {
      if (e == 0u) {
        break;
      }
      e = e - 1u;
      total = total + (q[query_start + e] * k[key_start + e]) * scale;
    }
    scores[(item * params.n_queries + query) * params.n_keys + key] = total;
  }
}
