"""Backends and kernels for the tests of the GPU runtime."""

from __future__ import annotations

import pytest

from gradschool.gpu.backend import Backend
from gradschool.gpu.device import open_backend
from gradschool.gpu.kernel import Kernel

SCALE = """\
// scale: out[i] = alpha * x[i]
//
// Stage     00_first_kernel
// Source    elementwise
// Shapes    x, out: (n,) f32
// Bindings  0 params uniform | 1 x read | 2 out read_write
// Dispatch  invocations = (n, 1, 1): one per element
// Guard     invocations past n do nothing
// Numerics  f32

struct Params {
  n: u32,
  alpha: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

const WORKGROUP_SIZE = 32u * 2u;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  if (global_id.x < params.n) {
    out[global_id.x] = params.alpha * x[global_id.x];
  }
}
"""

STEP = """\
// step: w[i] = w[i] - lr * grad[i], and norms[0] gains the number of elements
//
// Stage     00_first_kernel
// Source    gradient descent
// Shapes    w, grad: (n_rows, n_cols) f32; count: (1,) u32
// Bindings  0 params uniform | 1 grad read | 2 w read_write inout | 3 count read_write zeroed
// Dispatch  workgroups = (n_rows, 1, 1): one per row
// Guard     nothing past the end is read or written
// Numerics  f32

struct Params {
  n_rows: u32,
  n_cols: u32,
  lr: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> grad: array<f32>;
@group(0) @binding(2) var<storage, read_write> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> count: array<atomic<u32>>;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
  for (var c = local_id.x; c < params.n_cols; c += 8u) {
    let i = group_id.x * params.n_cols + c;
    w[i] -= params.lr * grad[i];
    atomicAdd(&count[0], 1u);
  }
}
"""


@pytest.fixture(params=["interpreter", "wgpu"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each kind of device in turn."""
    if request.param == "interpreter":
        return open_backend("interpreter")
    return request.getfixturevalue("wgpu_device")


@pytest.fixture
def on_backend(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Backend:
    """Make `backend` the process's default device."""
    monkeypatch.setattr("gradschool.gpu.kernel.default_backend", lambda: backend)
    monkeypatch.setattr("gradschool.gpu.arrays.default_backend", lambda: backend)
    return backend


@pytest.fixture
def scale() -> Kernel:
    """`out = alpha * x`."""
    return Kernel(SCALE, "scale.wgsl")


@pytest.fixture
def step() -> Kernel:
    """A kernel with an array updated in place and a counter that arrives as zero."""
    return Kernel(STEP, "step.wgsl")
