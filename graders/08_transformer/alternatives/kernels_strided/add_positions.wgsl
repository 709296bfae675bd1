// add_positions: one invocation per number of one sequence adds its position in every sequence of the batch

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

const SIZE = 32u;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let place = group_id.x * SIZE + lane;
  let per_sequence = params.seq * params.d_model;
  if (place >= per_sequence) {
    return;
  }
  let added = positions[params.start * params.d_model + place];
  for (var i = place; i < params.n_batch * per_sequence; i += per_sequence) {
    out[i] = added + x[i];
  }
}
