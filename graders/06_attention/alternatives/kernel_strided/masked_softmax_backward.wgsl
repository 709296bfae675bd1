// masked_softmax_backward: 64 lanes without workgroup memory: each walks the whole row for the sum and stores its own keys

struct Params {
  n_batch: u32,
  n_queries: u32,
  n_keys: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dattn: array<f32>;
@group(0) @binding(2) var<storage, read> attn: array<f32>;
@group(0) @binding(3) var<storage, read_write> dscores: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  let row = group_id.y * params.n_queries + group_id.x;
  var mean = 0.0;
  var behind = params.n_keys;
  while (behind > 0u) {
    behind--;
    mean += attn[row * params.n_keys + behind] * dattn[row * params.n_keys + behind];
  }
  var key = local_id.x;
  while (key < params.n_keys) {
    let i = row * params.n_keys + key;
    dscores[i] = attn[i] * (dattn[i] - mean);
    key += 64u;
  }
}
