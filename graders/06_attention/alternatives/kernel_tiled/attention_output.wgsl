// attention_output: tiles of 8 by 8 in workgroup memory; only what could reach a sum is guarded when it is loaded

struct Params {
  n_batch: u32,
  n_queries: u32,
  n_keys: u32,
  d_v: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> attn: array<f32>;
@group(0) @binding(2) var<storage, read> v: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

const TILE = 8u;
// What an invocation outside loads never leaves its own row or column of a tile, and it stores nothing.
var<workgroup> left: array<array<f32, TILE>, TILE>;
var<workgroup> right: array<array<f32, TILE>, TILE>;

@compute @workgroup_size(TILE, TILE)
fn main(@builtin(global_invocation_id) global_id: vec3u, @builtin(local_invocation_id) at: vec3u) {
  let col = global_id.x;
  let query = global_id.y;
  let item = global_id.z;
  var sum = 0.0;
  for (var first = 0u; first < params.n_keys; first += TILE) {
    let across = first + at.x;
    let down = first + at.y;
    left[at.y][at.x] = 0.0;
    right[at.y][at.x] = 0.0;
    if (across < params.n_keys) {
      left[at.y][at.x] = attn[(item * params.n_queries + query) * params.n_keys + across];
    }
    if (down < params.n_keys) {
      right[at.y][at.x] = v[(item * params.n_keys + down) * params.d_v + col];
    }
    workgroupBarrier();
    for (var n = 0u; n < TILE; n++) {
      sum += left[at.y][n] * right[n][at.x];
    }
    workgroupBarrier();
  }
  if (col < params.d_v && query < params.n_queries && item < params.n_batch) {
    out[(item * params.n_queries + query) * params.d_v + col] = sum;
  }
}
