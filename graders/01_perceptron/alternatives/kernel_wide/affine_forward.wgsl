// affine_forward: 256 invocations, four partial sums

struct Params {
  n_rows: u32,
  d_in: u32,
  d_out: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(32, 8, 1)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group_id.y * 8u + lane / 32u;
  let col = group_id.x * 32u + lane % 32u;
  let inside = row < params.n_rows && col < params.d_out;
  if (!inside) {
    return;
  }
  // The sum in four strands: shorter chains of additions, another rounding.
  var strands = array<f32, 4>(0.0, 0.0, 0.0, 0.0);
  for (var k = 0u; k < params.d_in; k += 1u) {
    strands[k & 3u] += x[row * params.d_in + k] * w[k * params.d_out + col];
  }
  out[row * params.d_out + col] = (strands[0] + strands[1]) + (strands[2] + strands[3]) + b[col];
}
