// affine_backward_input: 256 invocations, four partial sums

struct Params {
  n_rows: u32,
  d_in: u32,
  d_out: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(32, 8, 1)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group_id.y * 8u + lane / 32u;
  let col = group_id.x * 32u + lane % 32u;
  let inside = row < params.n_rows && col < params.d_in;
  if (!inside) {
    return;
  }
  // The sum in four strands: shorter chains of additions, another rounding.
  var strands = array<f32, 4>(0.0, 0.0, 0.0, 0.0);
  for (var k = 0u; k < params.d_out; k += 1u) {
    strands[k & 3u] += dout[row * params.d_out + k] * w[col * params.d_out + k];
  }
  dx[row * params.d_in + col] = (strands[0] + strands[1]) + (strands[2] + strands[3]);
}
