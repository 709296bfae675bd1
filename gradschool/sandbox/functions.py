"""Functions as arguments: only their names travel.

A grader that tests `check_gradient(f, ...)` cannot send `f`. It sends the name of
another exercise of the submission, or of one of the functions here, which the
worker has too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

Lookup = Callable[[str], Callable[..., Any]]


class FunctionRef(msgspec.Struct, frozen=True):
    """An argument that becomes a function in the worker.

    Attributes:
        name: A key of `KNOWN`, or an exercise of the submission.
    """

    name: str


def identity(x: Any) -> Any:
    """The argument itself."""
    return x


def relu(x: Any) -> Any:
    """Negative entries become 0."""
    return np.maximum(x, 0)


def double(x: Any) -> Any:
    """Twice the argument."""
    return 2 * x


def zero(x: Any) -> Any:
    """Zeros of the argument's shape."""
    return np.zeros_like(x)


def cube(x: Any) -> Any:
    """The third power."""
    return x * x * x


def square_and_cache(x: Any) -> Any:
    """The square and a cache beside it, as a forward returns them."""
    return x * x, (x,)


def total(x: Any) -> Any:
    """The sum of all entries."""
    return np.sum(x)


def half_square_norm(x: Any) -> Any:
    """Half the sum of squares; its gradient is the argument."""
    return 0.5 * np.sum(x * x)


def cumulative_mean(x: Any) -> Any:
    """Running mean over the second to last axis: a causal function whose result depends on order."""
    counts = np.arange(1, x.shape[-2] + 1, dtype=x.dtype)[:, None]
    return np.cumsum(x, axis=-2) / counts


def reverse_rows(x: Any) -> Any:
    """The second to last axis backwards."""
    return x[..., ::-1, :]


KNOWN: dict[str, Callable[..., Any]] = {
    "identity": identity,
    "relu": relu,
    "double": double,
    "zero": zero,
    "cube": cube,
    "square_and_cache": square_and_cache,
    "total": total,
    "half_square_norm": half_square_norm,
    "cumulative_mean": cumulative_mean,
    "reverse_rows": reverse_rows,
    "square": np.square,
    "negative": np.negative,
    "absolute": np.absolute,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "exp": np.exp,
    "modf": np.modf,  # the fraction, and beside it the whole part: an output and a cache unlike the input
    "multiply": np.multiply,  # the backward of whatever has its slope in its cache
    "sum": np.sum,
    "mean": np.mean,
}
"""Functions that both sides have; a grader may pass the function itself."""


def name_of(value: Any) -> str | None:
    """The name under which a function travels, or None when it cannot.

    A test may pass `FunctionRef("tanh")`, `np.tanh`, or `submission.relu_forward`.
    """
    if type(value) is FunctionRef:
        return value.name
    for name, function in KNOWN.items():
        if value is function:
            return name
    name = getattr(value, "exercise_name", None)
    return name if isinstance(name, str) else None
