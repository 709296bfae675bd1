// Row sums first, then their mean: the division happens row by row.

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

@compute @workgroup_size(5, 3, 7)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (any(id >= vec3u(params.w_out, params.h_out, params.n * params.c))) {
    return;
  }
  var mean = 0.0;
  for (var y = id.y * params.stride_h; y < id.y * params.stride_h + params.size_h; y++) {
    let start = (id.z * params.h_in + y) * params.w_in + id.x * params.stride_w;
    var row = 0.0;
    for (var j = params.size_w; j > 0u; j--) {
      row += x[start + j - 1u];
    }
    mean += row / f32(params.size_w);
  }
  out[(id.z * params.h_out + id.y) * params.w_out + id.x] = mean / f32(params.size_h);
}
