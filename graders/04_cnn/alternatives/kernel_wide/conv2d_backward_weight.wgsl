// 256 invocations with a stretch of places each; neighbours are added first, and everybody stores the same total.

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

const SIZE = 256u;
var<workgroup> sums: array<f32, SIZE>;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let o = group.z / params.c_in;
  let c = group.z % params.c_in;
  let n_places = params.n * params.h_out * params.w_out;
  let stretch = (n_places + SIZE - 1u) / SIZE;
  sums[lane] = 0.0;
  for (var place = lane * stretch; place < min((lane + 1u) * stretch, n_places); place++) {
    let s = place % params.w_out;
    let r = place / params.w_out % params.h_out;
    let m = place / params.w_out / params.h_out;
    let y = r * params.stride_h + group.y - params.pad_h;
    let z = s * params.stride_w + group.x - params.pad_w;
    if (y < params.h_in && z < params.w_in) {
      let pixel = x[((m * params.c_in + c) * params.h_in + y) * params.w_in + z];
      sums[lane] += pixel * dout[(m * params.c_out + o) * params.h_out * params.w_out + r * params.w_out + s];
    }
  }
  workgroupBarrier(); // every stretch is summed
  for (var step = 1u; step < SIZE; step *= 2u) {
    if (lane % (2u * step) == 0u) {
      sums[lane] += sums[lane + step];
    }
    workgroupBarrier(); // this round is done
  }
  dw[(group.z * params.kh + group.y) * params.kw + group.x] = sums[0];
}
