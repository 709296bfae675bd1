// softmax_forward: lanes trade in pairs, so that all of them end with the maximum and with the sum

struct Params {
  n_rows: u32,
  n_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

const SIZE = 64u;
var<workgroup> shared_values: array<f32, SIZE>;

// Every lane trades with the lane whose number differs in one bit; in the end all hold the same.
fn trade(lane: u32, bit: u32, mine: f32) -> f32 {
  shared_values[lane] = mine;
  workgroupBarrier();
  let theirs = shared_values[lane ^ bit];
  workgroupBarrier();
  return theirs;
}

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  let lane = local_id.x;
  let first = group_id.x * params.n_cols;
  let end = first + params.n_cols;
  var top = x[end - 1u];
  for (var i = first + lane; i < end; i += SIZE) {
    top = select(top, x[i], x[i] > top);
  }
  for (var bit = SIZE / 2u; bit > 0u; bit >>= 1u) {
    top = max(top, trade(lane, bit, top));
  }
  var total = 0.0;
  for (var i = first + lane; i < end; i += SIZE) {
    total += exp(x[i] - top);
  }
  for (var bit = SIZE / 2u; bit > 0u; bit >>= 1u) {
    total += trade(lane, bit, total);
  }
  for (var i = first + lane; i < end; i += SIZE) {
    out[i] = exp(x[i] - top) / total;
  }
}
