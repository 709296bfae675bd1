// softmax_backward: lanes trade in pairs, so that all of them end with the sum

struct Params {
  n_rows: u32,
  n_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

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
  var inner = 0.0;
  for (var i = first + lane; i < end; i += SIZE) {
    inner += out[i] * dout[i];
  }
  for (var bit = 1u; bit < SIZE; bit <<= 1u) {
    inner += trade(lane, bit, inner);
  }
  for (var i = first + lane; i < end; i += SIZE) {
    dx[i] = fma(-inner, out[i], out[i] * dout[i]);
  }
}
