// batch_norm_backward: 32 invocations, two arrays in workgroup memory, an upward tree

struct Params {
  n: u32,
  c: u32,
  h: u32,
  w: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> gamma: array<f32>;
@group(0) @binding(4) var<storage, read> mean: array<f32>;
@group(0) @binding(5) var<storage, read> variance: array<f32>;
@group(0) @binding(6) var<storage, read_write> dx: array<f32>;
@group(0) @binding(7) var<storage, read_write> dgamma: array<f32>;
@group(0) @binding(8) var<storage, read_write> dbeta: array<f32>;

const SIZE = 32u;
var<workgroup> slopes: array<f32, SIZE>;
var<workgroup> products: array<f32, SIZE>;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let ch = group_id.x;
  let area = params.h * params.w;
  let count = params.n * area;
  let deviation = sqrt(variance[ch] + params.eps);
  slopes[lane] = 0.0;
  products[lane] = 0.0;
  for (var k = lane; k < count; k += SIZE) {
    let i = ((k / area) * params.c + ch) * area + k % area;
    slopes[lane] += dout[i];
    products[lane] += dout[i] * ((x[i] - mean[ch]) / deviation);
  }
  workgroupBarrier();
  for (var step = 1u; step < SIZE; step *= 2u) {
    if (lane % (2u * step) == 0u) {
      slopes[lane] += slopes[lane + step];
      products[lane] += products[lane + step];
    }
    workgroupBarrier();
  }
  let share = vec2f(slopes[0], products[0]) / f32(count);
  for (var k = lane; k < count; k += SIZE) {
    let i = ((k / area) * params.c + ch) * area + k % area;
    dx[i] = gamma[ch] / deviation * (dout[i] - share.x - (x[i] - mean[ch]) / deviation * share.y);
  }
  if (lane == 0u) {
    dgamma[ch] = products[0];
    dbeta[ch] = slopes[0];
  }
}
