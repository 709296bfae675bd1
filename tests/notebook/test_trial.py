from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gradschool.errors import KernelCompileError, KernelTimeout
from gradschool.notebook import trial
from gradschool.notebook.kernels import LiveKernel

BODY = "if (global_id.x < params.n) { out[global_id.x] = params.alpha * x[global_id.x] + params.beta; }"


@pytest.fixture
def scale_shift(stage_folder: Path) -> LiveKernel:
    return LiveKernel(stage_folder / "scale_shift.wgsl")


def test_a_kernel_runs_and_follows_its_file(scale_shift: LiveKernel) -> None:
    stub = scale_shift.path.read_text()
    x = np.arange(70, dtype=np.float32)
    scale_shift.path.write_text(stub.replace("// YOUR CODE HERE", BODY))
    np.testing.assert_array_equal(scale_shift(x=x, alpha=2.0, beta=1.0), 2 * x + 1)
    scale_shift.path.write_text(stub.replace("// YOUR CODE HERE", BODY.replace("+ params", "- params")))
    np.testing.assert_array_equal(scale_shift(x=x, alpha=2.0, beta=1.0), 2 * x - 1)


def test_a_kernel_that_does_not_compile_is_a_sentence(scale_shift: LiveKernel) -> None:
    stub = scale_shift.path.read_text()
    scale_shift.path.write_text(stub.replace("// YOUR CODE HERE", "out[0] = nothing;"))
    with pytest.raises(KernelCompileError, match=r"scale_shift\.wgsl"):
        scale_shift(x=np.zeros(3, np.float32), alpha=1.0, beta=0.0)


def test_a_kernel_is_tried_in_another_process_before_it_runs_here(
    scale_shift: LiveKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def never_ends(kernel: object, values: object) -> None:
        tried.append("once")
        raise KernelTimeout("scale_shift.wgsl did not end within 10 s.")

    monkeypatch.setattr(trial, "try_out", never_ends)
    stub = scale_shift.path.read_text()
    scale_shift.path.write_text(stub.replace("// YOUR CODE HERE", "loop { out[0] += 1.0; }"))
    for _ in range(2):
        with pytest.raises(KernelTimeout):
            scale_shift(x=np.zeros(3, np.float32), alpha=1.0, beta=0.0)
    assert len(tried) == 2


def test_the_trial_gets_the_whole_launch(
    wgpu_device: object, scale_shift: LiveKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = []
    monkeypatch.setattr(trial, "_run", lambda job, buffers: jobs.append((job, buffers)))
    stub = scale_shift.path.read_text()
    scale_shift.path.write_text(stub.replace("// YOUR CODE HERE", BODY))
    x = np.arange(5, dtype=np.float32)
    scale_shift(x=x, alpha=2.0, beta=1.0)
    scale_shift(x=x, alpha=3.0, beta=1.0)
    [(job, buffers)] = jobs
    assert job.invocations == (5, 1, 1)
    np.testing.assert_array_equal(buffers[1].view(np.float32), x)
    assert {binding.index: binding.kind for binding in job.bindings} == {
        0: "uniform",
        1: "read",
        2: "read_write",
    }
