// masked_softmax_backward: 256 invocations, a tree with growing strides in a function

struct Params {
  n_batch: u32,
  n_queries: u32,
  n_keys: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dattn: array<f32>;
@group(0) @binding(2) var<storage, read> attn: array<f32>;
@group(0) @binding(3) var<storage, read_write> dscores: array<f32>;

const SIZE: u32 = 256u;
var<workgroup> sums: array<f32, SIZE>;

fn row_total(lane: u32, value: f32) -> f32 {
  sums[lane] = value;
  for (var stride = 1u; stride < SIZE; stride = stride << 1u) {
    workgroupBarrier();
    if (lane % (2u * stride) == 0u) {
      sums[lane] = sums[lane] + sums[lane + stride];
    }
  }
  workgroupBarrier();
  return sums[0];
}

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = (group_id.y * params.n_queries + group_id.x) * params.n_keys;
  var part = 0.0;
  for (var j = lane; j < params.n_keys; j += SIZE) {
    part = fma(dattn[first + j], attn[first + j], part);
  }
  let total = row_total(lane, part);
  for (var j = lane; j < params.n_keys; j += SIZE) {
    let i = first + j;
    dscores[i] = (dattn[i] - total) * attn[i];
  }
}
