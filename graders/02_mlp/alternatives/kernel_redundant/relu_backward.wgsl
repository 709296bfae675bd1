// relu_backward: invocations past the end do the last element again; zeros first, then what passes

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let i = min(global_id.x, params.n - 1u);
  dx[i] = max(0.0, sign(x[i])) * dout[i];
}
