// cross_entropy_forward: losses[r] = log sum_c exp(logits[r, c]) - logits[r, labels[r]], 0 where labels[r] = -1
//
// Stage     01_perceptron
// Source    Bishop 2006, "Pattern Recognition and Machine Learning", eq. 4.108
// Shapes    logits: (n_rows, n_classes) f32; labels: (n_rows) i32; losses: (n_rows) f32; row-major
// Bindings  0 params uniform | 1 logits read | 2 labels read | 3 losses read_write
// Dispatch  workgroups = (n_rows, 1, 1): one per row; 1 <= n_rows <= 65535, n_classes >= 1
// Guard     every array may be longer than its shape; nothing past the end is read or written;
//           a label is a class, 0 <= label < n_classes, or -1: that row is ignored
// Numerics  f32, finite logits of any size, in nats; the host averages the losses of the rows that count

struct Params {
  n_rows: u32,
  n_classes: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;

const WORKGROUP_SIZE = 64u;

// BEGIN SOLUTION
// One value per invocation. The trees below halve it again and again: WORKGROUP_SIZE is a power of two.
var<workgroup> partial: array<f32, WORKGROUP_SIZE>;
// END SOLUTION

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // BEGIN SOLUTION
  let lane = local_id.x;
  let row = group_id.x;
  let start = row * params.n_classes;

  // 1. The row's largest logit.
  var largest = logits[start];
  for (var c = lane; c < params.n_classes; c += WORKGROUP_SIZE) {
    largest = max(largest, logits[start + c]);
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

  // 2. The sum of the exponentials; the largest term is 1, so the logarithm below is safe.
  var sum = 0.0;
  for (var c = lane; c < params.n_classes; c += WORKGROUP_SIZE) {
    sum += exp(logits[start + c] - row_max);
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

  // 3. One number per row, so one lane writes it. An ignored row must be written too: with 0.
  if (lane == 0u) {
    let label = labels[row];
    var loss = 0.0;
    if (label >= 0) {
      loss = row_max + log(row_sum) - logits[start + u32(label)];
    }
    losses[row] = loss;
  }
  // END SOLUTION
}
