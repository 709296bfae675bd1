// attention_decode: out[b, d] = sum_t attn[b, t] * v_cache[b, t, d] with t < length and
//                   attn[b] = softmax over t of (q[b] . k_cache[b, t]) / sqrt(d_head)
//
// Stage     09_language_model
// Source    Vaswani et al. 2017, "Attention Is All You Need", eq. 1; with a cache: Shazeer 2019, section 2.4
// Shapes    q, out: (n_batch, d_head) f32; k_cache, v_cache: (n_batch, max_seq, d_head) f32; row-major
// Bindings  0 params uniform | 1 q read | 2 k_cache read | 3 v_cache read | 4 out read_write
// Dispatch  workgroups = (n_batch, 1, 1): one per query; 1 <= n_batch <= 65535;
//           1 <= length <= max_seq, length <= 2048
// Guard     rows of the caches from length on are junk; arrays may be longer than their shapes;
//           nothing past the end is read or written
// Numerics  f32, sums in any order; scores may be large, so the largest is subtracted before exp

struct Params {
  n_batch: u32,
  max_seq: u32,
  d_head: u32,
  length: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<f32>;
@group(0) @binding(2) var<storage, read> k_cache: array<f32>;
@group(0) @binding(3) var<storage, read> v_cache: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

// Tiles of 128 keys, so that any length does; results are kept in the output between tiles.
const TILE = 128u;
var<workgroup> weights: array<f32, TILE>;

@compute @workgroup_size(TILE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  let lane = local_id.x;
  let width = params.d_head;
  let query = group_id.x * width;
  let cache = group_id.x * params.max_seq * width;
  var top = -3.4e38;
  var total = 0.0;
  for (var first = 0u; first < params.length; first += TILE) {
    let count = min(TILE, params.length - first);
    if (lane < count) {
      var score = 0.0;
      for (var d = 0u; d < width; d++) {
        score = fma(q[query + d], k_cache[cache + (first + lane) * width + d], score);
      }
      weights[lane] = score / sqrt(f32(width));
    }
    workgroupBarrier(); // the scores of this tile are stored
    var new_top = top;
    for (var t = 0u; t < count; t++) {
      new_top = max(new_top, weights[t]);
    }
    let keep = exp(top - new_top);
    total *= keep;
    for (var t = 0u; t < count; t++) {
      total += exp(weights[t] - new_top);
    }
    for (var d = lane; d < width; d += TILE) {
      var mixed = 0.0;
      if (first > 0u) {
        mixed = out[query + d] * keep;
      }
      for (var t = 0u; t < count; t++) {
        mixed += exp(weights[t] - new_top) * v_cache[cache + (first + t) * width + d];
      }
      out[query + d] = mixed;
    }
    top = new_top;
    workgroupBarrier(); // every lane has read this tile's scores
  }
  for (var d = lane; d < width; d += TILE) {
    out[query + d] /= total;
  }
}
