// Column by column through the window, so that equal ones must be told apart by their place; grid-stride along z.

struct Params {
  n: u32,
  c: u32,
  h_in: u32,
  w_in: u32,
  h_out: u32,
  w_out: u32,
  size_h: u32,
  size_w: u32,
  stride_h: u32,
  stride_w: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> winner: array<u32>;

@compute @workgroup_size(16, 4, 4)
fn main(@builtin(global_invocation_id) global_id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let lies_inside = global_id.x < params.w_out && global_id.y < params.h_out;
  for (var map = global_id.z; lies_inside && map < params.n * params.c; map += 4u * groups.z) {
    var best = 0.0;
    var place = 0xffffffffu;
    for (var j = 0u; j < params.size_w; j++) {
      for (var i = 0u; i < params.size_h; i++) {
        let here = (global_id.y * params.stride_h + i) * params.w_in + global_id.x * params.stride_w + j;
        let rival = x[map * params.h_in * params.w_in + here];
        if (i + j == 0u || rival > best || (rival == best && here < place)) {
          best = rival;
          place = here;
        }
      }
    }
    let index = global_id.x + params.w_out * (global_id.y + params.h_out * map);
    out[index] = best;
    winner[index] = place;
  }
}
