// attention_decode: no tree; 256 lanes score the keys, and each looks over all scores by itself

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

const SIZE = 256u;
var<workgroup> scores: array<f32, 2048>;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let d = params.d_head;
  let keys = group_id.x * params.max_seq * d;
  for (var t = lane; t < params.length; t += SIZE) {
    // Four sums side by side, and the rest of the row.
    var sums = vec4f();
    var e = 0u;
    for (; e + 4u <= d; e += 4u) {
      let at = group_id.x * d + e;
      let k = keys + t * d + e;
      sums += vec4f(q[at], q[at + 1u], q[at + 2u], q[at + 3u])
        * vec4f(k_cache[k], k_cache[k + 1u], k_cache[k + 2u], k_cache[k + 3u]);
    }
    var score = sums.x + sums.y + sums.z + sums.w;
    for (; e < d; e++) {
      score += q[group_id.x * d + e] * k_cache[keys + t * d + e];
    }
    scores[t] = score * inverseSqrt(f32(d));
  }
  workgroupBarrier(); // all scores are stored
  if (lane >= d) {
    return; // nobody waits any more
  }
  var top = scores[0];
  for (var t = 1u; t < params.length; t++) {
    top = max(top, scores[t]);
  }
  // Any shift near the largest does, whole numbers too.
  top = floor(top);
  for (var column = lane; column < d; column += SIZE) {
    var sum = vec2f();
    for (var t = 0u; t < params.length; t++) {
      sum += exp(scores[t] - top) * vec2f(v_cache[keys + t * d + column], 1.0);
    }
    out[group_id.x * d + column] = sum.x / sum.y;
  }
}
