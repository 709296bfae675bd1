// scale_shift: out[i] = alpha * x[i] + beta
//
// Stage     00_first_kernel
// Source    the same as alpha * x + beta in NumPy
// Shapes    x, out: (n) f32
// Bindings  0 params uniform | 1 x read | 2 out read_write
// Dispatch  invocations = (n, 1, 1): one per element, and often more; n >= 1
// Guard     arrays may be longer than n; nothing past the end is read or written
// Numerics  f32, one multiplication and one addition, fused or not

struct Params {
  n: u32,
  alpha: f32,
  beta: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

// Each workgroup takes what it needs into workgroup memory first. Lanes past the end take the last element.
var<workgroup> stage: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  let i = min(global_id.x, params.n - 1u);
  stage[local_id.x] = x[i];
  workgroupBarrier();
  out[i] = params.alpha * stage[local_id.x] + params.beta;
}
