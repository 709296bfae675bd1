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

// YOUR CODE HERE

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // YOUR CODE HERE
}
