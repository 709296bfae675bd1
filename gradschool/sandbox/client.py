"""The grader's side: load a submission into a worker and call its functions.

```python
with Zygote(hidden=[course]) as zygote, zygote.spawn() as worker:
    report = worker.load(cells)
    result = worker.call("softmax_forward", (x,))
```

Whatever the learner's code does, a call ends within its time: with data, or with
a `SubmissionError` whose sentence the learner can read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from gradschool.errors import BadOutput, SandboxError, WireError
from gradschool.gpu.device_log import DeviceLog
from gradschool.sandbox import explain, messages, stand_ins
from gradschool.sandbox.answers import CallResult, Desk
from gradschool.sandbox.limits import Limits
from gradschool.sandbox.loading import CellReport, CellSource, Loader, LoadReport
from gradschool.sandbox.orders import order_of, result_of
from gradschool.sandbox.process import ForkedProcess, WarmParent, WorkerProcess, start_fresh
from gradschool.sandbox.quotes import Quotes, add_attempts
from gradschool.sandbox.stream import WireTimeout
from gradschool.sandbox.wire import MAX_PAYLOAD_BYTES, Channel, Protocol

_ANSWER_SLACK_S = 0.25
_PROTOCOL = Protocol[messages.FromWorker](messages.FromWorker)


class Worker:
    """One submission in one locked-down process, replaced when it dies.

    Args:
        zygote: Where processes come from.
    """

    def __init__(self, zygote: Zygote) -> None:
        self._zygote = zygote
        self._limits = zygote.limits
        self._process: WorkerProcess | None = None
        self._channel: Channel[messages.FromWorker] | None = None
        self._loader: Loader | None = None
        self._call_id = 0
        self._quotes = Quotes(discreet=bool(zygote.hidden))
        self.report = LoadReport((), ())
        self.attempts: dict[str, None] = {}
        self.desk: Desk | None = None
        self.course: stand_ins.Course | None = None
        self._stand_ins: frozenset[str] = frozenset()
        self.n_restarts = -1
        self.peak_memory_bytes = 0

    @property
    def alive(self) -> bool:
        """Whether a process is up; one that died unnoticed is found at the next call."""
        return self._channel is not None

    @property
    def pid(self) -> int | None:
        """Id of the current process."""
        return self._process.pid if self._process else None

    @property
    def protections(self) -> tuple[str, ...]:
        """Names of the protections that hold for the current process."""
        return self._process.protections if self._process else ()

    def load(self, cells: Sequence[CellSource]) -> LoadReport:
        """Run a notebook's cells in one namespace.

        A cell that fails, hangs or ends the process costs its own definitions
        at most; the others are loaded all the same.

        Args:
            cells: Code cells in order.

        Raises:
            SandboxError: The sandbox itself failed.
        """
        self._loader = Loader(cells, self._limits)
        self.restart()
        return self.report

    def restart(self) -> None:
        """Start over in a new process, cells loaded as before."""
        self.close()
        if self._loader is None:
            raise SandboxError("No cells were loaded into this worker.")
        self.report = self._loader.load(self._start, self.close)
        add_attempts(self.attempts, self.report.attempts)
        if self._stand_ins:
            self.stand_in(self._stand_ins)

    def stand_in(self, names: Iterable[str]) -> None:
        """From now on have `course` answer to `names`, whoever calls them."""
        self._stand_ins = frozenset(names)
        if self._channel is not None:
            try:
                self._channel.send(messages.StandIns(tuple(sorted(names))), [])
            except WireError:
                # The process is gone; the next call starts another, which is told as well.
                self.close()

    def ensure_alive(self) -> None:
        """Restart when the process is gone."""
        if not self.alive:
            self.restart()

    def has(self, name: str) -> bool:
        """Whether the submission defines a function of this name."""
        return name in self.report.functions

    def call(
        self,
        name: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        timeout_s: float | None = None,
    ) -> CallResult:
        """Call a function of the submission; a dead worker is replaced first.

        Args:
            name: The function.
            args: Positional arguments: plain data, `Seed`, generators, `FunctionRef`.
            kwargs: Keyword arguments, likewise.
            timeout_s: Time it may take; the limits' `call_s` by default.

        Raises:
            SubmissionError: One of `MissingFunction`, `NotWritten`, `CallFailed`,
                `CallTimeout`, `BadOutput`, `OutputTooLarge`, `WorkerDied`.
            SandboxError: The sandbox itself failed, or an argument cannot travel.
        """
        args, kwargs = tuple(args), dict(kwargs or {})
        timeout_s = self._limits.call_s if timeout_s is None else timeout_s
        self.ensure_alive()
        self._call_id += 1
        order, arrays = order_of(self._call_id, name, args, kwargs, self._limits)
        answer, returned = self._exchange(name, order, arrays, timeout_s)
        if isinstance(answer, messages.Returned) and answer.id == self._call_id:
            return self._result(name, answer, returned, args, kwargs)
        if isinstance(answer, messages.Missing) and answer.id == self._call_id:
            raise explain.missing(name, answer.found, self.report, self._quotes)
        if isinstance(answer, messages.Raised) and answer.id == self._call_id:
            self._note(answer.side)
            raise explain.raised(name, answer.problem, self._quotes)
        if isinstance(answer, messages.Refused) and answer.id == self._call_id:
            self._note(answer.side)
            raise explain.refused(name, answer, self._limits, self._quotes)
        raise self._broken(name, "an answer to something that was not asked")

    def close(self) -> None:
        """End the process and all it started; wait until it is gone."""
        process, self._process, self._channel = self._process, None, None
        if process is not None:
            process.kill()
            if isinstance(process, ForkedProcess):
                self.peak_memory_bytes = max(self.peak_memory_bytes, process.peak_memory_bytes)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> tuple[WorkerProcess, Channel[messages.FromWorker]]:
        self._process = self._zygote.process()
        self._channel = Channel(
            self._process.stream, _PROTOCOL, min(self._limits.max_output_bytes, MAX_PAYLOAD_BYTES)
        )
        self.n_restarts += 1
        return self._process, self._channel

    def _exchange(
        self, name: str, order: messages.RunCall, arrays: list[np.ndarray], timeout_s: float
    ) -> tuple[messages.FromWorker, list[np.ndarray]]:
        assert self._channel is not None
        assert self._process is not None
        deadline = monotonic() + timeout_s + _ANSWER_SLACK_S
        if self.desk is not None:
            self.desk.begin()
        try:
            self._channel.send(order, arrays, timeout_s + _ANSWER_SLACK_S)
            while True:
                answer, returned = self._channel.receive(max(0.0, deadline - monotonic()))
                if not isinstance(answer, messages.Request):
                    return answer, returned
                started = monotonic()
                reply = self._serve(answer, returned)
                if isinstance(answer, messages.DeviceRequest):
                    # The grader's own work is not the learner's time; the desk bounds it. Taking
                    # the reply is the learner's part.
                    deadline += monotonic() - started
                self._channel.send(*reply, max(0.0, deadline - monotonic()))
        except WireTimeout:
            self.close()
            raise explain.timeout(name, timeout_s) from None
        except WireError as error:
            ending = self._process.kill()
            self.close()
            raise explain.died(name, ending, error) from None

    def _serve(self, request: messages.Request, arrays: list[np.ndarray]) -> tuple[Any, list[np.ndarray]]:
        if isinstance(request, messages.CallCourse):
            return stand_ins.answer(request, arrays, self._stand_ins, self.course)
        if self.desk is None:
            return messages.NotOnDevice("No kernel can be launched here.", ""), []
        return self.desk.serve(request, arrays)

    def _result(
        self,
        name: str,
        answer: messages.Returned,
        arrays: list[np.ndarray],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> CallResult:
        self._note(answer.side)
        log = self.desk.log if self.desk is not None else DeviceLog()
        try:
            return result_of(answer, arrays, args, kwargs, log)
        except WireError as error:
            raise self._broken(name, str(error)) from None

    def _note(self, side: messages.Side) -> None:
        add_attempts(self.attempts, side.attempts)

    def _broken(self, name: str, why: str) -> BadOutput:
        self.close()
        return explain.broken(name, why)


class Zygote:
    """Where workers come from: one warm parent for one slot.

    Args:
        limits: For every worker.
        hidden: Paths that student code must never read; refused when Python's
            own folders contain one.
    """

    def __init__(self, limits: Limits | None = None, hidden: Sequence[Path] = ()) -> None:
        self.limits = limits or Limits()
        self.hidden = tuple(hidden)
        self._parent = WarmParent(self.limits, hidden) if WarmParent.possible() else None

    def start(self) -> None:
        """Warm up now rather than at the first spawn."""
        if self._parent is not None:
            self._parent.start()

    def spawn(self) -> Worker:
        """A worker without cells yet; its process starts when cells are loaded."""
        return Worker(self)

    def process(self) -> WorkerProcess:
        """A fresh locked-down process."""
        if self._parent is not None:
            return self._parent.fork(self.limits.start_s)
        return start_fresh(self.limits, self.hidden)

    def close(self) -> None:
        """End the warm parent and all its children."""
        if self._parent is not None:
            self._parent.close()

    def __enter__(self) -> Zygote:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


__all__ = ["CallResult", "CellReport", "CellSource", "LoadReport", "Worker", "Zygote"]
