// embedding_backward: 32 invocations that read the tokens together, 32 at a time

struct Params {
  n_tokens: u32,
  n_vocab: u32,
  d_model: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tokens: array<i32>;
@group(0) @binding(2) var<storage, read> dout: array<f32>;
@group(0) @binding(3) var<storage, read_write> dtable: array<f32>;

const SIZE = 32u;
var<workgroup> shared_tokens: array<i32, SIZE>;

@compute @workgroup_size(SIZE)
fn main(@builtin(global_invocation_id) global_id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = global_id.x;
  let mine = i32(i / params.d_model);
  var sum = 0.0;
  for (var first = 0u; first < params.n_tokens; first += SIZE) {
    shared_tokens[lane] = -1;
    if (first + lane < params.n_tokens) {
      shared_tokens[lane] = tokens[first + lane];
    }
    workgroupBarrier(); // the tokens are there
    if (i < params.n_vocab * params.d_model) {
      for (var k = 0u; k < min(SIZE, params.n_tokens - first); k++) {
        sum += select(0.0, dout[(first + k) * params.d_model + i % params.d_model], shared_tokens[k] == mine);
      }
    }
    workgroupBarrier(); // everyone has used them
  }
  if (i < params.n_vocab * params.d_model) {
    dtable[i] = sum;
  }
}
