// Each pixel asks a stretch of windows: every one that reaches it, counted out beforehand.

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
  let z = global_id.x;
  let y = global_id.y;
  if (z >= params.w_in || y >= params.h_in || global_id.z >= params.n * params.c) {
    return;
  }
  let pixel = z + y * params.w_in;
  // Signed division rounds towards zero, so shift the numerator before rounding up.
  let first_row = (i32(y) - i32(params.size_h) + i32(params.stride_h)) / i32(params.stride_h);
  let first_col = (i32(z) - i32(params.size_w) + i32(params.stride_w)) / i32(params.stride_w);
  let last_row = min(y / params.stride_h, params.h_out - 1u);
  let last_col = min(z / params.stride_w, params.w_out - 1u);
  var gradient = 0.0;
  for (var r = max(first_row, 0); r <= i32(last_row); r++) {
    for (var s = max(first_col, 0); s <= i32(last_col); s++) {
      let window = u32(s) + params.w_out * (u32(r) + params.h_out * global_id.z);
      gradient += select(0.0, dout[window], winner[window] == pixel);
    }
  }
  dx[pixel + params.w_in * params.h_in * global_id.z] = gradient;
}
