"""Where calls of hidden tests go: the learner's functions, and the course's where an earlier one failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradschool.errors import CallTimeout, SandboxError, SubmissionError, WorkerDied
from gradschool.pack import Stage
from gradschool.sandbox import CallResult, CellSource, Worker, Zygote
from gradschool.sandbox.answers import Desk


class WorkerFunctions:
    """A learner's functions in the sandboxed worker, with patience that ends.

    A function that hung once is not called again for this submission: thirty hidden tests
    would otherwise wait thirty times.
    """

    def __init__(self, worker: Worker, timeout_s: float) -> None:
        self._worker = worker
        self._timeout_s = timeout_s
        self._given_up: dict[str, SubmissionError] = {}
        self.broken: SubmissionError | None = None

    @property
    def attempts(self) -> list[str]:
        """Sentences about what the submission tried and was refused."""
        return [f"The submission tried to {attempt}; this was refused." for attempt in self._worker.attempts]

    def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> CallResult:
        """Call the function `name` in the worker."""
        if self.broken is not None:
            raise self.broken
        if name in self._given_up:
            raise self._given_up[name]
        try:
            return self._worker.call(name, args, dict(kwargs), timeout_s=self._timeout_s)
        except SubmissionError as error:
            if isinstance(error, CallTimeout | WorkerDied):
                self._given_up[name] = error
            raise


class CourseFunctions:
    """The reference functions of a stage in a locked-down worker of their own.

    What they are called with comes from a learner's process: an absurd size must cost that learner's
    call, and not the grader.

    Args:
        zygote: Where the worker comes from.
        stage: Whose functions.
        desk: Runs the kernels they launch.
        timeout_s: Time one call may take.
    """

    def __init__(self, zygote: Zygote, stage: Stage, desk: Desk, timeout_s: float) -> None:
        self._worker = zygote.spawn()
        self._worker.desk = desk
        self._timeout_s = timeout_s
        cells = [cell for cell in stage.cells if cell.role not in ("markdown", "demo", "check")]
        report = self._worker.load(
            [CellSource(index, str(index), "code", cell.source) for index, cell in enumerate(cells)]
        )
        if report.problems:
            raise SandboxError(
                f"The course's own functions of {stage.id} cannot be loaded: {report.problems[0].error}"
            )

    def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> CallResult:
        """Call the course's function `name`."""
        return self._worker.call(name, args, dict(kwargs), timeout_s=self._timeout_s)

    def close(self) -> None:
        """End the worker."""
        self._worker.close()


class MixedFunctions:
    """The learner's functions, but for the stand-ins, which are the course's."""

    def __init__(self, own: WorkerFunctions, course: CourseFunctions, stand_ins: frozenset[str]) -> None:
        self._own = own
        self._course = course
        self._stand_ins = stand_ins

    def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> CallResult:
        """Call the function `name` wherever it lives."""
        return (self._course if name in self._stand_ins else self._own).call(name, args, kwargs)
