// merge_heads: 64 invocations that stride over the places of out, however many workgroups there are

struct Params {
  n_batch: u32,
  seq: u32,
  n_heads: u32,
  d_head: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

const LANES = 64u;

@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) global_id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let d_model = params.n_heads * params.d_head;
  let end = params.n_batch * params.seq * d_model;
  for (var place = global_id.x; place < end; place += groups.x * LANES) {
    let row = place / d_model;
    let column = place - row * d_model;
    let item = row / params.seq;
    let head = item * params.n_heads + column / params.d_head;
    let moved = head * params.seq + row - item * params.seq;
    out[place] = x[moved * params.d_head + column % params.d_head];
  }
}
