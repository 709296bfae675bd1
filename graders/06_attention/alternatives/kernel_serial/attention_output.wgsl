// attention_output: one invocation at a time, far more work each: a whole column walked downwards

struct Params {
  n_batch: u32,
  n_queries: u32,
  n_keys: u32,
  d_v: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> attn: array<f32>;
@group(0) @binding(2) var<storage, read> v: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let item: u32 = id.z;
  if (id.x < params.d_v && id.y < params.n_queries && item < params.n_batch) {
    let col = id.x;
    let query = id.y;
    let attn_start = (item * params.n_queries + query) * params.n_keys;
    let v_start = item * params.n_keys * params.d_v + col;
    var total: f32 = 0.0;
    var key: u32 = params.n_keys;
    loop {
      if (key == 0u) {
        break;
      }
      key = key - 1u;
      total = total + attn[attn_start + key] * v[v_start + key * params.d_v];
    }
    out[(item * params.n_queries + query) * params.d_v + col] = total;
  }
}
