// rotary_forward: 256 invocations; powers of e in place of powers of 10000

struct Params {
  n_batch: u32,
  seq: u32,
  d_head: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> positions: array<i32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

const SIZE = 256u;
const LOG_BASE = 9.210340371976184;

@compute @workgroup_size(SIZE)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let first = 2u * global_id.x;
  if (first >= params.n_batch * params.seq * params.d_head) {
    return;
  }
  let column = first % params.d_head;
  let place = positions[(first / params.d_head) % params.seq];
  let angle = f32(place) * exp(-LOG_BASE * f32(column) / f32(params.d_head));
  let pair = vec2f(x[first], x[first + 1u]);
  out[first] = dot(pair, vec2f(cos(angle), -sin(angle)));
  out[first + 1u] = dot(pair, vec2f(sin(angle), cos(angle)));
}
