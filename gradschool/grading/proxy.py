"""The `submission` fixture: a learner's functions, wherever they live.

A backend answers `call(name, args, kwargs)`: the sandboxed worker while grading, or the
notebook's own namespace while a learner checks. The proxy adds what both need: a clear
sentence when the wrong number of values comes back, a check that inputs are unchanged,
and a record of every call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from gradschool.errors import CallFailed, NotWritten, SubmissionError
from gradschool.gpu.device_log import DeviceLog
from gradschool.grading.arguments import snapshot
from gradschool.grading.calls import Call, Evidence
from gradschool.grading.expect import Mismatch, describe
from gradschool.grading.reference import Signatures


class Answer(Protocol):
    """What a backend's call gives back."""

    @property
    def value(self) -> Any:
        """The returned value."""
        ...

    @property
    def changed(self) -> tuple[int | str, ...]:
        """Positions and keywords of the arguments that the call changed."""
        ...

    @property
    def device_log(self) -> DeviceLog:
        """What the call took to the device and back."""
        ...


class FunctionBackend(Protocol):
    """Where a learner's functions live."""

    def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Answer:
        """Call the function `name`."""
        ...


class Submission:
    """The learner's functions as attributes: `submission.softmax_forward(x)`.

    Args:
        backend: Where calls go.
        signatures: What the exercises take and return; None skips the count of values.
        exercise: The exercise under test; only its own changes to inputs are held against it.
        evidence: Where calls are recorded.
    """

    def __init__(
        self, backend: FunctionBackend, signatures: Signatures | None, exercise: str, evidence: Evidence
    ) -> None:
        self._backend = backend
        self._signatures = signatures
        self._exercise = exercise
        self._evidence = evidence
        self.device_log = DeviceLog()
        """What the last call took to the device and back."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._call(name, args, kwargs)

        call.__name__ = name
        # Given to another exercise as an argument, the function travels as its name.
        call.exercise_name = name  # type: ignore[attr-defined]
        return call

    def _call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        call = Call(name, snapshot(args), snapshot(kwargs))
        self._link_cache(call, args, kwargs)
        self._evidence.calls.append(call)
        self.device_log = DeviceLog()
        try:
            answer = self._backend.call(name, args, kwargs)
        except SubmissionError as error:
            call.raised = error.exception_type if isinstance(error, CallFailed) else type(error).__name__
            if isinstance(error, NotWritten) and error.function not in ("", name):
                call.raised = "CallsUnwritten"
            raise
        self.device_log = answer.device_log
        call.value = answer.value
        call.changed = tuple(answer.changed)
        self._check_count(name, answer.value)
        if call.changed and name == self._exercise:
            argument = self._argument_name(name, call.changed[0])
            raise Mismatch(
                f"{name} changed its input {argument}.",
                help="Work on a new array: `x = x + b` makes one, `x += b` and `out=x` write into the caller's.",
            )
        return answer.value

    def _link_cache(self, call: Call, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Note which earlier call an argument came from; `None` and numbers have no identity."""
        for where, value in (*enumerate(args), *kwargs.items()):
            if isinstance(value, tuple | list | dict | np.ndarray):
                found = self._evidence.producer_of(value)
                if found is not None:
                    call.producer, call.cache_place = found[0], (where, found[1])

    def _argument_name(self, name: str, position: int | str) -> str:
        if isinstance(position, str):
            return position
        names = self._signatures.arguments.get(name, ()) if self._signatures else ()
        return names[position] if position < len(names) else f"number {position + 1}"

    def _check_count(self, name: str, value: Any) -> None:
        if self._signatures is None:
            return
        expected = self._signatures.n_returned.get(name, 0)
        if value is None and expected:
            raise Mismatch(f"{name} returned None.", help="Does every path of the function end in `return`?")
        if expected < 2:
            if expected == 1 and isinstance(value, tuple):
                raise Mismatch(f"{name} returned {describe(value)}; expected one value.")
            return
        if not isinstance(value, tuple | list) or len(value) != expected:
            raise Mismatch(
                f"{name} returned {describe(value)}; expected {expected} values.",
                help=f"The signature says `-> {self._signatures.returns[name]}`.",
            )
