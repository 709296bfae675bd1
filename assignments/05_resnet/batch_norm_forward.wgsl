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

// YOUR CODE HERE

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // YOUR CODE HERE
}
