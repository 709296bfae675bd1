// rotary_forward: one invocation per workgroup; the pair as a vector times a matrix

struct Params {
  n_batch: u32,
  seq: u32,
  d_head: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> positions: array<i32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) id: vec3u) {
  if (2u * id.x + 1u < params.n_batch * params.seq * params.d_head) {
    let row = 2u * id.x / params.d_head;
    let column = 2u * id.x - row * params.d_head;
    let angle = f32(positions[row % params.seq]) / pow(10000.0, f32(column) / f32(params.d_head));
    let turn = mat2x2f(cos(angle), sin(angle), -sin(angle), cos(angle));
    let turned = turn * vec2f(x[2u * id.x], x[2u * id.x + 1u]);
    out[2u * id.x] = turned.x;
    out[2u * id.x + 1u] = turned.y;
  }
}
