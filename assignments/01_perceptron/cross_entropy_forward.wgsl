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

// YOUR CODE HERE

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // YOUR CODE HERE
}
