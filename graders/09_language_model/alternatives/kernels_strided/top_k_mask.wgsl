// top_k_mask: the k-th largest score bit by bit, then as many of its equals as there is room for

struct Params {
  n_rows: u32,
  n_cols: u32,
  k: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

const SIZE = 8u;

// Bits of a score that compare as the scores do; 0 and -0 have the same.
fn in_order(score: f32) -> u32 {
  let bits = bitcast<u32>(select(score, 0.0, score == 0.0));
  return bits ^ select(0x80000000u, 0xffffffffu, (bits & 0x80000000u) != 0u);
}

@compute @workgroup_size(SIZE, SIZE)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  if (any(global_id.xy >= vec2u(params.n_cols, params.n_rows))) {
    return;
  }
  let start = global_id.y * params.n_cols;
  // The largest number that at least k scores reach.
  var threshold = 0u;
  for (var bit = 0x80000000u; bit > 0u; bit >>= 1u) {
    var n_reach = 0u;
    for (var c = 0u; c < params.n_cols; c++) {
      n_reach += select(0u, 1u, in_order(logits[start + c]) >= (threshold | bit));
    }
    if (n_reach >= params.k) {
      threshold |= bit;
    }
  }
  let own = in_order(logits[start + global_id.x]);
  var room = params.k;
  for (var c = 0u; c < params.n_cols; c++) {
    let other = in_order(logits[start + c]);
    if (other > threshold || (other == threshold && c < global_id.x)) {
      room -= min(room, 1u);
    }
  }
  var hidden = 0xff800000u;
  out[start + global_id.x] = bitcast<f32>(hidden);
  if (own > threshold || (own == threshold && room > 0u)) {
    out[start + global_id.x] = logits[start + global_id.x];
  }
}
