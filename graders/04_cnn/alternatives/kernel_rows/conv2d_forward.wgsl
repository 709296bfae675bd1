// Four columns of a map per invocation, grid-stride; sums in a vec4f, padding chosen away with select.

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
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

fn pixel(plane: u32, y: i32, z: i32) -> f32 {
  let outside = y < 0 || z < 0 || y >= i32(params.h_in) || z >= i32(params.w_in);
  let place = (plane * params.h_in + u32(max(y, 0))) * params.w_in + u32(max(z, 0));
  return select(x[select(place, 0u, outside)], 0.0, outside);
}

@compute @workgroup_size(4, 2, 4)
fn main(@builtin(global_invocation_id) global_id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  if (global_id.y >= params.h_out || global_id.z >= params.n * params.c_out) {
    return;
  }
  let o = global_id.z % params.c_out;
  let step = i32(params.stride_w);
  for (var col = 4u * global_id.x; col < params.w_out; col += 16u * groups.x) {
    let left = i32(col) * step - i32(params.pad_w);
    var sums = vec4f(b[o]);
    for (var c = 0u; c < params.c_in; c++) {
      let plane = global_id.z / params.c_out * params.c_in + c;
      for (var i = 0u; i < params.kh; i++) {
        let y = i32(global_id.y * params.stride_h + i) - i32(params.pad_h);
        for (var j = 0u; j < params.kw; j++) {
          let z = left + i32(j);
          let four = vec4f(pixel(plane, y, z), pixel(plane, y, z + step),
                           pixel(plane, y, z + 2 * step), pixel(plane, y, z + 3 * step));
          sums = fma(four, vec4f(w[((o * params.c_in + c) * params.kh + i) * params.kw + j]), sums);
        }
      }
    }
    for (var k = 0u; k < min(4u, params.w_out - col); k++) {
      out[(global_id.z * params.h_out + global_id.y) * params.w_out + col + k] = sums[k];
    }
  }
}
