"""Right values in wrong places: a gradient of another argument, outputs in another order, an input handed back.

These need more than one wrong array and one right one, so they are looked for once a test has failed, among
everything the exercise was given and returned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradschool.grading.calls import same

_MIN_ELEMENTS = 2
"""A single number equals another too easily."""


def mixed_up(
    got: Sequence[Any], want: Sequence[Any], names: Sequence[str], given: Sequence[tuple[str, Any]]
) -> str:
    """Return a sentence about returned values that are others' or inputs, or "".

    Args:
        got: What the exercise returned, value by value.
        want: What is right, value by value.
        names: What the values are called.
        given: Name and value of each input.
    """
    if len(got) != len(want):
        return ""
    for index, value in enumerate(got):
        if not _telling(value) or same(value, want[index]):
            continue
        for other, right in enumerate(want):
            if other != index and _equal(value, right):
                return f"Where {names[index]} belongs, {names[other]} is returned: check the order of the values."
        for name, array in given:
            if _equal(value, array) and not _equal(want[index], array):
                return f"{names[index]} is the input {name}, as it came."
    return ""


def _telling(value: Any) -> bool:
    if not isinstance(value, np.ndarray) or value.size < _MIN_ELEMENTS:
        return False
    return bool(np.any(value != value.flat[0]))


def _equal(value: np.ndarray, other: Any) -> bool:
    if not isinstance(other, np.ndarray) or other.shape != value.shape or not _telling(other):
        return False
    return same(value, other.astype(value.dtype))
