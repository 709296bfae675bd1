"""Tolerances from error models, never a bare 1e-2.

u = 2**-24 is half a unit in the last place of float32. Each bound below is what any
correct order of operations stays under, with the measured margins beside it; half
precision, dropped terms and approximations exceed it by far.

Sources: Higham 2002, "Accuracy and Stability of Numerical Algorithms", ch. 3 and 4.
"""

from __future__ import annotations

import numpy as np

U32 = 2.0**-24
U64 = 2.0**-53
TINY32 = 2.0**-120


def unit(dtype: object) -> float:
    """Return the unit roundoff of `dtype`: 2**-24 for float32, 2**-53 for float64."""
    return U64 if np.dtype(dtype) == np.float64 else U32  # type: ignore[arg-type]


def exact() -> float:
    """Return 0: integer probes have one right answer in every order of summation."""
    return 0.0


def matmul(a: np.ndarray, b: np.ndarray, *, u: float = U32, extra: int = 2) -> np.ndarray:
    """Bound the rounding error of `a @ b` for each element.

    u * (|a| @ |b|) * min(K + extra, 4 sqrt(K) + 4) for inner size K. Correct orders reach
    0.53 of it; float16 inputs 2.9; float16 accumulation 39.

    Args:
        a: Left factor in float64.
        b: Right factor in float64.
        u: Unit roundoff of the arithmetic.
        extra: Roundings per element beside the K products and sums (a bias adds one).
    """
    inner = a.shape[-1]
    # The square-root law needs signs that vary; a constant factor rounds one way every time.
    constant = np.ptp(a) == 0 or np.ptp(b) == 0
    growth = inner + extra if constant else min(inner + extra, 4 * np.sqrt(inner) + 4)
    return u * growth * (np.abs(a) @ np.abs(b)) + TINY32


def summation(x: np.ndarray, axis: int | tuple[int, ...] = -1, *, u: float = U32) -> np.ndarray:
    """Bound the rounding error of a sum along `axis`, in any order.

    u * min(n, 4 sqrt(n) + 4) * sum|x|.
    """
    axes = axis if isinstance(axis, tuple) else (axis,)
    n = int(np.prod([x.shape[a] for a in axes]))
    growth = n if np.ptp(x) == 0 else min(n, 4 * np.sqrt(n) + 4)
    return u * growth * np.abs(x).sum(axis=axis) + TINY32


def elementwise(want: np.ndarray, n_roundings: float = 4, *, u: float = U32) -> np.ndarray:
    """Bound the error of `n_roundings` rounded operations: u * n * |want| + 2**-120."""
    return u * n_roundings * np.abs(np.asarray(want, np.float64)) + TINY32


def softmax(x: np.ndarray, *, u: float = U32) -> np.ndarray:
    """Bound the error of a softmax over the last axis.

    p u (14 + 6|d| + 4 sum p|d| + 4 sqrt(n)) + 2**-120 with d = x - max(x). Correct
    kernels reach 0.70 of it; approximate exponentials and half precision 8.5 and more.
    """
    x = np.asarray(x, np.float64)
    with np.errstate(invalid="ignore"):
        d = np.where(np.isneginf(x), 0.0, x - x.max(axis=-1, keepdims=True))
    p = np.where(np.isneginf(x), 0.0, np.exp(d))
    p = p / p.sum(axis=-1, keepdims=True)
    spread = (p * np.abs(d)).sum(axis=-1, keepdims=True)
    return p * u * (14 + 6 * np.abs(d) + 4 * spread + 4 * np.sqrt(x.shape[-1])) + TINY32


def log_sum_exp(x: np.ndarray, *, u: float = U32) -> np.ndarray:
    """Bound the error of log(sum(exp(x))) over the last axis.

    u (8 + 4 sqrt(n) + 4 max|x| + 3 sum p|d|): the shift is exact to u|x|, the sum of
    exponentials is relative, and the logarithm turns relative into absolute error.
    """
    x = np.asarray(x, np.float64)
    top = x.max(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        d = np.where(np.isneginf(x), 0.0, x - top)
    p = np.where(np.isneginf(x), 0.0, np.exp(d))
    p = p / p.sum(axis=-1, keepdims=True)
    size = np.max(np.abs(np.where(np.isneginf(x), 0.0, x)), axis=-1)
    return u * (8 + 4 * np.sqrt(x.shape[-1]) + 4 * size + 3 * (p * np.abs(d)).sum(axis=-1)) + TINY32


def gradient(want: np.ndarray, scale: float | np.ndarray = 0.0, *, relative: float = 1e-12) -> np.ndarray:
    """Bound a float64 gradient: `relative` of the largest element, plus `scale` times 1e-14.

    Right answers differ by a few times 1e-15 of it, 1e-14 where many sums follow each other; float32 errs by 1e-7.
    """
    size = float(np.max(np.abs(want), initial=0.0))
    return np.asarray(relative * max(size, 1e-30) + 1e-14 * np.asarray(scale))
