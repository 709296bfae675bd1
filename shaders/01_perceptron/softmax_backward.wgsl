// softmax_backward: dx[r, c] = out[r, c] * (dout[r, c] - sum_k dout[r, k] * out[r, k])
//
// Stage     01_perceptron
// Source    Bridle 1990, "Probabilistic Interpretation of Feedforward Classification Network Outputs"
// Shapes    dout, out, dx: (n_rows, n_cols) f32; row-major
// Bindings  0 params uniform | 1 dout read | 2 out read | 3 dx read_write
// Dispatch  workgroups = (n_rows, 1, 1): one per row; 1 <= n_rows <= 65535, n_cols >= 1
// Guard     every array may be longer than n_rows * n_cols; nothing past the end is read or written
// Numerics  f32, the sum in any order; out is what softmax_forward returned, here it is read

struct Params {
  n_rows: u32,
  n_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

const WORKGROUP_SIZE = 64u;

// BEGIN SOLUTION
// One value per invocation. The tree below halves it again and again: WORKGROUP_SIZE is a power of two.
var<workgroup> partial: array<f32, WORKGROUP_SIZE>;
// END SOLUTION

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // BEGIN SOLUTION
  let lane = local_id.x;
  let start = group_id.x * params.n_cols;

  // 1. The row's dot product: how the loss would change if every output grew by the same share.
  var inner = 0.0;
  for (var c = lane; c < params.n_cols; c += WORKGROUP_SIZE) {
    inner += dout[start + c] * out[start + c];
  }
  partial[lane] = inner;
  workgroupBarrier(); // every lane's sum is stored
  for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      partial[lane] += partial[lane + half];
    }
    workgroupBarrier(); // this level of the tree is stored
  }
  let row_inner = partial[0];

  // 2. Outputs sum to 1, so they cannot all grow: only the difference from the common part counts.
  for (var c = lane; c < params.n_cols; c += WORKGROUP_SIZE) {
    dx[start + c] = out[start + c] * (dout[start + c] - row_inner);
  }
  // END SOLUTION
}
