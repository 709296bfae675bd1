// rotary_forward: the pair (x[2i], x[2i + 1]) turns by the angle positions[t] * 10000^(-2i / d_head)
//
// Stage     07_multihead
// Source    Su et al. 2021, "RoFormer: Enhanced Transformer with Rotary Position Embedding", eq. 34
// Shapes    x, out: (n_batch, seq, d_head) f32; positions: (seq) i32; row-major
// Bindings  0 params uniform | 1 x read | 2 positions read | 3 out read_write
// Dispatch  invocations = (n_batch * seq * d_head // 2, 1, 1): one per pair; d_head even, all sizes >= 1
// Guard     more invocations may run than there are pairs, and every array may be longer than its shape;
//           nothing past the end is read or written
// Numerics  f32; positions of either sign, up to a few thousand; WGSL promises that sin and cos err by at
//           most 2^-11, and the angle is known to a few units of its own size

struct Params {
  n_batch: u32,
  seq: u32,
  d_head: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> positions: array<i32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
