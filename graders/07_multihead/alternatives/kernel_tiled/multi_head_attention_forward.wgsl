// multi_head_attention_forward: 16 keys at a time; out is shrunk and added to whenever the maximum has grown

struct Params {
  n_batch: u32,
  n_masks: u32,
  n_queries: u32,
  n_keys: u32,
  n_heads: u32,
  d_head: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<f32>;
@group(0) @binding(2) var<storage, read> k: array<f32>;
@group(0) @binding(3) var<storage, read> v: array<f32>;
@group(0) @binding(4) var<storage, read> mask: array<u32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

const LANES = 16u;
const LOWEST = -3.4e38;
var<workgroup> query: array<f32, LANES>;
var<workgroup> scores: array<f32, LANES>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  let lane = local_id.x;
  let d_model = params.n_heads * params.d_head;
  let at_query = (id.z * params.n_queries + id.x) * d_model + id.y * params.d_head;
  let at_keys = id.z * params.n_keys * d_model + id.y * params.d_head;
  let at_mask = (id.z / (params.n_batch / params.n_masks) * params.n_queries + id.x) * params.n_keys;

  for (var j = lane; j < params.d_head; j += LANES) {
    out[at_query + j] = 0.0;
  }
  var top = LOWEST;
  var total = 0.0;
  for (var first = 0u; first < params.n_keys; first += LANES) {
    // 1. One score per lane; the query comes by way of workgroup memory, a piece at a time.
    let t = first + lane;
    let here = t < params.n_keys;
    var sum = 0.0;
    for (var from_column = 0u; from_column < params.d_head; from_column += LANES) {
      let n_columns = min(LANES, params.d_head - from_column);
      query[lane] = q[at_query + from_column + min(lane, n_columns - 1u)];
      workgroupBarrier();
      for (var n = 0u; n < n_columns && here; n++) {
        sum += query[n] * k[at_keys + t * d_model + from_column + n];
      }
      workgroupBarrier();
    }
    var seen = false;
    if (here) {
      seen = mask[at_mask + t] != 0u;
    }
    scores[lane] = select(LOWEST, sum / sqrt(f32(params.d_head)), seen);
    workgroupBarrier();

    // 2. Every lane works out the same new maximum and adds up its own columns.
    var higher = top;
    for (var n = 0u; n < LANES; n++) {
      higher = max(higher, scores[n]);
    }
    let shrink = exp(max(top - higher, -200.0));
    top = higher;
    total *= shrink;
    for (var n = 0u; n < LANES; n++) {
      total += select(0.0, exp(scores[n] - top), scores[n] > LOWEST);
    }
    for (var j = lane; j < params.d_head; j += LANES) {
      var added = 0.0;
      for (var n = 0u; n < LANES; n++) {
        if (scores[n] > LOWEST) {
          added += exp(scores[n] - top) * v[at_keys + (first + n) * d_model + j];
        }
      }
      out[at_query + j] = out[at_query + j] * shrink + added;
    }
    workgroupBarrier();
  }
  for (var j = lane; j < params.d_head; j += LANES) {
    out[at_query + j] = out[at_query + j] / max(total, 1e-30);
  }
}
