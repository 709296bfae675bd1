"""Stand-ins: where a learner's earlier function failed, the course's own answers in its place.

A later exercise is judged for what it does itself. The course's function never enters the learner's
process: a call of a stand-in travels to the grader as data, runs in a worker that holds only the course's
code, and its result comes back as data.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from gradschool.errors import CallFailed, SandboxError, SubmissionError, WireError
from gradschool.sandbox.messages import CallCourse, Changed, CourseRaised, CourseReturned
from gradschool.sandbox.values import Encoder, TooLarge, Unsendable, decode
from gradschool.sandbox.wire import MAX_PAYLOAD_BYTES

Exchange = Callable[[CallCourse, list[np.ndarray]], tuple[Any, list[np.ndarray]]]


class StandIn:
    """The learner's side: looks like the function, asks the grader.

    Args:
        name: The function's name.
        own: What the learner has under that name, or None.
        exchange: Sends a request to the grader and returns its answer.
    """

    def __init__(self, name: str, own: Any, exchange: Exchange) -> None:
        self.__name__ = name
        self._own = own
        self._exchange = exchange

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the course's function; arguments that are no plain data go to the learner's own."""
        encoder = Encoder(MAX_PAYLOAD_BYTES)
        try:
            nodes = [encoder.encode(value) for value in args]
            named = {key: encoder.encode(value) for key, value in kwargs.items()}
        except (Unsendable, TooLarge):
            if not callable(self._own):
                raise
            return self._own(*args, **kwargs)
        reply, arrays = self._exchange(CallCourse(self.__name__, nodes, named), encoder.arrays)
        if isinstance(reply, CourseRaised):
            raise _exception(reply)
        if not isinstance(reply, CourseReturned):
            raise RuntimeError("The grader answered something else.")
        for change in reply.changed:
            given = args[change.key] if isinstance(change.key, int) else kwargs[change.key]
            _write_into(given, decode(change.value, arrays))
        return decode(reply.value, arrays)


def _exception(reply: CourseRaised) -> Exception:
    kind = getattr(builtins, reply.exception, RuntimeError)
    known = isinstance(kind, type) and issubclass(kind, Exception)
    return (kind if known else RuntimeError)(reply.text)


def _write_into(given: Any, new: Any) -> None:
    """Do to an argument what the course's function did to its copy."""
    if isinstance(given, np.ndarray):
        given[...] = new
    elif isinstance(given, list):
        given[:] = new
    elif isinstance(given, dict):
        given.clear()
        given.update(new)


class Course(Protocol):
    """Answers calls of the course's functions."""

    def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Call the function `name`; the result has `value`, `changed`, `inputs_after`."""
        ...


def answer(
    request: CallCourse, arrays: list[np.ndarray], names: frozenset[str], course: Course | None
) -> tuple[CourseReturned | CourseRaised, list[np.ndarray]]:
    """The grader's side: call the course's function with what a learner's process sent.

    Args:
        request: What it asks for.
        arrays: The arrays of its frame.
        names: The functions that have a stand-in at present; no others are called.
        course: Where the course's functions live.
    """
    if course is None or request.name not in names:
        return CourseRaised("NameError", f"{request.name} is not the course's to answer."), []
    try:
        args = tuple(decode(node, arrays) for node in request.args)
        kwargs = {key: decode(node, arrays) for key, node in request.kwargs.items()}
        result = course.call(request.name, args, kwargs)
    except CallFailed as error:
        return CourseRaised(error.exception_type[:200], error.exception_text[:2_000]), []
    except (SubmissionError, WireError) as error:
        return CourseRaised("RuntimeError", str(error)[:2_000]), []
    encoder = Encoder(MAX_PAYLOAD_BYTES)
    try:
        value = encoder.encode(result.value)
        changed = [
            Changed(key, encoder.encode(result.inputs_after[key]), False)
            for key in result.changed
            if isinstance(key, int)
        ]
    except (Unsendable, TooLarge) as error:
        raise SandboxError(f"The course's own {request.name} gave what cannot travel: {error}.") from None
    return CourseReturned(value, changed), encoder.arrays
