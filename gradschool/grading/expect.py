"""What a grader expects of an answer, and the sentence a learner reads when it differs.

Type, then shape, then dtype, then finiteness, then values. No message holds a hidden
number: it says how many elements differ, where the worst one is, and, when the answer
is related to the right one in a simple way, which way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradschool.errors import CallFailed, GradschoolError

MARGINS: list[float] | None = None
"""Where comparisons note error / tolerance while the tolerances themselves are measured."""


class Mismatch(GradschoolError):
    """An answer is not what was expected; the message is for the learner."""


def expect(condition: bool, message: str, *, help: str = "") -> None:
    """Fail with `message` unless `condition` holds.

    Raises:
        Mismatch: `condition` is false.
    """
    try:
        holds = bool(condition)
    except ValueError:  # an array, where the test compares a number
        holds = False
    if not holds:
        raise Mismatch(message, help=help)


def expect_at_most(got: float, limit: float, what: str, *, help: str = "") -> None:
    """Fail when counted work exceeds its limit.

    Args:
        got: What was counted.
        limit: The most that is allowed.
        what: What is counted, such as `bytes loaded from a and b`.
        help: What to do about it.

    Raises:
        Mismatch: `got` is more than `limit`.
    """
    if got > limit:
        raise Mismatch(f"{got:,.0f} {what}; at most {limit:,.0f} are allowed here.", help=help)


def expect_close(
    got: Any,
    want: Any,
    tol: Any = None,
    *,
    what: str = "the result",
    dtype: Any = None,
    help: str = "",
) -> None:
    """Fail unless `got` is an array equal to `want` within `tol`.

    |got - want| <= tol must hold for every element. NaN equals nothing; an infinity
    equals only itself.

    Args:
        got: The learner's answer.
        want: The right answer, usually in float64.
        tol: Absolute tolerance, a number or an array that broadcasts to `want`; see
            `gradschool.grading.tolerance`. Default: rounding of float64 arithmetic.
        what: Name of the answer in messages.
        dtype: The dtype `got` must have; default: any floating dtype for a floating `want`,
            else exactly that of `want`'s kind.
        help: A sentence that is added to a message about values.

    Raises:
        Mismatch: `got` differs.
    """
    want = np.asarray(want)
    got = _as_array(got, want, what)
    _expect_dtype(got, want, dtype, what)
    if got.shape != want.shape:
        raise Mismatch(
            f"{what} has shape {got.shape}; expected {want.shape}.", help=_shape_help(got.shape, want.shape)
        )
    if want.size == 0:
        return
    bound = _tolerance(tol, want)
    got64, want64 = got.astype(_wide(got)), want.astype(_wide(want))
    _expect_finite(got64, want64, what)
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.where(got64 == want64, 0.0, np.abs(got64 - want64))
    if MARGINS is not None:
        MARGINS.append(_margin(error, bound))
    wrong = ~(error <= bound)
    if wrong.any():
        raise Mismatch(_describe(got64, want64, error, bound, wrong, what), help=help)


def expect_equal(got: Any, want: Any, *, what: str = "the result", help: str = "") -> None:
    """Fail unless `got` equals `want` exactly, in type and value.

    Arrays compare element by element; tuples, lists and dicts compare by structure.

    Raises:
        Mismatch: They differ.
    """
    if isinstance(want, np.ndarray):
        expect_close(got, want, 0.0, what=what, dtype=want.dtype, help=help)
    elif isinstance(want, dict):
        if not isinstance(got, dict) or set(got) != set(want):
            names = ", ".join(map(str, want))
            raise Mismatch(f"{what} must be a dict with the keys {names}; got {describe(got)}.", help=help)
        for key in want:
            expect_equal(got[key], want[key], what=f"{what}[{key!r}]", help=help)
    elif isinstance(want, tuple | list):
        if not isinstance(got, tuple | list) or len(got) != len(want):
            raise Mismatch(f"{what} must hold {len(want)} values; got {describe(got)}.", help=help)
        for index, (one, other) in enumerate(zip(got, want, strict=True)):
            expect_equal(one, other, what=f"{what}[{index}]", help=help)
    elif isinstance(want, bool | int | str | type(None)):
        right_type = isinstance(got, type(want)) or isinstance(got, np.generic)
        if not right_type or isinstance(got, bool) != isinstance(want, bool | np.bool_) or got != want:
            kind = type(want).__name__
            raise Mismatch(f"{what} is not the expected {kind}; got {describe(got)}.", help=help)
    else:
        expect_close(got, want, 0.0, what=what, help=help)


def expect_raises(call: Callable[..., Any], error: type[Exception], *args: Any, **kwargs: Any) -> None:
    """Fail unless calling the learner's function raises `error` with a message.

    Args:
        call: A function of the `submission` fixture.
        error: The exception the exercise's docstring promises, such as `ValueError`.
        args: Arguments of the bad call.
        kwargs: Keyword arguments of the bad call.

    Raises:
        Mismatch: Nothing, something else, or an exception without a sentence was raised.
    """
    name = getattr(call, "__name__", "the function")
    try:
        value = call(*args, **kwargs)
    except CallFailed as problem:
        if error.__name__ not in (problem.exception_type, *problem.exception_bases):
            raise Mismatch(
                f"{name} raised {problem.exception_type} on bad input; its docstring promises {error.__name__}.",
                help=f"Test the input at the top of the function and raise {error.__name__} with a sentence.",
            ) from None
        if not problem.exception_text.strip():
            raise Mismatch(
                f"{name} raised {error.__name__} without a message.",
                help="Say what is wrong and what was got: the next reader is you.",
            ) from None
        return
    raise Mismatch(
        f"{name} accepted bad input and returned {describe(value)}; its docstring promises {error.__name__}.",
        help=f"Test the input at the top of the function and raise {error.__name__} with a sentence.",
    )


def describe(value: Any) -> str:
    """Say what `value` is, without its numbers."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, dict):
        keys = ", ".join(key if _is_plain(key) else "…" for key in list(value)[:8])
        return f"a dict with the keys {keys}" if value else "an empty dict"
    return "None" if value is None else f"a {type(value).__name__}"


