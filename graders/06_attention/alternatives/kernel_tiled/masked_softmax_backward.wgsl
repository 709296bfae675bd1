// masked_softmax_backward: 32 lanes; four keys at a time; one lane adds up what all have found

struct Params {
  n_batch: u32,
  n_queries: u32,
  n_keys: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dattn: array<f32>;
@group(0) @binding(2) var<storage, read> attn: array<f32>;
@group(0) @binding(3) var<storage, read_write> dscores: array<f32>;

const LANES = 32u;
var<workgroup> found: array<f32, LANES>;
var<workgroup> centre: f32;

@compute @workgroup_size(LANES, 1, 1)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let start = (group_id.y * params.n_queries + group_id.x) * params.n_keys;
  let whole = params.n_keys - params.n_keys % 4u;

  var part = 0.0;
  for (var key = 4u * lane; key < whole; key += 4u * LANES) {
    let i = start + key;
    part += dot(vec4f(dattn[i], dattn[i + 1u], dattn[i + 2u], dattn[i + 3u]),
      vec4f(attn[i], attn[i + 1u], attn[i + 2u], attn[i + 3u]));
  }
  if (whole + lane < params.n_keys) {
    part += dattn[start + whole + lane] * attn[start + whole + lane];
  }
  found[lane] = part;
  workgroupBarrier();
  if (lane == 0u) {
    var sum = 0.0;
    for (var other = 0u; other < LANES; other++) {
      sum += found[other];
    }
    centre = sum;
  }
  workgroupBarrier();
  for (var key = lane; key < params.n_keys; key += LANES) {
    dscores[start + key] = attn[start + key] * dattn[start + key] - attn[start + key] * centre;
  }
}
