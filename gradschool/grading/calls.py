"""What was called in a test and what came back: the evidence for naming a mistake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from gradschool.gpu.jobs import JobCost

Purpose = Literal["numbers", "safety", "cost"]
"""What a kernel is launched for."""

MAX_ELEMENTS = 1 << 20
"""Most numbers in the arguments and answers of one case; the course's own cases have a seventh of it."""


@dataclass
class Call:
    """One call of a learner's function.

    Attributes:
        value: What it returned, or None when it raised.
        raised: Name of the exception it raised, or "".
        changed: Positions and keywords of arguments it changed.
        producer: Index of the earlier call whose cache is among the arguments, or None.
        cache_place: Which argument is that cache (position or keyword), and which element
            of the producer's result it was.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    value: Any = None
    raised: str = ""
    changed: tuple[int | str, ...] = ()
    producer: int | None = None
    cache_place: tuple[int | str, int] | None = None


@dataclass
class Launch:
    """One launch of a learner's kernel in the interpreter.

    Attributes:
        arrays: Input arrays by binding name.
        params: Uniform fields.
        outputs: Output arrays after the launch, poison included.
        hazards: The kind of each of the interpreter's findings, sorted.
        places: Where each finding was first seen; tells two mistakes of one kind apart.
        workgroup_size: The learner's, or None when it never ran.
        cost: Counted work, where a test asked for it.
        purpose: What the launch was for; more workgroups run for safety than for numbers.
    """

    file: str
    arrays: Mapping[str, np.ndarray]
    params: Mapping[str, float]
    outputs: Mapping[str, np.ndarray] = field(default_factory=dict)
    hazards: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    workgroup_size: tuple[int, int, int] | None = None
    cost: JobCost | None = None
    purpose: Purpose = "numbers"


@dataclass
class Evidence:
    """Everything one test saw."""

    calls: list[Call] = field(default_factory=list)
    launches: list[Launch] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How much a replay of this evidence has to compute, roughly: elements of all inputs."""
        in_calls = sum(_n_elements(call.args) for call in self.calls)
        return in_calls + sum(_n_elements(tuple(launch.arrays.values())) for launch in self.launches)

    def let_go(self) -> None:
        """Keep what was raised, and no values, where a learner's answers are absurdly large.

        Every case's evidence is kept until the mistake is named, and naming copies it many times.
        """
        values = sum(_n_elements(call.value) for call in self.calls)
        if self.size + values > MAX_ELEMENTS:
            self.calls = [Call(call.name, (), {}, raised=call.raised or "TooLarge") for call in self.calls]

    def producer_of(self, cache: Any) -> tuple[int, int] | None:
        """Return the call that returned `cache` and which element it was, by identity."""
        for index in range(len(self.calls) - 1, -1, -1):
            value = self.calls[index].value
            if isinstance(value, tuple | list):
                for position, part in enumerate(value):
                    if position and part is cache:
                        return index, position
        return None


def _n_elements(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return value.size
    if isinstance(value, dict):
        value = tuple(value.values())
    return sum(map(_n_elements, value)) if isinstance(value, tuple | list) else 1


def same(one: Any, other: Any) -> bool:
    """Tell whether two answers are the same up to rounding.

    Arrays: equal shape and kind, values within 1e-9 (float64) or 2e-5 (float32) of the
    largest element, NaN and infinities in the same places. Containers: element by element.
    """
    if isinstance(one, np.ndarray | np.generic | float | int) and isinstance(
        other, np.ndarray | np.generic | float | int
    ):
        return _same_arrays(np.asarray(one), np.asarray(other))
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return set(one) == set(other) and all(same(one[key], other[key]) for key in one)
    return type(one) is type(other) and one == other


def _same_arrays(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if one.dtype.kind != "f":
        return bool(np.array_equal(one, other))
    a, b = one.astype(np.float64), other.astype(np.float64)
    finite = np.isfinite(a)
    if not np.array_equal(finite, np.isfinite(b)):
        return False
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return False
    if not finite.any():
        return True
    relative = 1e-9 if one.dtype == np.float64 else 2e-5
    # The smallest normal number: a sigmoid far to the left is tiny, and still not zero.
    scale = max(float(np.max(np.abs(a[finite]))), float(np.finfo(one.dtype).tiny))
    return bool(np.max(np.abs(a[finite] - b[finite])) <= relative * scale)
