// split_heads: out[b, h, t, j] = x[b, t, h * d_head + j]
//
// Stage     07_multihead
// Source    Vaswani et al. 2017, "Attention Is All You Need", section 3.2.2
// Shapes    x: (n_batch, seq, n_heads * d_head) f32; out: (n_batch, n_heads, seq, d_head) f32; row-major
// Bindings  0 params uniform | 1 x read | 2 out read_write
// Dispatch  invocations = (n_batch * seq * n_heads * d_head, 1, 1): one per number; all sizes >= 1
// Guard     more invocations may run than there are numbers, and both arrays may be longer than their
//           shapes; nothing past the end is read or written
// Numerics  none: the numbers move and stay what they are

struct Params {
  n_batch: u32,
  seq: u32,
  n_heads: u32,
  d_head: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
