// softmax_backward: one invocation per row, the product multiplied out

struct Params {
  n_rows: u32,
  n_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3<u32>) {
  let first: u32 = group.x * params.n_cols;
  let end: u32 = first + params.n_cols;
  var total: f32 = 0.0;
  for (var i: u32 = first; i < end; i = i + 1u) {
    total = total + dout[i] * out[i];
  }
  for (var i: u32 = first; i < end; i = i + 1u) {
    dx[i] = dout[i] * out[i] - total * out[i];
  }
}
