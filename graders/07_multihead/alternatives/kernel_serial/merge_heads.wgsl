// merge_heads: counts the numbers of out and looks for where each comes from; one invocation per workgroup

struct Params {
  n_batch: u32,
  seq: u32,
  n_heads: u32,
  d_head: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group_id: vec3u) {
  let n = params.n_batch * params.n_heads * params.seq * params.d_head;
  var rest = group_id.x;
  if (rest < n) {
    let j = rest % params.d_head;
    rest /= params.d_head;
    let h = rest % params.n_heads;
    rest /= params.n_heads;
    let t = rest % params.seq;
    let b = rest / params.seq;
    out[group_id.x] = x[b * params.n_heads * params.seq * params.d_head + h * params.seq * params.d_head
      + t * params.d_head + j];
  }
}
