// histogram: counts[k] = how many i have x[i] == k
//
// Stage     00_first_kernel
// Source    the same as np.bincount(x[(0 <= x) & (x < n_bins)], minlength=n_bins)
// Shapes    x: (n) i32; counts: (n_bins) u32
// Bindings  0 params uniform | 1 x read | 2 counts read_write zeroed
// Dispatch  invocations = (n, 1, 1): one per element, and often more; n >= 1, n_bins >= 1
// Guard     arrays may be longer than the data; nothing past the end is read or written;
//           values of x outside 0 <= x < n_bins are not counted
// Numerics  exact; counts arrives as zeros

struct Params {
  n: u32,
  n_bins: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<i32>;
@group(0) @binding(2) var<storage, read_write> counts: array<atomic<u32>>;

// Each invocation owns some bins and looks through all of x for them. Nobody else counts there.
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u, @builtin(num_workgroups) n_groups: vec3u) {
  for (var bin = global_id.x; bin < params.n_bins; bin += 64u * n_groups.x) {
    var count = 0u;
    for (var i = 0u; i < params.n; i++) {
      count += u32(x[i] == i32(bin));
    }
    atomicStore(&counts[bin], count);
  }
}
