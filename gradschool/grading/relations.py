"""Simple relations between a wrong answer and the right one.

A learner who reads "it is the negative of what is expected" is nearly done; the sentence
gives nothing away that helps to forge an answer.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def find_relation(got: np.ndarray, want: np.ndarray, bound: np.ndarray) -> str:
    """Return a sentence that relates `got` to `want`, or "".

    Args:
        got: The learner's finite answer.
        want: The right answer, same shape.
        bound: The tolerance that `got` missed; a relation must hold within it, scaled.
    """
    if got.size < 2 or not (np.isfinite(got).all() and np.isfinite(want).all()):
        return ""
    if not np.any(got):
        return "Every value is zero."
    if np.ptp(got) == 0 and np.ptp(want) > 0:
        return "Every value is the same."
    for sentence, matches in _RELATIONS:
        if matches(got, want, bound):
            return sentence
    return _factor(got, want, bound) or _part(got, want, bound)


def _close(got: np.ndarray, want: np.ndarray, bound: np.ndarray) -> bool:
    slack = 4 * bound + 1e-6 * float(np.max(np.abs(want)))
    return bool(np.all(np.abs(got - want) <= slack))


def _transposed(got: np.ndarray, want: np.ndarray, bound: np.ndarray) -> bool:
    if got.ndim < 2 or got.shape[-1] != got.shape[-2]:
        return False
    return _close(np.swapaxes(got, -1, -2), want, np.max(bound))


def _reversed(got: np.ndarray, want: np.ndarray, bound: np.ndarray) -> bool:
    return any(_close(np.flip(got, axis), want, np.max(bound)) for axis in range(got.ndim))


def _shifted(got: np.ndarray, want: np.ndarray, bound: np.ndarray) -> bool:
    if got.shape[-1] < 3:
        return False
    top = np.max(bound)
    return _close(got[..., 1:], want[..., :-1], top) or _close(got[..., :-1], want[..., 1:], top)


_RELATIONS: tuple[tuple[str, Callable[[np.ndarray, np.ndarray, np.ndarray], bool]], ...] = (
    ("It is the negative of what is expected.", lambda got, want, bound: _close(-got, want, bound)),
    ("It is transposed.", _transposed),
    ("It runs backwards along an axis.", _reversed),
    ("It is shifted by one along the last axis.", _shifted),
)


def _factor(got: np.ndarray, want: np.ndarray, bound: np.ndarray) -> str:
    """A constant factor or a constant offset, named only when it is a plain number."""
    norm = float(np.sum(want * want))
    if norm == 0:
        return ""
    factor = float(np.sum(got * want)) / norm
    if factor and abs(factor - 1) > 1e-3 and _close(got, factor * want, np.max(bound) * abs(factor)):
        for name, plain in (("", factor), ("1/", 1 / factor)):
            if abs(plain - round(plain)) < 1e-4 * abs(plain) and 2 <= abs(round(plain)) <= 4096:
                return f"It is off by a constant factor of {name}{round(plain)}: a sum for a mean, or the reverse?"
        return "It is off by a constant factor."
    offset = float(np.mean(got - want))
    if abs(offset) > np.max(bound) and _close(got - offset, want, np.max(bound)):
        return "It is off by a constant that is added everywhere."
    return ""


def _part(got: np.ndarray, want: np.ndarray, bound: np.ndarray) -> str:
    """Where the wrong elements lie, when they lie together."""
    wrong = np.asarray(~(np.abs(got - want) <= bound))
    share = wrong.mean()
    if got.ndim >= 2:
        rows = np.asarray(wrong.reshape(wrong.shape[0], -1).any(axis=1))
        if share < 1 and not rows[0] and rows[1:].all() and len(rows) > 2:
            return "Only the first row is right."
    flat = wrong.reshape(-1)
    first = int(np.argmax(flat))
    for size in (32, 64, 128, 256):
        if flat.size > size and first >= size and first % size == 0 and flat[first:].mean() > 0.9:
            return f"The first {first} values are right and the rest is wrong: a workgroup boundary?"
    if got.ndim == 2 and share < 1:
        columns = np.asarray(wrong.any(axis=0))
        first = int(np.argmax(columns))
        if first in (32, 64, 128, 256) and columns[first:].all():
            return f"Columns from {first} on are wrong: is a row longer than the workgroup?"
    if share < 1 and np.any(want) and not np.any(want[wrong]):
        return "It is wrong only where the right answer is 0: where something is masked, padded or cut off?"
    return ""
