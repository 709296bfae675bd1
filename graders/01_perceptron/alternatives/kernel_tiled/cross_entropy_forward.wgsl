// cross_entropy_forward: online, maximum and sum in one pass over the row, 32 invocations

struct Params {
  n_rows: u32,
  n_classes: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;

// A maximum and a sum of exponentials that belong together.
struct Partial {
  top: f32,
  total: f32,
}

const SIZE = 32u;
const LOWEST = -0x1.fffffep+127f;
var<workgroup> partials: array<Partial, SIZE>;

// Two parts of a row as one: the sum with the smaller maximum is scaled down.
fn merge(a: Partial, b: Partial) -> Partial {
  let top = max(a.top, b.top);
  return Partial(top, a.total * exp(a.top - top) + b.total * exp(b.top - top));
}

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  let first = group_id.x * params.n_classes;
  // One pass: LOWEST is finite, so that exp never sees inf - inf.
  var mine = Partial(LOWEST, 0.0);
  for (var c = local_id.x; c < params.n_classes; c += SIZE) {
    let value = logits[first + c];
    if (value > LOWEST) {
      mine = merge(mine, Partial(value, 1.0));
    }
  }
  partials[local_id.x] = mine;
  workgroupBarrier();
  for (var half = SIZE >> 1u; half != 0u; half >>= 1u) {
    if (local_id.x < half) {
      partials[local_id.x] = merge(partials[local_id.x], partials[local_id.x + half]);
    }
    workgroupBarrier();
  }
  let row = partials[0];
  if (local_id.x != 0u) {
    return;
  }
  let label = labels[group_id.x];
  if (label < 0) {
    losses[group_id.x] = 0.0;
  } else {
    losses[group_id.x] = row.top - logits[first + u32(label)] + log(row.total);
  }
}
