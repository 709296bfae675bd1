"""Kernels in the built-in interpreter: the run itself, and its findings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from gradschool.errors import KernelTimeout
from gradschool.gpu.checked import CheckedKernel

if TYPE_CHECKING:
    from gradschool.gpu.jobs import KernelJob
    from gradschool.wgsl import BufferIn, RunResult

DEFAULT_MAX_STEPS = 100_000
"""Loop iterations; the course's own kernels stay under 60,000."""

WATCHED_STEPS = 4_000
"""Watching for races makes an iteration of an endless loop 30 times dearer: past this many,
a run without it first shows whether the kernel ends at all."""


def run_kernel(
    kernel: CheckedKernel,
    buffers: Mapping[int, BufferIn],
    workgroups: tuple[int, int, int],
    *,
    max_steps: int | None = None,
    detect: bool = False,
    count: bool = False,
) -> RunResult:
    """Run a kernel once.

    Args:
        kernel: From `check_kernel`.
        buffers: One per binding.
        workgroups: How many to launch per axis.
        max_steps: Loop iterations after which the kernel is taken to be endless.
        detect: Whether to look for races, undefined reads and the like.
        count: Whether to count memory traffic and arithmetic.

    Raises:
        KernelTimeout: The steps ran out; the message names the loop.
        KernelError: A buffer is too small, or the launch too large.
    """
    limit = max_steps or DEFAULT_MAX_STEPS
    if detect and limit > WATCHED_STEPS:
        result = _run(kernel, buffers, workgroups, WATCHED_STEPS, detect=True, count=count)
        if not _ran_out(result):
            return result
        _refuse_endless(kernel, _run(kernel, buffers, workgroups, limit, detect=False))
    result = _run(kernel, buffers, workgroups, limit, detect=detect, count=count)
    _refuse_endless(kernel, result)
    return result


def _run(
    kernel: CheckedKernel,
    buffers: Mapping[int, BufferIn],
    workgroups: tuple[int, int, int],
    max_steps: int,
    *,
    detect: bool,
    count: bool = False,
) -> RunResult:
    return kernel.module.run(
        kernel.entry,
        workgroups=workgroups,
        buffers=dict(buffers),
        max_steps=max_steps,
        detect=detect,
        cost=count,
    )


def _ran_out(result: RunResult) -> bool:
    return any(finding.kind == "step-budget" for finding in result.findings)


def _refuse_endless(kernel: CheckedKernel, result: RunResult) -> None:
    for finding in result.findings:
        if finding.kind == "step-budget":
            raise KernelTimeout(f"{kernel.filename}, line {finding.line}: {finding.message}")


def interpret_job(
    job: KernelJob, kernel: CheckedKernel, buffers: Mapping[int, np.ndarray]
) -> tuple[list[dict[int, np.ndarray]], RunResult]:
    """Run a job's repeats.

    Returns:
        The bytes of every storage buffer after each repeat, and all of the first run: what
        it found, and which words it wrote.

    Raises:
        KernelTimeout: The steps ran out.
    """
    from gradschool.wgsl import BufferIn

    groups = job.launch_size(kernel.workgroup_size)
    given = {index: _whole_words(array) for index, array in buffers.items()}
    current, after, first = given, [], None
    for _ in range(job.repeats):
        inputs = {
            binding.index: BufferIn(
                (given if job.fresh else current)[binding.index],
                buffers[binding.index].nbytes if binding.logical_bytes is None else binding.logical_bytes,
                binding.undefined,
            )
            for binding in job.bindings
        }
        count = job.count and first is None
        result = run_kernel(kernel, inputs, groups, max_steps=job.max_steps, detect=job.detect, count=count)
        first = first or result
        current = result.buffers
        after.append(
            {
                binding.index: current[binding.index][: buffers[binding.index].nbytes]
                for binding in job.bindings
                if binding.kind != "uniform"
            }
        )
    assert first is not None
    return after, first


def _whole_words(array: np.ndarray) -> np.ndarray:
    """Buffers are made of 4-byte words; add what a row of bytes lacks of them."""
    lack = -array.nbytes % 4
    return np.concatenate([array, np.zeros(lack, np.uint8)]) if lack else np.ascontiguousarray(array)
