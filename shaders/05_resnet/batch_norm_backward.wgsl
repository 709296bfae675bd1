// batch_norm_backward: dx[i, ch, p] = gamma[ch] * inv_std * (dout[i, ch, p] - dbeta[ch] / m - x_hat * dgamma[ch] / m)
//
// Stage     05_resnet
// Source    Ioffe & Szegedy 2015, "Batch Normalization", section 3
// Shapes    dout, x, dx: (n, c, h, w) f32; gamma, mean, variance, dgamma, dbeta: (c) f32; row-major
// Bindings  0 params uniform | 1 dout read | 2 x read | 3 gamma read | 4 mean read | 5 variance read
//           | 6 dx read_write | 7 dgamma read_write | 8 dbeta read_write
// Dispatch  workgroups = (c, 1, 1): one per channel; 1 <= c <= 65535; n, h, w >= 1
// Guard     every array may be longer than its shape; nothing past the end is read or written
// Numerics  f32; m = n * h * w, inv_std = 1 / sqrt(variance[ch] + eps), x_hat = (x - mean[ch]) * inv_std,
//           dbeta[ch] = sum dout, dgamma[ch] = sum dout * x_hat over n, h and w in any order;
//           mean and variance are what batch_norm_forward returned; eps > 0

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

const WORKGROUP_SIZE = 64u;

// BEGIN SOLUTION
// Two sums per invocation: of dout, and of dout * x_hat. WORKGROUP_SIZE is a power of two.
var<workgroup> partial: array<vec2f, WORKGROUP_SIZE>;

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
  let inv_std = 1.0 / sqrt(variance[ch] + params.eps);

  // 1. Both sums go up one tree.
  var sums = vec2f(0.0, 0.0);
  for (var k = lane; k < count; k += WORKGROUP_SIZE) {
    let i = place(k, ch);
    let x_hat = (x[i] - mean[ch]) * inv_std;
    sums += vec2f(dout[i], dout[i] * x_hat);
  }
  partial[lane] = sums;
  workgroupBarrier(); // every lane's pair is stored
  for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      partial[lane] += partial[lane + half];
    }
    workgroupBarrier(); // this level of the tree is stored
  }
  let total = partial[0];

  // 2. Take out of dout its mean, and its part along x_hat.
  let average = total / f32(count);
  for (var k = lane; k < count; k += WORKGROUP_SIZE) {
    let i = place(k, ch);
    let x_hat = (x[i] - mean[ch]) * inv_std;
    dx[i] = gamma[ch] * inv_std * (dout[i] - average.x - x_hat * average.y);
  }
  if (lane == 0u) {
    dbeta[ch] = total.x;
    dgamma[ch] = total.y;
  }
  // END SOLUTION
}
