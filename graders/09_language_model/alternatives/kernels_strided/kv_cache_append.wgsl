// kv_cache_append: one invocation per dimension walks through the sequences

struct Params {
  n_batch: u32,
  max_seq: u32,
  d_head: u32,
  position: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> entry: array<f32>;
@group(0) @binding(2) var<storage, read_write> cache: array<f32>;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  let d = group_id.x * 32u + local_id.x;
  if (d < params.d_head && params.position < params.max_seq) {
    var to = params.position * params.d_head + d;
    for (var b = 0u; b < params.n_batch; b++) {
      cache[to] = entry[b * params.d_head + d];
      to += params.max_seq * params.d_head;
    }
  }
}
