// softmax_forward: one invocation per row, three loops, the exponentials stored and then divided in place

struct Params {
  n_rows: u32,
  n_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3<u32>) {
  let first: u32 = group.x * params.n_cols;
  let end: u32 = first + params.n_cols;
  var top: f32 = x[first];
  for (var i: u32 = first + 1u; i < end; i = i + 1u) {
    if (x[i] > top) {
      top = x[i];
    }
  }
  var total: f32 = 0.0;
  for (var i: u32 = first; i < end; i = i + 1u) {
    out[i] = exp(x[i] - top);
    total = total + out[i];
  }
  for (var i: u32 = first; i < end; i = i + 1u) {
    out[i] = out[i] / total;
  }
}
