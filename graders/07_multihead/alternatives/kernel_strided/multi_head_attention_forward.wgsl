// multi_head_attention_forward: a lane per key; each keeps its own maximum, sum and column; a tree joins them at the end

struct Params {
  n_batch: u32,
  n_masks: u32,
  n_queries: u32,
  n_keys: u32,
  n_heads: u32,
  d_head: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<f32>;
@group(0) @binding(2) var<storage, read> k: array<f32>;
@group(0) @binding(3) var<storage, read> v: array<f32>;
@group(0) @binding(4) var<storage, read> mask: array<u32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

const LANES = 64u;
// The maximum, the sum of exponentials measured from it, and that sum weighted with one column of v.
var<workgroup> parts: array<vec3f, LANES>;

fn joined(a: vec3f, b: vec3f) -> vec3f {
  if (a.y == 0.0 || b.y == 0.0) {
    return select(a, b, a.y == 0.0);
  }
  let top = max(a.x, b.x);
  return vec3f(top, a.yz * exp(a.x - top) + b.yz * exp(b.x - top));
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let width = params.n_heads * params.d_head;
  let of_q = (id.z * params.n_queries + id.x) * width + id.y * params.d_head;
  let of_kv = id.z * params.n_keys * width + id.y * params.d_head;
  let of_mask = (id.z * params.n_masks / params.n_batch * params.n_queries + id.x) * params.n_keys;
  let scale = inverseSqrt(f32(params.d_head));

  for (var j = 0u; j < params.d_head; j++) {
    var mine = vec3f(0.0);
    for (var t = lane; t < params.n_keys; t += LANES) {
      if (mask[of_mask + t] == 0u) {
        continue;
      }
      var score = 0.0;
      for (var e = 0u; e < params.d_head; e++) {
        score = fma(q[of_q + e] * scale, k[of_kv + t * width + e], score);
      }
      mine = joined(mine, vec3f(score, 1.0, v[of_kv + t * width + j]));
    }
    parts[lane] = mine;
    for (var reach = LANES / 2u; reach > 0u; reach >>= 1u) {
      workgroupBarrier();
      if (lane < reach) {
        parts[lane] = joined(parts[lane], parts[lane + reach]);
      }
    }
    if (lane == 0u) {
      let whole = parts[0];
      out[of_q + j] = select(0.0, whole.z / max(whole.y, 1.0), whole.y > 0.0);
    }
    workgroupBarrier();
  }
}
