"""The grader's side of a call as data: the order that goes out, the result that comes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradschool.errors import SandboxError, WireError
from gradschool.gpu.device_log import DeviceLog
from gradschool.sandbox import explain, messages
from gradschool.sandbox.answers import CallResult
from gradschool.sandbox.limits import Limits
from gradschool.sandbox.values import Encoder, TooLarge, TooMuch, Unsendable, decode
from gradschool.sandbox.wire import MAX_PAYLOAD_BYTES


def order_of(
    call_id: int, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], limits: Limits
) -> tuple[messages.RunCall, list[np.ndarray]]:
    """Encode a call.

    Raises:
        BadOutput: What an earlier call returned is too much to be sent again.
        SandboxError: An argument is no plain data.
    """
    encoder = Encoder(4 * MAX_PAYLOAD_BYTES, orders=True)
    try:
        nodes = [encoder.encode(value, f"argument {i}") for i, value in enumerate(args)]
        named = {key: encoder.encode(value, f"argument {key}") for key, value in kwargs.items()}
    except (TooMuch, TooLarge) as error:
        # The tests' own arguments are proven by the reference; only the learner's can be too much.
        raise explain.unsendable(name, error) from None
    except Unsendable as error:
        raise SandboxError(f"{name} cannot be called: {error}.") from None
    order = messages.RunCall(call_id, name, nodes, named, limits.max_output_bytes, limits.max_print_bytes)
    return order, encoder.arrays


def result_of(
    answer: messages.Returned,
    arrays: list[np.ndarray],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    log: DeviceLog,
) -> CallResult:
    """Decode an answer.

    Raises:
        WireError: It refers to what is not there.
    """
    given = {*range(len(args)), *kwargs}
    if any(change.key not in given for change in answer.changed):
        raise WireError("it changes an argument that was not given")
    after = list(args)
    value = decode(answer.value, arrays)
    for change in answer.changed:
        if isinstance(change.key, int):
            after[change.key] = explain.LOST if change.lost else decode(change.value, arrays)
    side = answer.side
    keys = tuple(change.key for change in answer.changed)
    return CallResult(
        value, tuple(after), keys, _printed(side), side.warnings, side.attempts, side.seconds, log
    )


def _printed(side: messages.Side) -> str:
    return side.printed + (f"\n... {side.n_dropped:,} more characters" if side.n_dropped else "")
