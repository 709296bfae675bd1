// matmul_tiled: tiles of 8 by 8, flat arrays in workgroup memory

struct Params {
  n_rows: u32,
  n_inner: u32,
  n_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

var<workgroup> left: array<f32, 64>;
var<workgroup> right: array<f32, 64>;

@compute @workgroup_size(8, 8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let y = lane / 8u;
  let x = lane % 8u;
  let row = group.y * 8u + y;
  let col = group.x * 8u + x;
  var total: f32 = 0.0;
  var start: u32 = 0u;
  loop {
    if (start >= params.n_inner) {
      break;
    }
    // Every index is clamped into the arrays, and what does not belong is multiplied away.
    let k_left = start + x;
    let k_right = start + y;
    let use_left = f32(row < params.n_rows && k_left < params.n_inner);
    let use_right = f32(k_right < params.n_inner && col < params.n_cols);
    left[lane] = use_left * a[min(row, params.n_rows - 1u) * params.n_inner + min(k_left, params.n_inner - 1u)];
    right[lane] = use_right * b[min(k_right, params.n_inner - 1u) * params.n_cols + min(col, params.n_cols - 1u)];
    workgroupBarrier(); // the tiles are loaded
    for (var k = 0u; k < 8u; k += 1u) {
      total = fma(left[y * 8u + k], right[k * 8u + x], total);
    }
    workgroupBarrier(); // the tiles have been used
    start += 8u;
  }
  if (row < params.n_rows && col < params.n_cols) {
    out[row * params.n_cols + col] = total;
  }
}
