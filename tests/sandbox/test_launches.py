"""Kernels that a submission's Python launches: the same words as in a notebook, and handles instead of devices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gradschool.errors import CallFailed, CallTimeout, KernelError
from gradschool.gpu.device import interpreter_info
from gradschool.gpu.interpreter_backend import InterpreterBackend
from gradschool.grading import kernel_desk
from gradschool.grading.kernel_desk import KernelDesk
from gradschool.sandbox import Worker

SCALE = """// scale: out[i] = alpha * x[i]
//
// Stage     00_test
// Source    none
// Shapes    x, out: (n) f32
// Bindings  0 params uniform | 1 x read | 2 out read_write
// Dispatch  invocations = (n, 1, 1)
// Guard     nothing past n
// Numerics  f32

struct Params {
  n: u32,
  alpha: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  if (global_id.x < params.n) {
    out[global_id.x] = params.alpha * x[global_id.x];
  }
}
"""

SETUP = "import numpy as np\nimport gradschool as gs"
TWICE = """
def twice(x):
    scale = gs.kernel("scale.wgsl")
    once = scale(x=gs.to_device(x), alpha=2.0)
    return scale(x=once, alpha=np.float32(2.0)).numpy()
"""
X = np.array([1.0, -2.0, 3.0], np.float32)


def find(file: str) -> str:
    if file != "scale.wgsl":
        raise KernelError(f"There is no kernel {file}.")
    return SCALE


@pytest.fixture
def submission(load: Callable[..., Worker]) -> Callable[[str], Worker]:
    """A worker whose cells are the set-up and the code given, with a desk."""

    def make(code: str) -> Worker:
        worker = load(("setup", SETUP), ("solution", code))
        worker.desk = KernelDesk(find, lambda: InterpreterBackend(interpreter_info()))
        return worker

    return make


def test_arrays_stay_on_the_device_between_launches(submission) -> None:
    result = submission(TWICE).call("twice", (X,))
    np.testing.assert_array_equal(result.value, 4 * X)
    log = result.device_log
    assert [kind for kind, _ in log.events] == ["upload", "launch", "launch", "download"]
    assert log.launches == ["scale.wgsl", "scale.wgsl"]
    assert (log.n_uploads, log.n_downloads, log.n_returns) == (1, 1, 0)


def test_numbers_that_went_through_numpy_are_counted(submission) -> None:
    code = """
def through_numpy(x):
    scale = gs.kernel("scale")
    return scale(x=scale(x=x, alpha=2.0) + np.float32(1), alpha=1.0)
"""
    result = submission(code).call("through_numpy", (X,))
    np.testing.assert_array_equal(result.value, 2 * X + 1)
    assert result.device_log.n_returns == 1


def test_a_view_is_the_same_memory(submission) -> None:
    code = """
def flat(x):
    rows = gs.to_device(x)
    return gs.kernel("scale.wgsl")(x=rows.reshape(-1), alpha=3.0).reshape(2, 3).numpy()
"""
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(submission(code).call("flat", (x,)).value, 3 * x)


WRONG = {
    "no such kernel": ('gs.kernel("other.wgsl")(x=gs.to_device(x))', "There is no kernel other.wgsl"),
    "by position": ('gs.kernel("scale.wgsl")(x)', "takes its arrays by name"),
    "float64": ("gs.to_device(x.astype(np.float64))", "float64"),
    "no such argument": ('gs.kernel("scale.wgsl")(x=x, alpha=1.0, y=x)', "no argument 'y'"),
    "a list of words": ('gs.kernel("scale.wgsl")(x=x, alpha="one")', "expected an array or a number"),
    "another shape": ("gs.to_device(x).reshape(7, 7)", "cannot be viewed as"),
    "a handle of its own making": (
        'gs.kernel("scale.wgsl")(x=type(gs.to_device(x))(gs.to_device(x)._device, 99, (3,), x.dtype), alpha=1.0)',
        "not on the device any more",
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_at_a_launch_is_the_functions_error(submission, mistake: str) -> None:
    code, words = WRONG[mistake]
    worker = submission(f"def wrong(x):\n    return {code}\n\n{TWICE}")
    with pytest.raises(CallFailed, match=words) as caught:
        worker.call("wrong", (X,))
    assert caught.value.exception_type == "KernelError"
    np.testing.assert_array_equal(worker.call("twice", (X,)).value, 4 * X)


def test_an_array_kept_from_an_earlier_call_is_gone(submission) -> None:
    code = """
kept = []

def keep(x):
    kept.append(gs.to_device(x))
    return len(kept)

def use():
    return kept[0].numpy()
"""
    worker = submission(code)
    worker.call("keep", (X,))
    with pytest.raises(CallFailed, match="not on the device any more"):
        worker.call("use")


def test_launches_without_end_are_stopped(submission, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_desk, "MAX_REQUESTS", 40)
    code = """
def endless(x):
    scale = gs.kernel("scale.wgsl")
    h = gs.to_device(x)
    while True:
        h = scale(x=h, alpha=1.0)
"""
    with pytest.raises(CallFailed, match="used the device too much"):
        submission(code).call("endless", (X,))


def test_asking_again_after_a_refusal_does_not_buy_time(submission, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_desk, "MAX_REQUESTS", 40)
    code = """
def stubborn(x):
    while True:
        try:
            gs.to_device(x)
        except Exception:
            pass
"""
    with pytest.raises(CallTimeout):
        submission(code).call("stubborn", (X,), timeout_s=1.0)


def test_while_cells_are_taken_in_nothing_is_launched(submission) -> None:
    worker = submission(f'picture = gs.kernel("scale.wgsl")(x=gs.to_device(np.ones(3)))\n{TWICE}')
    assert all(cell.ok for cell in worker.report.cells)
    assert worker.call("twice", (X,)).value[0] == 4.0


def test_without_a_desk_a_launch_says_so(load) -> None:
    worker = load(("setup", SETUP), ("solution", TWICE))
    with pytest.raises(CallFailed, match="No kernel can be launched here"):
        worker.call("twice", (X,))
