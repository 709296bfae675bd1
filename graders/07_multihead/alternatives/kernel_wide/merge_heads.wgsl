// merge_heads: 256 invocations; one row is one head at one position

struct Params {
  n_batch: u32,
  seq: u32,
  n_heads: u32,
  d_head: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

const SIZE = 256u;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = group_id.x * SIZE + lane;
  let row = i / params.d_head;
  let per_item = params.n_heads * params.seq;
  if (row < params.n_batch * per_item) {
    let b = row / per_item;
    let h = (row - b * per_item) / params.seq;
    let t = row - b * per_item - h * params.seq;
    out[(b * params.seq + t) * params.n_heads * params.d_head + h * params.d_head + i % params.d_head] = x[i];
  }
}
