// add_positions: 256 invocations; the positions lie in one piece

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

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let sequence_size = params.seq * params.d_model;
  if (global_id.x < params.n_batch * sequence_size) {
    let place = params.start * params.d_model + global_id.x % sequence_size;
    out[global_id.x] = x[global_id.x] + positions[place];
  }
}
