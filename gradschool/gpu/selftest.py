"""One small kernel whose answer is known: does the device compute at all?"""

from __future__ import annotations

import time

import numpy as np

from gradschool.errors import DeviceError
from gradschool.gpu.backend import Backend
from gradschool.gpu.checked import check_kernel

_SOURCE = """
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  let i = global_id.x;
  if (i < 1000u) {
    out[i] = 2.0 * x[i] + 1.0;
  }
}
"""


def first_kernel_ms(backend: Backend) -> float:
    """Compile and run a kernel; return the milliseconds until its result was back.

    Raises:
        DeviceError: The result is wrong.
    """
    x = np.arange(1000, dtype=np.float32)
    start = time.perf_counter()
    program = backend.compile(check_kernel(_SOURCE, "selftest.wgsl"), ((0, "read"), (1, "read_write")))
    given, out = backend.create(x.nbytes, x.view(np.uint8)), backend.create(x.nbytes)
    backend.dispatch(program, {0: given, 1: out}, (16, 1, 1))
    (result,) = backend.read([out])
    elapsed_ms = 1e3 * (time.perf_counter() - start)
    backend.free(given)
    backend.free(out)
    if not np.array_equal(result.view(np.float32), 2 * x + 1):
        raise DeviceError(
            f"{backend.info.name} computes 2 x + 1 wrongly.",
            help="Set GRADSCHOOL_DEVICE=interpreter, and tell the driver's makers.",
        )
    return elapsed_ms
