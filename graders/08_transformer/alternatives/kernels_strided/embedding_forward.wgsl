// embedding_forward: one invocation per token copies a whole row, or clears it

struct Params {
  n_tokens: u32,
  n_vocab: u32,
  d_model: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tokens: array<i32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  if (global_id.x >= params.n_tokens) {
    return;
  }
  let token = tokens[global_id.x];
  let to = global_id.x * params.d_model;
  if (token < 0 || token >= i32(params.n_vocab)) {
    for (var c = 0u; c < params.d_model; c++) {
      out[to + c] = 0.0;
    }
    return;
  }
  let row = u32(token) * params.d_model;
  for (var c = 0u; c < params.d_model; c++) {
    out[to + c] = table[row + c];
  }
}
