// embedding_backward: dtable[t, c] = sum of dout[i, c] over all i with tokens[i] == t
//
// Stage     08_transformer
// Source    Bengio et al. 2003, "A Neural Probabilistic Language Model", section 3
// Shapes    tokens: (n_tokens) i32; dout: (n_tokens, d_model) f32; dtable: (n_vocab, d_model) f32; row-major
// Bindings  0 params uniform | 1 tokens read | 2 dout read | 3 dtable read_write
// Dispatch  invocations = (n_vocab * d_model, 1, 1): one per element of dtable; all sizes >= 1
// Guard     more invocations may run than needed and every array may be longer than its shape; nothing
//           past the end is read or written; a token outside 0 .. n_vocab - 1 belongs to no row
// Numerics  f32, sums in any order; a token that stands nowhere has a row of zeros;
//           two invocations must not add to one element

struct Params {
  n_tokens: u32,
  n_vocab: u32,
  d_model: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tokens: array<i32>;
@group(0) @binding(2) var<storage, read> dout: array<f32>;
@group(0) @binding(3) var<storage, read_write> dtable: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
