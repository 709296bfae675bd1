// A lane for each picture; the first lane adds the sums up, and dx is m dout - dbeta - x_hat dgamma over m.

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

const LANES = 64u;
var<workgroup> plain: array<f32, LANES>;
var<workgroup> weighted: array<f32, LANES>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let ch = group.x;
  let area = params.h * params.w;
  let scale = inverseSqrt(variance[ch] + params.eps);
  plain[local.x] = 0.0;
  weighted[local.x] = 0.0;
  for (var image = local.x; image < params.n; image += LANES) {
    let first = (image * params.c + ch) * area;
    for (var i = first; i < first + area; i++) {
      plain[local.x] += dout[i];
      weighted[local.x] += dout[i] * (x[i] - mean[ch]);
    }
  }
  workgroupBarrier(); // every lane's sums are stored
  if (local.x == 0u) {
    for (var k = 1u; k < min(LANES, params.n); k++) {
      plain[0] += plain[k];
      weighted[0] += weighted[k];
    }
    weighted[0] *= scale;
    dbeta[ch] = plain[0];
    dgamma[ch] = weighted[0];
  }
  workgroupBarrier(); // the totals stand in place 0
  let m = f32(params.n * area);
  for (var image = local.x; image < params.n; image += LANES) {
    let first = (image * params.c + ch) * area;
    for (var i = first; i < first + area; i++) {
      let x_hat = (x[i] - mean[ch]) * scale;
      dx[i] = gamma[ch] * scale / m * (m * dout[i] - plain[0] - x_hat * weighted[0]);
    }
  }
}
