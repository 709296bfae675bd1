"""The grader's end of the GPU worker: start it, time it, kill it, replace it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from gradschool.errors import DeviceError, KernelCrashed, KernelTimeout, SandboxError, WireError
from gradschool.gpu import drivers
from gradschool.gpu.device import Choice, DeviceInfo, read_choice
from gradschool.gpu.jobs import MAX_REPEATS, MAX_TOTAL_BYTES, JobResult, KernelJob
from gradschool.gpu.messages import Done, Open, Opened, Refused, Run
from gradschool.gpu.patience import wait_for_answer
from gradschool.gpu.unlocked import spawn_unlocked
from gradschool.sandbox.launch import LockedProcess, spawn_locked
from gradschool.sandbox.limits import GPU_LIMITS
from gradschool.sandbox.stream import WireTimeout
from gradschool.sandbox.wire import Channel, Protocol

SUBMISSIONS_PER_PROCESS = 50
"""wgpu and the driver keep a little of every kernel; a fresh process keeps none."""

WORKER_ENVIRONMENT = {"LP_NUM_THREADS": "1"}
"""One thread of lavapipe per worker: workgroups then run in order, on one workgroup memory
that the poison is sure to reach, and slots do not fight over cores."""

OPEN_TIMEOUT_S = 60.0
SEND_TIMEOUT_S = 30.0


class GpuWorker:
    """Runs kernel jobs in a disposable, locked-down process.

    ```python
    with GpuWorker() as worker:
        result = worker.run(job, {0: params, 1: x, 2: out})
        worker.recycle()  # before the next submission
    ```

    Args:
        device: `auto`, `gpu`, `software` or `interpreter`; None reads the environment.
        sandbox: False runs the same worker without the lockdown, for tests and for
            platforms that have none.
    """

    def __init__(self, device: str | None = None, sandbox: bool = True) -> None:
        self._choice: Choice = read_choice(device if device != "auto" else None)
        self._sandbox = sandbox
        self._process: LockedProcess | None = None
        self._channel: Channel[Opened | Done | Refused] | None = None
        self._info: DeviceInfo | None = None
        self._submissions = 0

    @property
    def info(self) -> DeviceInfo:
        """The device that kernels run on."""
        self.start()
        assert self._info is not None
        return self._info

    @property
    def protections(self) -> tuple[str, ...]:
        """Names of the protections that hold in the worker."""
        self.start()
        assert self._process is not None
        return self._process.protections

    @property
    def pid(self) -> int | None:
        """The worker's process id, None while it has none."""
        return self._process.pid if self._process is not None else None

    def start(self) -> GpuWorker:
        """Start the process and open the device, unless that was done.

        Raises:
            SandboxError: The process could not be started or locked down.
            DeviceError: It has no device of the kind asked for.
        """
        if self._process is not None:
            return self
        try:
            self._start()
        except DeviceError as error:
            # A driver may need what the lockdown refuses. Only the first start may change
            # the device: a class is graded on one.
            if self._choice != "auto" or self._info is not None:
                raise
            self._choice = "interpreter"
            self._start()
            assert self._info is not None
            self._info.why = error.message
        return self

    def _start(self) -> None:
        self._process = _spawn_locked() if self._sandbox else spawn_unlocked(WORKER_ENVIRONMENT)
        self._channel = Channel(
            self._process.stream, Protocol(Opened | Done | Refused), MAX_TOTAL_BYTES * MAX_REPEATS
        )
        self._submissions = 0
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        try:
            answer, _ = self._exchange(Open(self._choice), [], OPEN_TIMEOUT_S)
        except WireError as error:
            raise DeviceError(
                f"The graphics driver could not be opened in a locked-down process: {self._kill() or error}.",
                help="Grade with --device interpreter, or try another driver; `gradschool doctor` names one.",
            ) from None
        if isinstance(answer, Refused):
            raise answer.to_error()
        if not isinstance(answer, Opened):
            raise SandboxError("The GPU worker answered something else than its device.")
        if self._info is not None and self._info.kind != answer.info.kind:
            raise DeviceError(
                f"The device changed from {self._info.name} to {answer.info.name} between two submissions."
            )
        # Later answers come from a process that has run learners' kernels: the first one stands.
        self._info = self._info or answer.info

    def run(self, job: KernelJob, buffers: Mapping[int, np.ndarray], timeout_s: float = 10.0) -> JobResult:
        """Run one job.

        Args:
            job: The kernel and its bindings.
            buffers: The bytes of every binding, by index, as uint8 arrays.
            timeout_s: Wall time for all repeats, up to three times as much on a busy
                machine; then the process is killed.

        Raises:
            KernelCompileError: The text is not a valid kernel, or its bindings differ.
            KernelLimitError: It or its buffers are too large.
            KernelTimeout: It did not end.
            KernelCrashed: Its process died, twice in a row.
            DeviceError: The device failed.
        """
        self.start()
        try:
            return self._run(job, buffers, timeout_s)
        except KernelCrashed:
            # Another kernel may have left the driver in a bad state, or the machine was
            # short of memory: blame this one only if it also fails alone.
            self.start()
            return self._run(job, buffers, timeout_s)

    def _run(self, job: KernelJob, buffers: Mapping[int, np.ndarray], timeout_s: float) -> JobResult:
        arrays = [np.ascontiguousarray(buffers[binding.index]) for binding in job.bindings]
        try:
            answer, results = self._exchange(Run(job), arrays, timeout_s)
        except WireTimeout:
            self.close()
            raise KernelTimeout(
                f"{job.filename} did not end within {timeout_s:g} s.",
                help="Look for a loop whose condition never becomes false, or a barrier that some invocations skip.",
            ) from None
        except WireError:
            reason = self._kill()
            raise KernelCrashed(
                f"The graphics driver died while it ran {job.filename}: {reason}.",
                help="Look for reads and writes far outside the arrays, and for very large or deep code.",
            ) from None
        if isinstance(answer, Refused):
            error = answer.to_error()
            if isinstance(error, DeviceError):
                self.close()
            raise error
        if not isinstance(answer, Done):
            self.close()
            raise SandboxError("The GPU worker answered something else than a result.")
        return self._unpack(job, arrays, answer, results)

    def _exchange(
        self, message: Open | Run, arrays: list[np.ndarray], timeout_s: float
    ) -> tuple[Opened | Done | Refused, list[np.ndarray]]:
        assert self._channel is not None
        assert self._process is not None
        self._channel.send(message, arrays, timeout_s=SEND_TIMEOUT_S)
        wait_for_answer(self._process.stream, self._process.pid, timeout_s)
        return self._channel.receive(timeout_s=max(timeout_s, SEND_TIMEOUT_S))

    def _unpack(
        self, job: KernelJob, sent: list[np.ndarray], answer: Done, results: list[np.ndarray]
    ) -> JobResult:
        """Believe nothing: the process may have been taken over by what it ran."""
        sizes = {binding.index: array.nbytes for binding, array in zip(job.bindings, sent, strict=True)}
        storage = [binding.index for binding in job.bindings if binding.kind != "uniform"]
        indices = [index for repeat in answer.after for index in repeat]
        expected = len(answer.after) == job.repeats and all(
            sorted(r) == sorted(storage) for r in answer.after
        )
        lengths = [sizes.get(index) for index in indices]
        lengths += [-(-sizes.get(index, -1) // 4) for index in answer.written]
        fits = [array.nbytes for array in results] == lengths and all(
            array.dtype == np.uint8 and array.ndim == 1 for array in results
        )
        if not expected or not fits:
            self.close()
            raise KernelCrashed(f"The process that ran {job.filename} answered with bytes that do not fit.")
        rest = iter(results)
        after = [{index: next(rest) for index in repeat} for repeat in answer.after]
        written = {index: next(rest).view(np.bool_) for index in answer.written}
        assert self._info is not None
        return JobResult(
            after,
            answer.workgroup_size,
            self._info,
            written,
            answer.findings,
            answer.steps,
            answer.cost,
        )

    def recycle(self) -> None:
        """Forget the submission that ran: its compiled kernels, buffers and device.

        Call it between submissions. Every so often the process itself is replaced.
        """
        if self._process is None:
            return
        self._submissions += 1
        if self._submissions >= SUBMISSIONS_PER_PROCESS:
            self.close()
            return
        try:
            self._open()
        except (WireError, SandboxError, DeviceError):
            self.close()

    def close(self) -> None:
        """End the process; a later `run` starts another."""
        self._kill()

    def _kill(self) -> str:
        process, self._process, self._channel = self._process, None, None
        return process.kill() if process is not None else "it had ended"

    def __enter__(self) -> GpuWorker:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        try:
            self.close()
        except Exception:  # at interpreter exit the modules that close() needs may be gone already
            pass


def _spawn_locked() -> LockedProcess:
    limits = GPU_LIMITS
    if drivers.may_have_gpu():
        # Real drivers map the GPU's memory into the process's address space.
        limits = msgspec.structs.replace(limits, address_space_bytes=None)
    return spawn_locked("gradschool.gpu.worker", profile="gpu", limits=limits, environment=WORKER_ENVIRONMENT)
