// rotary_forward: 32 invocations, each several pairs a stride apart; numbers as complex ones, powers of 2

struct Params {
  n_batch: u32,
  seq: u32,
  d_head: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> positions: array<i32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

const LANES = 32u;

fn times(a: vec2f, b: vec2f) -> vec2f {
  return vec2f(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}

@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) global_id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let per_row = params.d_head / 2u;
  let step = log2(10000.0) / f32(per_row);
  for (var n = global_id.x; n < params.n_batch * params.seq * per_row; n += groups.x * LANES) {
    let row = n / per_row;
    let angle = f32(positions[row % params.seq]) * exp2(-step * f32(n - row * per_row));
    let turned = times(vec2f(cos(angle), sin(angle)), vec2f(x[2u * n], x[2u * n + 1u]));
    out[2u * n] = turned.x;
    out[2u * n + 1u] = turned.y;
  }
}
