// cross_entropy_backward: 128 invocations, four classes each in a vec4f

struct Params {
  n_rows: u32,
  n_classes: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read_write> dlogits: array<f32>;

const SIZE = 128u;
var<workgroup> partial: array<f32, SIZE>;

const LOWEST = -0x1.fffffep+127f;

// Four columns from c on; past the end of the row they are `fill`.
fn load(first: u32, c: u32, fill: f32) -> vec4f {
  var four = vec4f(fill);
  for (var i = 0u; i < min(4u, params.n_classes - c); i++) {
    four[i] = logits[first + c + i];
  }
  return four;
}

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group_id.x * params.n_classes;
  var tops = vec4f(logits[first]);
  for (var c = 4u * lane; c < params.n_classes; c += 4u * SIZE) {
    tops = max(tops, load(first, c, logits[first]));
  }
  let highest = max(max(tops.x, tops.y), max(tops.z, tops.w));
  partial[lane] = highest;
  workgroupBarrier();
  for (var half = SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      partial[lane] = max(partial[lane], partial[lane + half]);
    }
    workgroupBarrier();
  }
  let top = workgroupUniformLoad(&partial[0]);
  var sums = vec4f(0.0);
  for (var c = 4u * lane; c < params.n_classes; c += 4u * SIZE) {
    sums += exp(load(first, c, LOWEST) - top);
  }
  partial[lane] = dot(sums, vec4f(1.0));
  workgroupBarrier();
  for (var half = SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      partial[lane] = partial[lane] + partial[lane + half];
    }
    workgroupBarrier();
  }
  let total = workgroupUniformLoad(&partial[0]);
  let label = labels[group_id.x];
  for (var c = 4u * lane; c < params.n_classes; c += 4u * SIZE) {
    let four = exp(load(first, c, LOWEST) - top) / total;
    for (var i = 0u; i < min(4u, params.n_classes - c); i++) {
      let difference = select(four[i], four[i] - 1.0, u32(label) == c + i);
      dlogits[first + c + i] = select(params.scale * difference, 0.0, label == -1);
    }
  }
}
