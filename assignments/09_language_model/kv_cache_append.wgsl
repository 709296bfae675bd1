// kv_cache_append: cache[b, position, d] = entry[b, d], in place; all other rows stay as they are
//
// Stage     09_language_model
// Source    Shazeer 2019, "Fast Transformer Decoding: One Write-Head is All You Need", section 2.4
// Shapes    entry: (n_batch, d_head) f32; cache: (n_batch, max_seq, d_head) f32; row-major
// Bindings  0 params uniform | 1 entry read | 2 cache read_write inout
// Dispatch  invocations = (n_batch * d_head, 1, 1): one per number of entry; n_batch, max_seq, d_head >= 1
// Guard     more invocations may run than needed and both arrays may be longer than their shapes; nothing
//           past the end is read or written, and a position >= max_seq writes nothing at all
// Numerics  a copy: exact

struct Params {
  n_batch: u32,
  max_seq: u32,
  d_head: u32,
  position: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> entry: array<f32>;
@group(0) @binding(2) var<storage, read_write> cache: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
