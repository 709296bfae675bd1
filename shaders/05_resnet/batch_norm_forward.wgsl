// batch_norm_forward: out[i, ch, p] = gamma[ch] * (x[i, ch, p] - mean[ch]) / sqrt(variance[ch] + eps) + beta[ch]
//
// Stage     05_resnet
// Source    Ioffe & Szegedy 2015, "Batch Normalization", algorithm 1
// Shapes    x, out: (n, c, h, w) f32; gamma, beta, mean, variance: (c) f32; row-major
// Bindings  0 params uniform | 1 x read | 2 gamma read | 3 beta read | 4 out read_write
//           | 5 mean read_write | 6 variance read_write
// Dispatch  workgroups = (c, 1, 1): one per channel; 1 <= c <= 65535; n, h, w >= 1
// Guard     every array may be longer than its shape; nothing past the end is read or written
// Numerics  f32; mean and variance are those of channel ch over n, h and w, sums in any order, the variance
//           with 1 / (n * h * w); a mean far larger than the spread must not spoil it; eps > 0

struct Params {
  n: u32,
  c: u32,
  h: u32,
  w: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<storage, read_write> mean: array<f32>;
@group(0) @binding(6) var<storage, read_write> variance: array<f32>;

const WORKGROUP_SIZE = 64u;

// BEGIN SOLUTION
// One value per invocation. The trees below halve it again and again: WORKGROUP_SIZE is a power of two.
var<workgroup> partial: array<f32, WORKGROUP_SIZE>;

// Where number k of channel ch lies: in picture k / area, at place k % area.
fn place(k: u32, ch: u32) -> u32 {
  let area = params.h * params.w;
  return (k / area * params.c + ch) * area + k % area;
}
// END SOLUTION

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // BEGIN SOLUTION
  let lane = local_id.x;
  let ch = group_id.x;
  let count = params.n * params.h * params.w;

  // 1. The channel's mean.
  var sum = 0.0;
  for (var k = lane; k < count; k += WORKGROUP_SIZE) {
    sum += x[place(k, ch)];
  }
  partial[lane] = sum;
  workgroupBarrier(); // every lane's sum is stored
  for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      partial[lane] += partial[lane + half];
    }
    workgroupBarrier(); // this level of the tree is stored
  }
  let center = partial[0] / f32(count);
  workgroupBarrier(); // every lane has read the sum: partial may be used again

  // 2. The mean square of the differences. The differences are small, so their squares lose nothing.
  var squares = 0.0;
  for (var k = lane; k < count; k += WORKGROUP_SIZE) {
    let difference = x[place(k, ch)] - center;
    squares += difference * difference;
  }
  partial[lane] = squares;
  workgroupBarrier(); // every lane's squares are stored
  for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      partial[lane] += partial[lane + half];
    }
    workgroupBarrier(); // this level of the tree is stored
  }
  let spread = partial[0] / f32(count);

  // 3. Normalize; two numbers per channel are for the host, and one lane writes them.
  let inv_std = 1.0 / sqrt(spread + params.eps);
  for (var k = lane; k < count; k += WORKGROUP_SIZE) {
    let i = place(k, ch);
    out[i] = gamma[ch] * ((x[i] - center) * inv_std) + beta[ch];
  }
  if (lane == 0u) {
    mean[ch] = center;
    variance[ch] = spread;
  }
  // END SOLUTION
}
