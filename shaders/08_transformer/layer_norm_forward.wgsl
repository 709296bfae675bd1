// layer_norm_forward: out[r, c] = gamma[c] * (x[r, c] - mean[r]) * rstd[r] + beta[c]
//
// Stage     08_transformer
// Source    Ba et al. 2016, "Layer Normalization", eq. 3 and 4
// Shapes    x, out: (n_rows, d_model) f32; gamma, beta: (d_model) f32; mean, rstd: (n_rows) f32; row-major
// Bindings  0 params uniform | 1 x read | 2 gamma read | 3 beta read | 4 out read_write
//           | 5 mean read_write | 6 rstd read_write
// Dispatch  workgroups = (n_rows, 1, 1): one per row; 1 <= n_rows <= 65535, d_model >= 1
// Guard     every array may be longer than its shape; nothing past the end is read or written
// Numerics  f32; mean[r] is that of row r, rstd[r] = 1 / sqrt(variance + eps), the variance with
//           1 / d_model; sums in any order; a mean far larger than the spread must not spoil it; eps > 0

struct Params {
  n_rows: u32,
  d_model: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<storage, read_write> mean: array<f32>;
@group(0) @binding(6) var<storage, read_write> rstd: array<f32>;

const WORKGROUP_SIZE = 64u;

// BEGIN SOLUTION
// One value per invocation. The trees below halve it again and again: WORKGROUP_SIZE is a power of two.
var<workgroup> partial: array<f32, WORKGROUP_SIZE>;
// END SOLUTION

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // BEGIN SOLUTION
  let lane = local_id.x;
  let row = group_id.x;
  let start = row * params.d_model;

  // 1. The row's mean.
  var sum = 0.0;
  for (var c = lane; c < params.d_model; c += WORKGROUP_SIZE) {
    sum += x[start + c];
  }
  partial[lane] = sum;
  workgroupBarrier(); // every lane's sum is stored
  for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      partial[lane] += partial[lane + half];
    }
    workgroupBarrier(); // this level of the tree is stored
  }
  let center = partial[0] / f32(params.d_model);
  workgroupBarrier(); // every lane has read the sum: partial may be used again

  // 2. The mean square of the differences. The differences are small, so their squares lose nothing.
  var squares = 0.0;
  for (var c = lane; c < params.d_model; c += WORKGROUP_SIZE) {
    let difference = x[start + c] - center;
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
  let scale = 1.0 / sqrt(partial[0] / f32(params.d_model) + params.eps);

  // 3. Normalize; two numbers per row are for the backward, and one lane writes them.
  for (var c = lane; c < params.d_model; c += WORKGROUP_SIZE) {
    out[start + c] = gamma[c] * ((x[start + c] - center) * scale) + beta[c];
  }
  if (lane == 0u) {
    mean[row] = center;
    rstd[row] = scale;
  }
  // END SOLUTION
}
