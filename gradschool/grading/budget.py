"""Time that all calls, or all kernels, of one submission may take together."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from gradschool.errors import KernelTimeout

if TYPE_CHECKING:
    from gradschool.gpu.jobs import JobResult, KernelJob
    from gradschool.gpu.worker_client import GpuWorker


class TimeBudget:
    """Patience with a whole submission.

    Each call stays below its own limit and hundreds of them do not: a submission must not hold the
    grader until the grader is taken for dead.

    Args:
        seconds: How much there is.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._spent_s = 0.0

    @property
    def is_spent(self) -> bool:
        """Whether nothing is left."""
        return self._spent_s >= self.seconds

    @contextlib.contextmanager
    def spend(self) -> Iterator[None]:
        """Count the time of a block."""
        started = time.monotonic()
        try:
            yield
        finally:
            self._spent_s += time.monotonic() - started


class KernelJobs:
    """Runs the kernel jobs of one submission.

    Args:
        gpu: Where they run.
        timeout_s: Time one job may take.
        budget: Time all may take.
    """

    def __init__(self, gpu: GpuWorker, timeout_s: float, budget: TimeBudget) -> None:
        self._gpu = gpu
        self._timeout_s = timeout_s
        self._budget = budget

    def run(self, job: KernelJob, buffers: Mapping[int, np.ndarray]) -> JobResult:
        """Run one job.

        Raises:
            KernelTimeout: It did not end, or the time of all jobs is spent.
        """
        if self._budget.is_spent:
            raise KernelTimeout(
                f"{job.filename} was not run: the kernels before took {self._budget.seconds:g} s together.",
                help="Grading takes a few seconds in all; look for loops that do more than they need to.",
            )
        with self._budget.spend():
            return self._gpu.run(job, dict(buffers), timeout_s=self._timeout_s)
