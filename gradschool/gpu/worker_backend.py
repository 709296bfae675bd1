"""Kernels in a disposable process, as a device: memory stays here, each launch goes there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from gradschool.gpu.backend import Buffer
from gradschool.gpu.device import DeviceInfo
from gradschool.gpu.interpreter_backend import InterpreterBackend, Program

if TYPE_CHECKING:
    from gradschool.gpu.jobs import JobResult, KernelJob

RunJob = Callable[["KernelJob", dict[int, np.ndarray]], "JobResult"]


class WorkerBackend(InterpreterBackend):
    """A device whose launches are jobs of a `GpuWorker`; see `gradschool.gpu.backend.Backend`.

    A kernel that never ends costs its own process and nothing else.

    Args:
        info: The device the worker has.
        run: Runs one job in the worker.
    """

    def __init__(self, info: DeviceInfo, run: RunJob) -> None:
        super().__init__(info)
        self._run = run

    def dispatch(
        self,
        program: Program,
        buffers: Mapping[int, Buffer],
        workgroups: tuple[int, int, int],
        *,
        poison: bool = False,
        max_steps: int | None = None,
    ) -> None:
        """Send a kernel and its buffers to the worker, and take in what it wrote."""
        from gradschool.gpu.jobs import JobBinding, KernelJob

        if 0 in workgroups:
            return
        job = KernelJob(
            filename=program.kernel.filename,
            source=program.kernel.source,
            bindings=[JobBinding(index, kind) for index, kind in program.layout],
            workgroups=workgroups,
            mode="device",
            poison=poison,
        )
        result = self._run(job, {index: buffers[index].handle for index, _ in program.layout})
        for index, kind in program.layout:
            if kind == "read_write":
                buffers[index].handle[:] = result.buffers_after[0][index]
