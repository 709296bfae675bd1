// A convolution of the spread-out gradient with the filter turned by half a turn; one index for all weights.

struct Params {
  n: u32,
  c_in: u32,
  h_in: u32,
  w_in: u32,
  c_out: u32,
  kh: u32,
  kw: u32,
  h_out: u32,
  w_out: u32,
  stride_h: u32,
  stride_w: u32,
  pad_h: u32,
  pad_w: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

// dout with stride - 1 zeros between its numbers and zeros all around.
fn spread(m: u32, o: u32, top: i32, left: i32) -> f32 {
  let stride = vec2i(i32(params.stride_h), i32(params.stride_w));
  let place = vec2i(top, left) / stride;
  let size = vec2i(i32(params.h_out), i32(params.w_out));
  if (top < 0 || left < 0 || any(place * stride != vec2i(top, left)) || any(place >= size)) {
    return 0.0;
  }
  return dout[((m * params.c_out + o) * params.h_out + u32(place.x)) * params.w_out + u32(place.y)];
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let c = global_id.z % params.c_in;
  let m = global_id.z / params.c_in;
  if (global_id.x >= params.w_in || global_id.y >= params.h_in || m >= params.n) {
    return;
  }
  let area = params.kh * params.kw;
  let corner = vec2i(i32(global_id.y + params.pad_h) - i32(params.kh - 1u), i32(global_id.x + params.pad_w) - i32(params.kw - 1u));
  var sums = vec2f(0.0);
  for (var k = 0u; k < params.c_out * area; k++) {
    let o = k / area;
    // From the last weight of the filter to the first.
    let turned = area - 1u - k % area;
    let u = i32(k % area / params.kw);
    let v = i32(k % params.kw);
    sums[k & 1u] += spread(m, o, corner.x + u, corner.y + v) * w[(o * params.c_in + c) * area + turned];
  }
  dx[(global_id.z * params.h_in + global_id.y) * params.w_in + global_id.x] = sums.x + sums.y;
}
