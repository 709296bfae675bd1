// batched_matmul: tiles of 8 by 8; loads outside of a row or column are not guarded, since only the store could show them

struct Params {
  n_batch: u32,
  n_rows: u32,
  n_inner: u32,
  n_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

const TILE = 8u;
var<workgroup> of_a: array<f32, TILE * TILE>;
var<workgroup> of_b: array<f32, TILE * TILE>;

@compute @workgroup_size(TILE, TILE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) at: vec3u) {
  let row = group.y * TILE + at.y;
  let col = group.x * TILE + at.x;
  let here = at.y * TILE + at.x;
  var sum = 0.0;
  var done = 0u;
  while (done < params.n_inner) {
    // Terms past the end would reach the sum: these are zeros.
    let a_inside = done + at.x < params.n_inner;
    let b_inside = done + at.y < params.n_inner;
    if (a_inside) {
      of_a[here] = a[(group.z * params.n_rows + row) * params.n_inner + done + at.x];
    } else {
      of_a[here] = 0.0;
    }
    if (b_inside) {
      of_b[here] = b[(group.z * params.n_inner + done + at.y) * params.n_cols + col];
    } else {
      of_b[here] = 0.0;
    }
    workgroupBarrier();
    for (var k = 0u; k < TILE; k++) {
      sum = fma(of_a[at.y * TILE + k], of_b[k * TILE + at.x], sum);
    }
    workgroupBarrier();
    done += TILE;
  }
  if (row < params.n_rows && col < params.n_cols && group.z < params.n_batch) {
    out[(group.z * params.n_rows + row) * params.n_cols + col] = sum;
  }
}
