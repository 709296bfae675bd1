// A lane for each place of the picture; sums by a scan between two halves of workgroup memory; the mean is refined once.

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

const LANES = 16u;
// Two rows of sums: one is read while the other is written.
var<workgroup> sums: array<f32, 2u * LANES>;

fn total_of(own: f32, lane: u32) -> f32 {
  sums[lane] = own;
  var row = 0u;
  for (var reach = 1u; reach < LANES; reach *= 2u) {
    workgroupBarrier(); // the row that is read next is complete
    let other = LANES - row;
    var sum = sums[row + lane];
    if (lane >= reach) {
      sum += sums[row + lane - reach];
    }
    sums[other + lane] = sum;
    row = other;
  }
  workgroupBarrier(); // the last row is complete
  let total = sums[row + LANES - 1u];
  workgroupBarrier(); // everybody has the total
  return total;
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let ch = group.x;
  let area = params.h * params.w;
  let step = params.c * area;
  let count = f32(params.n) * f32(area);

  var center = 0.0;
  for (var round = 0u; round < 2u; round++) {
    // The second round adds what rounding kept from the first.
    var own = 0.0;
    for (var p = lane; p < area; p += LANES) {
      for (var i = ch * area + p; i < params.n * step; i += step) {
        own += x[i] - center;
      }
    }
    center += total_of(own, lane) / count;
  }
  var own = 0.0;
  for (var p = lane; p < area; p += LANES) {
    for (var i = ch * area + p; i < params.n * step; i += step) {
      own = fma(x[i] - center, x[i] - center, own);
    }
  }
  let spread = total_of(own, lane) / count;
  let scale = gamma[ch] / sqrt(spread + params.eps);
  for (var p = lane; p < area; p += LANES) {
    for (var i = ch * area + p; i < params.n * step; i += step) {
      out[i] = fma(x[i] - center, scale, beta[ch]);
    }
  }
  // Every lane knows both numbers and stores the same.
  mean[ch] = center;
  variance[ch] = spread;
}
