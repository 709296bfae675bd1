// add_forward: out[i] = a[i] + b[i]
//
// Stage     00_first_kernel
// Source    the same as a + b in NumPy
// Shapes    a, b, out: (n) f32
// Bindings  0 params uniform | 1 a read | 2 b read | 3 out read_write
// Dispatch  invocations = (n, 1, 1): one per element, and often more; n >= 1
// Guard     arrays may be longer than n; nothing past the end is read or written
// Numerics  f32, one addition per element

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(5, 7)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_index) lane: u32) {
  // The caller counts workgroups of 5 along x, so each of them has 5 elements, and 7 lanes for each.
  let i = group_id.x * 5u + lane % 5u;
  if (lane < 5u && i < params.n) {
    out[i] = a[i] + b[i];
  }
}
