// add_positions: out[b, t, c] = x[b, t, c] + positions[start + t, c]
//
// Stage     08_transformer
// Source    Vaswani et al. 2017, "Attention Is All You Need", section 3.5
// Shapes    x, out: (n_batch, seq, d_model) f32; positions: (n_positions, d_model) f32; row-major
// Bindings  0 params uniform | 1 x read | 2 positions read | 3 out read_write
// Dispatch  invocations = (n_batch * seq * d_model, 1, 1): one per element of out; all sizes >= 1
// Guard     more invocations may run than needed and every array may be longer than its shape; nothing
//           past the end is read or written; start + seq <= n_positions
// Numerics  f32, one sum per element; every sequence of the batch begins at row `start` of positions

struct Params {
  n_batch: u32,
  seq: u32,
  d_model: u32,
  n_positions: u32,
  start: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> positions: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
