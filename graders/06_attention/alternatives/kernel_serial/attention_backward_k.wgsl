// attention_backward_k: one invocation at a time, far more work each: a whole column walked downwards, the scale in every product

struct Params {
  n_batch: u32,
  n_queries: u32,
  n_keys: u32,
  d_head: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dscores: array<f32>;
@group(0) @binding(2) var<storage, read> q: array<f32>;
@group(0) @binding(3) var<storage, read_write> dk: array<f32>;

@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let scale = inverseSqrt(f32(params.d_head));
  let item: u32 = id.z;
  if (id.x < params.d_head && id.y < params.n_keys && item < params.n_batch) {
    let col = id.x;
    let key = id.y;
    let dscores_start = item * params.n_queries * params.n_keys + key;
    let q_start = item * params.n_queries * params.d_head + col;
    var total: f32 = 0.0;
    var query: u32 = params.n_queries;
    loop {
      if (query == 0u) {
        break;
      }
      query = query - 1u;
      total = total + (dscores[dscores_start + query * params.n_keys] * q[q_start + query * params.d_head]) * scale;
    }
    dk[(item * params.n_keys + key) * params.d_head + col] = total;
  }
}
