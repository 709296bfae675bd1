// split_heads: 256 invocations; head and column in one go: block is what lies between two positions

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
  let block = params.n_heads * params.d_head;
  let row = i / block;
  let column = i - row * block;
  let h = column / params.d_head;
  if (row < params.n_batch * params.seq) {
    let b = row / params.seq;
    let t = row - b * params.seq;
    let target_row = b * params.n_heads * params.seq + h * params.seq + t;
    out[target_row * params.d_head + column - h * params.d_head] = x[i];
  }
}
