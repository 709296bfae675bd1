// embedding_forward: 256 invocations; a negative token is a huge u32

struct Params {
  n_tokens: u32,
  n_vocab: u32,
  d_model: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tokens: array<i32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let i = global_id.x;
  if (i < params.n_tokens * params.d_model) {
    let token = bitcast<u32>(tokens[i / params.d_model]);
    let known = token < params.n_vocab;
    let row = select(0u, token, known);
    out[i] = select(0.0, table[row * params.d_model + i % params.d_model], known);
  }
}
