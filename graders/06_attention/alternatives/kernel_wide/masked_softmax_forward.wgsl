// masked_softmax_forward: 256 invocations, each with a running maximum and a running sum, joined in one tree

struct Params {
  n_batch: u32,
  n_queries: u32,
  n_keys: u32,
  n_masks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<f32>;
@group(0) @binding(2) var<storage, read> mask: array<u32>;
@group(0) @binding(3) var<storage, read_write> attn: array<f32>;

const SIZE: u32 = 256u;
// x: the maximum so far; y: the sum of exponentials measured from it, 0 as long as nothing was allowed.
var<workgroup> parts: array<vec2f, SIZE>;

fn join(one: vec2f, other: vec2f) -> vec2f {
  if (one.y == 0.0) {
    return other;
  }
  if (other.y == 0.0) {
    return one;
  }
  let top = max(one.x, other.x);
  return vec2f(top, one.y * exp(one.x - top) + other.y * exp(other.x - top));
}

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = (group_id.y * params.n_queries + group_id.x) * params.n_keys;
  let mask_first = (group_id.y * params.n_masks / params.n_batch * params.n_queries + group_id.x) * params.n_keys;

  var mine = vec2f(0.0);
  for (var j = lane; j < params.n_keys; j += SIZE) {
    if (mask[mask_first + j] != 0u) {
      mine = join(mine, vec2f(scores[first + j], 1.0));
    }
  }
  parts[lane] = mine;
  for (var stride = 1u; stride < SIZE; stride = stride << 1u) {
    workgroupBarrier();
    if (lane % (2u * stride) == 0u) {
      parts[lane] = join(parts[lane], parts[lane + stride]);
    }
  }
  let whole = workgroupUniformLoad(&parts[0]);
  for (var j = lane; j < params.n_keys; j += SIZE) {
    let allowed = mask[mask_first + j] != 0u;
    attn[first + j] = select(0.0, exp(min(scores[first + j] - whole.x, 0.0)) / max(whole.y, 1.0), allowed);
  }
}
