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

// Invocations past the end do the last element's work again: they write the value that is there.
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let i = min(global_id.x, params.n - 1u);
  out[i] = a[i] + b[i];
}
