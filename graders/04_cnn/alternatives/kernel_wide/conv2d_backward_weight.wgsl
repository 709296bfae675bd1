// conv2d_backward_weight: 256 invocations per weight

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

const WORKGROUP_SIZE = 256u;
var<workgroup> partial: array<f32, WORKGROUP_SIZE>;

fn product_at(place: u32, o: u32, c: u32, i: u32, j: u32) -> f32 {
  let col = place % params.w_out;
  let row = place / params.w_out % params.h_out;
  let image = place / (params.w_out * params.h_out);
  let y = row * params.stride_h + i;
  let z = col * params.stride_w + j;
  if (y < params.pad_h || y - params.pad_h >= params.h_in || z < params.pad_w || z - params.pad_w >= params.w_in) {
    return 0.0;
  }
  let pixel = x[((image * params.c_in + c) * params.h_in + y - params.pad_h) * params.w_in + z - params.pad_w];
  return pixel * dout[((image * params.c_out + o) * params.h_out + row) * params.w_out + col];
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  let lane = local_id.x;
  let o = group_id.z / params.c_in;
  let c = group_id.z % params.c_in;

  // One weight was used at every place of every picture: the invocations share the places.
  var sum = 0.0;
  for (var place = lane; place < params.n * params.h_out * params.w_out; place += WORKGROUP_SIZE) {
    sum += product_at(place, o, c, group_id.y, group_id.x);
  }
  partial[lane] = sum;
  workgroupBarrier();

  for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      partial[lane] += partial[lane + half];
    }
    workgroupBarrier();
  }
  if (lane == 0u) {
    dw[(group_id.z * params.kh + group_id.y) * params.kw + group_id.x] = partial[0];
  }
}
