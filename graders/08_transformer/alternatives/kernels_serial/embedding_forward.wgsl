// embedding_forward: one workgroup of one invocation per element, rows by division

struct Params {
  n_tokens: u32,
  n_vocab: u32,
  d_model: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tokens: array<i32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let place = global_id.x / params.d_model;
  let column = global_id.x - place * params.d_model;
  if (place < params.n_tokens) {
    let token = tokens[place];
    if (token < 0 || token >= i32(params.n_vocab)) {
      out[global_id.x] = 0.0;
    } else {
      out[global_id.x] = table[u32(token) * params.d_model + column];
    }
  }
}
