// add_positions: three nested divisions, one invocation per workgroup

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

@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let row = global_id.x / params.d_model;
  let column = global_id.x - row * params.d_model;
  let sequence = row / params.seq;
  let t = row - sequence * params.seq;
  if (sequence < params.n_batch) {
    let i = (sequence * params.seq + t) * params.d_model + column;
    out[i] = positions[(t + params.start) * params.d_model + column] + x[i];
  }
}
