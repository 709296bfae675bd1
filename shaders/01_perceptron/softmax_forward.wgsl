// softmax_forward: out[r, c] = exp(x[r, c] - max_r) / sum_c exp(x[r, c] - max_r)
//
// Stage     01_perceptron
// Source    Bridle 1990, "Probabilistic Interpretation of Feedforward Classification Network Outputs"
// Shapes    x, out: (n_rows, n_cols) f32; row-major
// Bindings  0 params uniform | 1 x read | 2 out read_write
// Dispatch  workgroups = (n_rows, 1, 1): one per row; 1 <= n_rows <= 65535, n_cols >= 1
// Guard     x and out may be longer than n_rows * n_cols; nothing past the end is read or written
// Numerics  f32, the sum in any order; max_r is the largest score of row r; a row may hold -inf,
//           which gives 0, but not only -inf

struct Params {
  n_rows: u32,
  n_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

const WORKGROUP_SIZE = 64u;

// BEGIN SOLUTION
// One value per invocation. The trees below halve it again and again: WORKGROUP_SIZE is a power of two.
var<workgroup> partial: array<f32, WORKGROUP_SIZE>;
// END SOLUTION

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // BEGIN SOLUTION
  let lane = local_id.x;
  let start = group_id.x * params.n_cols;

  // 1. The row's maximum. Each lane takes every WORKGROUP_SIZE-th column; the first score of the
  //    row is a fair start for all of them, those that get no column included.
  var largest = x[start];
  for (var c = lane; c < params.n_cols; c += WORKGROUP_SIZE) {
    largest = max(largest, x[start + c]);
  }
  partial[lane] = largest;
  workgroupBarrier(); // every lane's maximum is stored
  for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      partial[lane] = max(partial[lane], partial[lane + half]);
    }
    workgroupBarrier(); // this level of the tree is stored
  }
  let row_max = partial[0];
  workgroupBarrier(); // every lane has read the maximum: partial may be used again

  // 2. The sum of the exponentials, in the same way.
  var sum = 0.0;
  for (var c = lane; c < params.n_cols; c += WORKGROUP_SIZE) {
    sum += exp(x[start + c] - row_max);
  }
  partial[lane] = sum;
  workgroupBarrier(); // every lane's sum is stored
  for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      partial[lane] += partial[lane + half];
    }
    workgroupBarrier(); // this level of the tree is stored
  }
  let row_sum = partial[0];

  // 3. Exponentials again: computing one is cheaper than storing it and reading it back.
  for (var c = lane; c < params.n_cols; c += WORKGROUP_SIZE) {
    out[start + c] = exp(x[start + c] - row_max) / row_sum;
  }
  // END SOLUTION
}
