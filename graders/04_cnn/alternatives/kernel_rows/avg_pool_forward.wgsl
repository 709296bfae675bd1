// A running mean, and four pixels of a row at once where there are four.

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
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var col = id.x; col < params.w_out; col += 64u * groups.x) {
    if (id.y >= params.h_out || id.z >= params.n * params.c) {
      break;
    }
    let corner = id.z * params.h_in * params.w_in + id.y * params.stride_h * params.w_in + col * params.stride_w;
    var sum = 0.0;
    for (var i = 0u; i < params.size_h; i++) {
      let row = corner + i * params.w_in;
      var j = 0u;
      for (; j + 4u <= params.size_w; j += 4u) {
        sum += dot(vec4f(x[row + j], x[row + j + 1u], x[row + j + 2u], x[row + j + 3u]), vec4f(1.0));
      }
      for (; j < params.size_w; j++) {
        sum += x[row + j];
      }
    }
    let share = 1.0 / (f32(params.size_h) * f32(params.size_w));
    out[col + params.w_out * (id.y + params.h_out * id.z)] = sum * share;
  }
}
