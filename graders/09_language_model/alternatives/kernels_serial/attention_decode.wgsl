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

// One pass over the keys with a running maximum; each invocation does whole dimensions by itself.
@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  let query = group_id.x * params.d_head;
  for (var d = local_id.x; d < params.d_head; d += 32u) {
    var top = -3.4e38;
    var total = 0.0;
    var mixed = 0.0;
    for (var t = 0u; t < params.length; t++) {
      let row = (group_id.x * params.max_seq + t) * params.d_head;
      var score = 0.0;
      for (var e = 0u; e < params.d_head; e++) {
        score += q[query + e] * k_cache[row + e];
      }
      score = score * inverseSqrt(f32(params.d_head));
      let new_top = max(top, score);
      let keep = exp(top - new_top);
      let weight = exp(score - new_top);
      total = total * keep + weight;
      mixed = mixed * keep + weight * v_cache[row + d];
      top = new_top;
    }
    out[query + d] = mixed / total;
  }
}
