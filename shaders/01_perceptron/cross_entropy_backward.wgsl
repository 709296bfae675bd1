// cross_entropy_backward: dlogits[r, c] = scale * (softmax(logits[r])[c] - (c == labels[r])), 0 where labels[r] = -1
//
// Stage     01_perceptron
// Source    Bishop 2006, "Pattern Recognition and Machine Learning", eq. 4.109
// Shapes    logits, dlogits: (n_rows, n_classes) f32; labels: (n_rows) i32; row-major
// Bindings  0 params uniform | 1 logits read | 2 labels read | 3 dlogits read_write
// Dispatch  workgroups = (n_rows, 1, 1): one per row; 1 <= n_rows <= 65535, n_classes >= 1
// Guard     every array may be longer than its shape; nothing past the end is read or written;
//           a label is a class, 0 <= label < n_classes, or -1: that row is ignored
// Numerics  f32, finite logits of any size; scale = dloss / n_counted comes from the host

struct Params {
  n_rows: u32,
  n_classes: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read_write> dlogits: array<f32>;

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
  let label = labels[row];

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

  // 2. The sum of the exponentials, in the same way.
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

  // 3. Probability minus target. All lanes stay to the end and write zeros for an ignored row.
  for (var c = lane; c < params.n_classes; c += WORKGROUP_SIZE) {
    let probability = exp(logits[start + c] - row_max) / row_sum;
    let target_value = select(0.0, 1.0, i32(c) == label);
    let counts = select(0.0, params.scale, label >= 0);
    dlogits[start + c] = counts * (probability - target_value);
  }
  // END SOLUTION
}
