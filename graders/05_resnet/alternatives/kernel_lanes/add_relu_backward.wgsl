// Grid-stride in a square workgroup; what is closed is written first.

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> dsum: array<f32>;

@compute @workgroup_size(8, 8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32,
        @builtin(num_workgroups) groups: vec3u) {
  var i = group.x * 64u + lane;
  while (i < params.n) {
    dsum[i] = 0.0;
    if (!(out[i] <= 0.0)) {
      dsum[i] += dout[i];
    }
    i += 64u * groups.x;
  }
}
