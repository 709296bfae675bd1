// A square of invocations walks over each map; the first invocation adds the sums of the columns.

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
@group(0) @binding(2) var<storage, read> dout: array<f32>;
@group(0) @binding(3) var<storage, read_write> dw: array<f32>;

var<workgroup> columns: array<array<f32, 8>, 8>;

@compute @workgroup_size(8, 8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let shift = vec2i(i32(group.y) - i32(params.pad_h), i32(group.x) - i32(params.pad_w));
  var sum = 0.0;
  for (var m = 0u; m < params.n; m++) {
    let maps = (m * params.c_out + group.z / params.c_in) * params.h_out;
    let pictures = (m * params.c_in + group.z % params.c_in) * params.h_in;
    for (var r = local.y; r < params.h_out; r += 8u) {
      let y = i32(r * params.stride_h) + shift.x;
      if (y < 0 || y >= i32(params.h_in)) {
        continue;
      }
      for (var s = local.x; s < params.w_out; s += 8u) {
        let z = i32(s * params.stride_w) + shift.y;
        if (z >= 0 && z < i32(params.w_in)) {
          sum = fma(x[(pictures + u32(y)) * params.w_in + u32(z)], dout[(maps + r) * params.w_out + s], sum);
        }
      }
    }
  }
  columns[local.x][local.y] = sum;
  workgroupBarrier(); // the square is full
  if (local.y == 0u) {
    for (var k = 1u; k < 8u; k++) {
      sum += columns[local.x][k];
    }
    columns[local.x][0] = sum;
  }
  workgroupBarrier(); // every column is summed
  if (all(local.xy == vec2u(0u))) {
    var total = 0.0;
    for (var k = 8u; k > 0u; k--) {
      total += columns[k - 1u][0];
    }
    dw[(group.z * params.kh + group.y) * params.kw + group.x] = total;
  }
}
