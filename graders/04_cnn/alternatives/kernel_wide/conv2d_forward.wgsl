// The workgroup shares its filter: 64 weights at a time wait in workgroup memory. u32 wraps round, and one upper bound is enough.

struct Params {
  n: u32,
  c_in: u32,
  h_in: u32,
  w_in: u32,
  c_out: u32,
  kh: u32,
  kw: u32,
  h_out: u32,
  w_out: u32,
  stride_h: u32,
  stride_w: u32,
  pad_h: u32,
  pad_w: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

const TILE = 64u;
var<workgroup> weights: array<f32, TILE>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) global_id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let m = global_id.z / params.c_out;
  let o = global_id.z % params.c_out;
  let area = params.kh * params.kw;
  let n_weights = params.c_in * area;
  let lies_inside = global_id.x < params.w_out && global_id.y < params.h_out && m < params.n;
  var sum = 0.0;
  for (var first = 0u; first < n_weights; first += TILE) {
    // What lies past the end of w is loaded as well, and never used.
    weights[lane] = w[o * n_weights + first + lane];
    workgroupBarrier(); // the tile is there
    for (var k = first; lies_inside && k < min(first + TILE, n_weights); k++) {
      // A row above the picture wraps round to a huge number.
      let y = global_id.y * params.stride_h + k % area / params.kw - params.pad_h;
      let z = global_id.x * params.stride_w + k % params.kw - params.pad_w;
      if (y < params.h_in && z < params.w_in) {
        sum += weights[k - first] * x[((m * params.c_in + k / area) * params.h_in + y) * params.w_in + z];
      }
    }
    workgroupBarrier(); // everybody is done with the tile
  }
  if (lies_inside) {
    out[(global_id.z * params.h_out + global_id.y) * params.w_out + global_id.x] = sum + b[o];
  }
}
