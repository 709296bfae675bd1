// attention_backward_q: one invocation at a time, far more work each: a whole column walked downwards, the scale in every product

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

@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let scale = inverseSqrt(f32(params.d_head));
  let item: u32 = id.z;
  if (id.x < params.d_head && id.y < params.n_queries && item < params.n_batch) {
    let col = id.x;
    let query = id.y;
    let dscores_start = (item * params.n_queries + query) * params.n_keys;
    let k_start = item * params.n_keys * params.d_head + col;
    var total: f32 = 0.0;
    var key: u32 = params.n_keys;
    loop {
      if (key == 0u) {
        break;
      }
      key = key - 1u;
      total = total + (dscores[dscores_start + key] * k[k_start + key * params.d_head]) * scale;
    }
    dq[(item * params.n_queries + query) * params.d_head + col] = total;
  }
}
