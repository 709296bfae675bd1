// embedding_backward: one invocation per feature owns a column of the table, clears it and scatters into it

struct Params {
  n_tokens: u32,
  n_vocab: u32,
  d_model: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tokens: array<i32>;
@group(0) @binding(2) var<storage, read> dout: array<f32>;
@group(0) @binding(3) var<storage, read_write> dtable: array<f32>;

@compute @workgroup_size(128)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let column = global_id.x;
  if (column < params.d_model) {
    for (var row = 0u; row < params.n_vocab; row++) {
      dtable[row * params.d_model + column] = 0.0;
    }
    for (var place = 0u; place < params.n_tokens; place++) {
      let token = tokens[place];
      if (token < 0 || token >= i32(params.n_vocab)) {
        continue;
      }
      dtable[u32(token) * params.d_model + column] += dout[place * params.d_model + column];
    }
  }
}
