// residual_add: a grid stride; both numbers are read before anyone asks whether they count

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> residual: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) global_id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  var i = global_id.x;
  loop {
    let sum = x[i] + residual[i];
    if (i >= params.n) {
      break;
    }
    out[i] = sum;
    i += groups.x;
  }
}
