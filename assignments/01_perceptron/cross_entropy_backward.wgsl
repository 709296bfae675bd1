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

// YOUR CODE HERE

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  // YOUR CODE HERE
}
