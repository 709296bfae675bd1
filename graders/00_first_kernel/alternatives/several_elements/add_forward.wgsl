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

// Four neighbours per invocation; the rest of the invocations have nothing to do.
@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let first = 4u * global_id.x;
  if (first + 3u < params.n) {
    let sum = vec4f(a[first], a[first + 1u], a[first + 2u], a[first + 3u])
      + vec4f(b[first], b[first + 1u], b[first + 2u], b[first + 3u]);
    out[first] = sum.x;
    out[first + 1u] = sum.y;
    out[first + 2u] = sum.z;
    out[first + 3u] = sum.w;
    return;
  }
  for (var i = first; i < params.n; i++) {
    out[i] = a[i] + b[i];
  }
}
