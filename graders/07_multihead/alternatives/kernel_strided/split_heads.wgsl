// split_heads: each invocation moves four neighbours; the last one may have fewer

struct Params {
  n_batch: u32,
  seq: u32,
  n_heads: u32,
  d_head: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

const EACH = 4u;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let d_model = params.n_heads * params.d_head;
  let end = params.n_batch * params.seq * d_model;
  let first = EACH * global_id.x;
  for (var i = first; i < min(first + EACH, end); i++) {
    let row = i / d_model;
    let column = i % d_model;
    let piece = (row / params.seq * params.n_heads + column / params.d_head) * params.seq + row % params.seq;
    out[piece * params.d_head + column % params.d_head] = x[i];
  }
}
