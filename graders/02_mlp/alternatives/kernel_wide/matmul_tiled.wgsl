// matmul_tiled: a row of 64 invocations shares a strip of a; b is read where it is needed

struct Params {
  n_rows: u32,
  n_inner: u32,
  n_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

// The contract covers out with invocations: 64 columns of one row to a workgroup.
const WIDTH = 64u;
var<workgroup> strip: array<f32, WIDTH>;

@compute @workgroup_size(WIDTH, 1)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  let row = group_id.y;
  let col = group_id.x * WIDTH + local_id.x;
  let inside = row < params.n_rows && col < params.n_cols;
  var strands = array<f32, 4>(0.0, 0.0, 0.0, 0.0);
  for (var start = 0u; start < params.n_inner; start += WIDTH) {
    let k = start + local_id.x;
    if (row < params.n_rows && k < params.n_inner) {
      strip[local_id.x] = a[row * params.n_inner + k];
    }
    workgroupBarrier(); // the strip is loaded
    if (inside) {
      for (var j = 0u; j < min(WIDTH, params.n_inner - start); j++) {
        strands[j % 4u] += strip[j] * b[(start + j) * params.n_cols + col];
      }
    }
    workgroupBarrier(); // the strip has been used
  }
  if (inside) {
    out[row * params.n_cols + col] = (strands[0] + strands[1]) + (strands[2] + strands[3]);
  }
}
