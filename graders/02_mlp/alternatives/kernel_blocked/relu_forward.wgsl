// relu_forward: invocations past the end do the last element again; the sign bit makes the mask

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let i = min(global_id.x, params.n - 1u);
  let bits = bitcast<i32>(x[i]);
  // An arithmetic shift spreads the sign over all bits: ones for a negative number, zeros for others.
  out[i] = bitcast<f32>(bits & ~(bits >> 31u));
}
