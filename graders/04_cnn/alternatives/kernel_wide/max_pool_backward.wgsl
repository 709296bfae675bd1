// max_pool_backward: workgroups of 256

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

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let col = global_id.x;
  let row = global_id.y;
  let channel = global_id.z;
  if (col >= params.w_in || row >= params.h_in || channel >= params.n * params.c) {
    return;
  }

  // Windows may overlap, so one pixel can have won several times: it asks each window that holds it.
  var sum = 0.0;
  for (var i = 0u; i < params.size_h; i++) {
    let top = row - i;
    if (i > row || top % params.stride_h != 0u || top / params.stride_h >= params.h_out) {
      continue;
    }
    for (var j = 0u; j < params.size_w; j++) {
      let left = col - j;
      if (j > col || left % params.stride_w != 0u || left / params.stride_w >= params.w_out) {
        continue;
      }
      let window = (channel * params.h_out + top / params.stride_h) * params.w_out + left / params.stride_w;
      if (winner[window] == row * params.w_in + col) {
        sum += dout[window];
      }
    }
  }
  dx[(channel * params.h_in + row) * params.w_in + col] = sum;
}
