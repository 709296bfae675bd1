// masked_softmax_backward: one invocation per row, a plain loop

struct Params {
  n_batch: u32,
  n_queries: u32,
  n_keys: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dattn: array<f32>;
@group(0) @binding(2) var<storage, read> attn: array<f32>;
@group(0) @binding(3) var<storage, read_write> dscores: array<f32>;

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let first: u32 = (group.x + group.y * groups.x) * params.n_keys;
  let end: u32 = first + params.n_keys;
  var inner: f32 = 0.0;
  for (var i: u32 = first; i < end; i = i + 1u) {
    inner = inner + attn[i] * dattn[i];
  }
  for (var i: u32 = first; i < end; i = i + 1u) {
    dscores[i] = (dattn[i] - inner) * attn[i];
  }
}
