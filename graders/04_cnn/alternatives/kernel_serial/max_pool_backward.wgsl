// max_pool_backward: one invocation per workgroup; asks every window of the map

struct Params {
  n: u32,
  c: u32,
  h_in: u32,
  w_in: u32,
  h_out: u32,
  w_out: u32,
  size_h: u32,
  size_w: u32,
  stride_h: u32,
  stride_w: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> winner: array<u32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  if (global_id.x >= params.w_in || global_id.y >= params.h_in || global_id.z >= params.n * params.c) {
    return;
  }
  let me = global_id.y * params.w_in + global_id.x;
  let n_windows = params.h_out * params.w_out;
  var sum = 0.0;
  for (var k = 0u; k < n_windows; k++) {
    if (winner[global_id.z * n_windows + k] == me) {
      sum += dout[global_id.z * n_windows + k];
    }
  }
  dx[global_id.z * params.h_in * params.w_in + me] = sum;
}
