// relu_backward: a switch, and two elements per invocation, a workgroup apart

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  for (var k = 0u; k < 2u; k++) {
    let i = (2u * group_id.x + k) * 64u + local_id.x;
    if (i >= params.n) {
      continue;
    }
    var gradient = 0.0;
    switch (i32(sign(x[i]))) {
      case 1: {
        gradient = dout[i];
      }
      default: {}
    }
    dx[i] = gradient;
  }
}
