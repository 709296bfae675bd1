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

// YOUR CODE HERE

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // YOUR CODE HERE
}
