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

const WORKGROUP_SIZE = 64u;
const MAX_LENGTH = 2048u;

// BEGIN SOLUTION
// The scores of all keys, then their exponentials: 8 KiB of the 16 that a workgroup has.
var<workgroup> weights: array<f32, MAX_LENGTH>;
// One value per invocation. The trees below halve it again and again: WORKGROUP_SIZE is a power of two.
var<workgroup> partial: array<f32, WORKGROUP_SIZE>;
// END SOLUTION

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // BEGIN SOLUTION
  let lane = local_id.x;
  let query = group_id.x * params.d_head;
  let first = group_id.x * params.max_seq * params.d_head;
  let scale = 1.0 / sqrt(f32(params.d_head));

  // 1. One score per key, and the largest of them. A lane without a key stays at the lowest number
  //    there is, and changes no maximum.
  var largest = -3.4e38;
  for (var t = lane; t < params.length; t += WORKGROUP_SIZE) {
    var score = 0.0;
    for (var d = 0u; d < params.d_head; d++) {
      score += q[query + d] * k_cache[first + t * params.d_head + d];
    }
    weights[t] = score * scale;
    largest = max(largest, weights[t]);
  }
  partial[lane] = largest;
  workgroupBarrier(); // every lane's maximum is stored
  for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      partial[lane] = max(partial[lane], partial[lane + half]);
    }
    workgroupBarrier(); // this level of the tree is stored
  }
  let top = partial[0];
  workgroupBarrier(); // every lane has read the maximum: partial may be used again

  // 2. The exponentials, and their sum.
  var sum = 0.0;
  for (var t = lane; t < params.length; t += WORKGROUP_SIZE) {
    weights[t] = exp(weights[t] - top);
    sum += weights[t];
  }
  partial[lane] = sum;
  workgroupBarrier(); // every lane's sum, and every weight, is stored
  for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      partial[lane] += partial[lane + half];
    }
    workgroupBarrier(); // this level of the tree is stored
  }
  let total = partial[0];

  // 3. Each lane mixes the values of its own dimensions.
  for (var d = lane; d < params.d_head; d += WORKGROUP_SIZE) {
    var mixed = 0.0;
    for (var t = 0u; t < params.length; t++) {
      mixed += weights[t] * v_cache[first + t * params.d_head + d];
    }
    out[query + d] = mixed / total;
  }
  // END SOLUTION
}
