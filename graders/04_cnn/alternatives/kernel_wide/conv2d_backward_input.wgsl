// The windows that hold a pixel are counted out first: from the first that reaches it to the last that starts before it.

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

// First window and one past the last one that hold a pixel of the padded picture.
fn holders(pixel: u32, size: u32, stride: u32, n_windows: u32) -> vec2u {
  let before = max(pixel + 1u, size) - size;
  return vec2u((before + stride - 1u) / stride, min(pixel / stride + 1u, n_windows));
}

@compute @workgroup_size(32, 2, 3)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  if (any(global_id >= vec3u(params.w_in, params.h_in, params.n * params.c_in))) {
    return;
  }
  let y = global_id.y + params.pad_h;
  let z = global_id.x + params.pad_w;
  let rows = holders(y, params.kh, params.stride_h, params.h_out);
  let columns = holders(z, params.kw, params.stride_w, params.w_out);
  let filter_size = params.kh * params.kw;
  var sum = 0.0;
  for (var o = 0u; o < params.c_out; o++) {
    let plane = (global_id.z / params.c_in * params.c_out + o) * params.h_out;
    let first_weight = (o * params.c_in + global_id.z % params.c_in) * filter_size;
    for (var r = rows.x; r < rows.y; r++) {
      for (var s = columns.x; s < columns.y; s++) {
        let weight = w[first_weight + (y - r * params.stride_h) * params.kw + z - s * params.stride_w];
        sum = fma(dout[(plane + r) * params.w_out + s], weight, sum);
      }
    }
  }
  dx[(global_id.z * params.h_in + global_id.y) * params.w_in + global_id.x] = sum;
}
