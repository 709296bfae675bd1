// embedding_forward: out[i, c] = table[tokens[i], c]
//
// Stage     08_transformer
// Source    Bengio et al. 2003, "A Neural Probabilistic Language Model", section 2
// Shapes    tokens: (n_tokens) i32; table: (n_vocab, d_model) f32; out: (n_tokens, d_model) f32; row-major
// Bindings  0 params uniform | 1 tokens read | 2 table read | 3 out read_write
// Dispatch  invocations = (n_tokens * d_model, 1, 1): one per element of out; all sizes >= 1
// Guard     more invocations may run than needed and every array may be longer than its shape; nothing
//           past the end is read or written; a token outside 0 .. n_vocab - 1 gives a row of zeros
// Numerics  exact: every element is copied or 0

struct Params {
  n_tokens: u32,
  n_vocab: u32,
  d_model: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tokens: array<i32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
