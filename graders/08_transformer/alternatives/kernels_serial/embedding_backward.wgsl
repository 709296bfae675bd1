// embedding_backward: one invocation per workgroup, the loop backwards

struct Params {
  n_tokens: u32,
  n_vocab: u32,
  d_model: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tokens: array<i32>;
@group(0) @binding(2) var<storage, read> dout: array<f32>;
@group(0) @binding(3) var<storage, read_write> dtable: array<f32>;

@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let row = global_id.x / params.d_model;
  let column = global_id.x % params.d_model;
  if (row >= params.n_vocab) {
    return;
  }
  dtable[global_id.x] = 0.0;
  for (var left = params.n_tokens; left > 0u; left--) {
    if (tokens[left - 1u] == i32(row)) {
      dtable[global_id.x] += dout[(left - 1u) * params.d_model + column];
    }
  }
}
