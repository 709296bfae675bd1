"""Where calls of hidden tests go: the learner's functions, and the course's where an earlier one failed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gradschool.errors import CallTimeout, SandboxError, SubmissionError, WorkerDied
from gradschool.grading.budget import TimeBudget
from gradschool.pack import Stage
from gradschool.sandbox import CallResult, CellSource, Worker, Zygote
from gradschool.sandbox.answers import Desk


class WorkerFunctions:
    """A learner's functions in the sandboxed worker, with patience that ends.

    A function that hung once is not called again for this submission: thirty hidden tests
    would otherwise wait thirty times.

    Args:
        worker: Where the functions live.
        timeout_s: Time one call may take.
        budget: Time all calls may take; None for no limit.
        launching: The functions that may launch kernels; None for all. While grading the course's
            kernels answer, and elsewhere they would be the solution.
    """

    def __init__(
        self,
        worker: Worker,
        timeout_s: float,
        budget: TimeBudget | None = None,
        launching: frozenset[str] | None = None,
    ) -> None:
        self._worker = worker
        self._timeout_s = timeout_s
        self._budget = budget or TimeBudget(math.inf)
        self._launching = launching
        self._desk = worker.desk
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
        if self._budget.is_spent:
            raise CallTimeout(
                f"{name} was not called: the calls before took {self._budget.seconds:g} s together.",
                help="Grading takes a few seconds in all; where the data is large, use NumPy operations instead of loops.",
            )
        if self._launching is not None:
            self._worker.desk = self._desk if name in self._launching else None
        try:
            with self._budget.spend():
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
