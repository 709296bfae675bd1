"""Calls inside the worker: decode arguments, run the learner's function, encode what it gives."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import numpy as np

from gradschool.errors import WireError
from gradschool.sandbox import problems
from gradschool.sandbox.capture import Capture
from gradschool.sandbox.functions import KNOWN
from gradschool.sandbox.messages import Changed, Message, Missing, Raised, Refused, Returned, RunCall
from gradschool.sandbox.values import Encoder, TooLarge, Unsendable, decode
from gradschool.sandbox.wire import Channel


class Caller:
    """Answers calls with the functions of a namespace.

    Args:
        namespace: The learner's names.
        capture: Records what happens beside the result.
    """

    def __init__(self, namespace: dict[str, Any], capture: Capture) -> None:
        self._namespace = namespace
        self._capture = capture

    def answer(self, channel: Channel[Any], order: RunCall, arrays: list[np.ndarray]) -> None:
        """Make one call and send one answer."""
        function = self._namespace.get(order.name)
        if not callable(function):
            found = "" if order.name not in self._namespace else type(function).__name__
            channel.send(Missing(order.id, order.name, found[:200]))
            return
        args: list[Any] = [decode(node, arrays, self._function) for node in order.args]
        kwargs = {key: decode(node, arrays, self._function) for key, node in order.kwargs.items()}
        places: list[tuple[int | str, Any]] = [*enumerate(args), *kwargs.items()]
        before = [fingerprint(value) for _, value in places]
        value, problem = None, None
        with self._capture.record(order.max_print):
            try:
                value = function(*args, **kwargs)
            except BaseException as error:  # SystemExit and KeyboardInterrupt are the learner's too
                problem = problems.describe(error)
        side = self._capture.side()
        if problem is not None:
            channel.send(Raised(order.id, problem, side))
            return
        changed = [place for place, old in zip(places, before, strict=True) if _differs(place[1], old)]
        message, sent = _pack(order, value, changed, side)
        try:
            channel.send(message, sent)
        except WireError as error:  # too many small parts for a header
            channel.send(Refused(order.id, "", f"too large: {error}"[:500], "Return arrays.", 0, side))

    def _function(self, name: str) -> Callable[..., Any]:
        if name in KNOWN:
            return KNOWN[name]
        function = self._namespace.get(name)
        if callable(function):
            return function

        def missing(*_: Any, **__: Any) -> Any:
            raise NameError(f"the function {name} is not defined")

        return missing


def fingerprint(value: Any, depth: int = 0) -> Any:
    """A value that differs when the data differs; arrays by digest, containers by their parts."""
    if type(value) is np.ndarray:
        if value.dtype.hasobject:
            return ("objects", value.shape)
        digest = blake2b(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data, digest_size=16).digest()
        return (value.shape, value.dtype.str, digest)
    if depth < 40 and isinstance(value, tuple | list):
        return (type(value).__name__, *(fingerprint(item, depth + 1) for item in value))
    if depth < 40 and isinstance(value, dict):
        return ("dict", *((_text_of(key), fingerprint(item, depth + 1)) for key, item in value.items()))
    if value is None or type(value) in (bool, int, float, str, bytes):
        return (type(value).__name__, repr(value) if type(value) is float else value)
    # A generator's stream moves on by being used, and functions have nothing to change.
    return type(value).__name__


def _differs(value: Any, before: Any) -> bool:
    try:
        return fingerprint(value) != before
    except Exception:  # whatever was put into it does not even compare
        return True


def _text_of(key: Any) -> Any:
    return key if type(key) in (str, int) else type(key).__name__


def _pack(
    order: RunCall, value: Any, changed: list[tuple[int | str, Any]], side: Any
) -> tuple[Message, list[np.ndarray]]:
    encoder = Encoder(order.max_bytes)
    try:
        node = encoder.encode(value)
    except Unsendable as error:
        refused = Refused(order.id, error.where[:1_000], error.what[:1_000], error.help, 0, side)
        return refused, []
    except TooLarge as error:
        return Refused(order.id, "", "too large", "", error.n_bytes, side), []
    except MemoryError as error:
        return Raised(order.id, problems.describe(error), side), []
    changes = []
    for key, item in changed[:64]:
        try:
            changes.append(Changed(key, encoder.encode(item), False))
        except (Unsendable, TooLarge, MemoryError):
            changes.append(Changed(key, None, True))
    return Returned(order.id, node, changes, side), encoder.arrays
