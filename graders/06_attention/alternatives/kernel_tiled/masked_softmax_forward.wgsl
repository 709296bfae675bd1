// masked_softmax_forward: 32 lanes; scans in two arrays that take turns; the row is stored first and divided after

struct Params {
  n_batch: u32,
  n_queries: u32,
  n_keys: u32,
  n_masks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<f32>;
@group(0) @binding(2) var<storage, read> mask: array<u32>;
@group(0) @binding(3) var<storage, read_write> attn: array<f32>;

const LANES = 32u;
// No score is lower, and a forbidden one gets no weight whatever stands here.
const LOWEST = -3.4028234e38;
var<workgroup> bench: array<array<f32, LANES>, 2>;

// The maximum or the sum over all lanes: after step n a lane knows what 2^n lanes up to itself hold.
fn over_lanes(lane: u32, value: f32, of_maxima: bool) -> f32 {
  var side = 0u;
  bench[side][lane] = value;
  workgroupBarrier();
  for (var reach = 1u; reach < LANES; reach *= 2u) {
    var mine = bench[side][lane];
    if (lane >= reach) {
      let theirs = bench[side][lane - reach];
      mine = select(mine + theirs, max(mine, theirs), of_maxima);
    }
    side = 1u - side;
    bench[side][lane] = mine;
    workgroupBarrier();
  }
  let all = bench[side][LANES - 1u];
  workgroupBarrier();
  return all;
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  let lane = local_id.x;
  let row = group_id.y * params.n_queries + group_id.x;
  let own_mask = group_id.y / (params.n_batch / params.n_masks);
  let to_mask = (own_mask * params.n_queries + group_id.x) * params.n_keys;
  let to_row = row * params.n_keys;

  var largest = LOWEST;
  for (var key = lane; key < params.n_keys; key += LANES) {
    largest = max(largest, select(LOWEST, scores[to_row + key], mask[to_mask + key] != 0u));
  }
  let top = over_lanes(lane, largest, true);

  var sum = 0.0;
  for (var key = lane; key < params.n_keys; key += LANES) {
    let raised = select(0.0, exp(min(scores[to_row + key] - top, 0.0)), mask[to_mask + key] != 0u);
    attn[to_row + key] = raised;
    sum += raised;
  }
  let total = over_lanes(lane, sum, false);

  if (total > 0.0) {
    for (var key = lane; key < params.n_keys; key += LANES) {
      attn[to_row + key] /= total;
    }
  }
}
