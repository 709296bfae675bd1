// adamw_step: m = beta1 m + (1 - beta1) grad; v = beta2 v + (1 - beta2) grad^2; all in place:
//             w = w - lr weight_decay w - lr (m / m_correction) / (sqrt(v / v_correction) + eps)
//
// Stage     09_language_model
// Source    Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization", algorithm 2
// Shapes    w, m, v, grad: (n) f32
// Bindings  0 params uniform | 1 w read_write inout | 2 m read_write inout | 3 v read_write inout | 4 grad read
// Dispatch  invocations = (n, 1, 1): one per parameter; n >= 1
// Guard     more invocations may run than needed and all arrays may be longer than n;
//           nothing past the end is read or written
// Numerics  f32; both terms see the w from before the step, and m and v never see the decay; step
//           t = 1, 2, ... gets m_correction = 1 - beta1^t and v_correction = 1 - beta2^t from its caller

struct Params {
  n: u32,
  lr: f32,
  beta1: f32,
  beta2: f32,
  eps: f32,
  weight_decay: f32,
  m_correction: f32,
  v_correction: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> m: array<f32>;
@group(0) @binding(3) var<storage, read_write> v: array<f32>;
@group(0) @binding(4) var<storage, read> grad: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // YOUR CODE HERE
}