def _is_plain(key: Any) -> bool:
    """Whether a key is a short name; a learner's code could put the test's input into longer ones."""
    return isinstance(key, str) and key.isidentifier() and len(key) <= 20 and sum(map(str.isdigit, key)) <= 2


def _margin(error: np.ndarray, bound: np.ndarray) -> float:
    """The largest share of its tolerance that any element uses; exact comparisons have none."""
    loose = np.broadcast_to(bound, error.shape) > 0
    with np.errstate(invalid="ignore", over="ignore"):
        return float(np.max(error[loose] / np.broadcast_to(bound, error.shape)[loose], initial=0.0))


def _as_array(got: Any, want: np.ndarray, what: str) -> np.ndarray:
    if isinstance(got, np.ndarray) or (want.ndim == 0 and isinstance(got, int | float | np.generic)):
        array = np.asarray(got)
        if isinstance(got, int) and array.dtype.kind == "O":
            raise Mismatch(f"{what} is an int of {got.bit_length()} bits: it grew beyond every bound.")
        return array
    if got is None:
        raise Mismatch(f"{what} is None.", help="Does every path of the function end in `return`?")
    expected = "a number" if want.ndim == 0 else f"an array of shape {want.shape}"
    raise Mismatch(f"{what} is {describe(got)}; expected {expected}.")


def _expect_dtype(got: np.ndarray, want: np.ndarray, dtype: Any, what: str) -> None:
    if dtype is not None:
        if got.dtype != np.dtype(dtype):
            raise Mismatch(
                f"{what} has dtype {got.dtype}; expected {np.dtype(dtype)}.",
                help="The result keeps the dtype of the input; a float64 constant array can widen it.",
            )
    elif want.dtype.kind == "f" and got.dtype.kind not in ("f" if want.ndim else "biuf"):
        raise Mismatch(f"{what} has dtype {got.dtype}; expected floating-point numbers.")
    elif want.dtype.kind in "iub" and got.dtype.kind not in {"b": "b"}.get(want.dtype.kind, "iu"):
        raise Mismatch(
            f"{what} has dtype {got.dtype}; expected {'booleans' if want.dtype.kind == 'b' else 'integers'}."
        )


def _shape_help(got: tuple[int, ...], want: tuple[int, ...]) -> str:
    if got == want[::-1]:
        return "It is transposed."
    if tuple(n for n in got if n != 1) == tuple(n for n in want if n != 1):
        return "An axis of length 1 is left over or missing: look at keepdims."
    return ""


def _tolerance(tol: Any, want: np.ndarray) -> np.ndarray:
    if tol is None:
        scale = float(np.max(np.abs(want[np.isfinite(want)]), initial=0.0)) if want.dtype.kind == "f" else 0.0
        return np.asarray(1e-12 * max(scale, 1e-30))
    return np.asarray(tol, dtype=np.float64)


def _wide(array: np.ndarray) -> Any:
    return np.float64 if array.dtype.kind in "fb" else np.int64


def _expect_finite(got: np.ndarray, want: np.ndarray, what: str) -> None:
    nan = np.isnan(got) & ~np.isnan(want)
    if nan.any():
        raise Mismatch(
            f"{what}: {_count(nan)} NaN, the first at index {_index(nan)}.",
            help="NaN comes from 0/0, inf - inf or 0 * inf, or from memory that was never written.",
        )
    infinite = np.isinf(got) & ~np.isinf(want)
    if infinite.any():
        raise Mismatch(
            f"{what}: {_count(infinite)} infinite, the first at index {_index(infinite)}.",
            help="Something overflowed: exp of a large number, or a division by zero.",
        )


def _describe(
    got: np.ndarray,
    want: np.ndarray,
    error: np.ndarray,
    bound: np.ndarray,
    wrong: np.ndarray,
    what: str,
) -> str:
    from gradschool.grading.relations import find_relation

    relation = find_relation(got, want, bound)
    text = f"{what}: {_count(wrong)} wrong"
    if got.ndim:
        excess = np.where(wrong, np.nan_to_num(error, nan=np.inf), -1.0)
        text += (
            f", the worst at index {tuple(int(i) for i in np.unravel_index(np.argmax(excess), got.shape))}"
        )
    return f"{text}. {relation}" if relation else f"{text}."


def _count(mask: np.ndarray) -> str:
    n_wrong = int(np.count_nonzero(mask))
    if mask.size == 1:
        return "the value is"
    return f"{n_wrong} of {mask.size} values {'is' if n_wrong == 1 else 'are'}"


def _index(mask: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(mask)[0]) if mask.ndim else ()
