// attention_backward_attn: one invocation at a time, far more work each: a whole column walked downwards

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

@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let item: u32 = id.z;
  if (id.x < params.n_keys && id.y < params.n_queries && item < params.n_batch) {
    let key = id.x;
    let query = id.y;
    let dout_start = (item * params.n_queries + query) * params.d_v;
    let v_start = (item * params.n_keys + key) * params.d_v;
    var total: f32 = 0.0;
    var e: u32 = params.d_v;
    loop {
      if (e == 0u) {
        break;
      }
      e = e - 1u;
      total = total + dout[dout_start + e] * v[v_start + e];
    }
    dattn[(item * params.n_queries + query) * params.n_keys + key] = total;
  }
}
