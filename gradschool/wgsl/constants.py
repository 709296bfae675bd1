"""Constant expressions: literals, conversions between types, and operators, with the errors they can have."""

from __future__ import annotations

import numpy as np

from gradschool.wgsl import bitlib, mathlib, numerics
from gradschool.wgsl.types import (
    AFLOAT,
    AINT,
    BOOL,
    DTYPES,
    F16,
    F32,
    I32,
    U32,
    Array,
    Mat,
    Scalar,
    Struct,
    Type,
    Vec,
    scalar_of,
)

ENV = {
    name: thing
    for lib in (numerics, mathlib, bitlib)
    for name, thing in vars(lib).items()
    if not name.startswith("__")
}

INT_RANGE = {
    I32: (-(2**31), 2**31 - 1),
    U32: (0, 2**32 - 1),
    AINT: (-(2**63), 2**63 - 1),
}
FLOAT_MAX = {
    F32: float(np.finfo(np.float32).max),
    F16: 65504.0,
    AFLOAT: float(np.finfo(np.float64).max),
}

# What an abstract number may become without being asked.
ABSTRACT_TO = {AINT: (AINT, I32, U32, AFLOAT, F32, F16), AFLOAT: (AFLOAT, F32, F16)}


class ConstantError(Exception):
    """A constant expression has no value; the message is for the learner."""


def make(ty: Scalar, value):
    """A scalar constant of a type, checked for range."""
    if ty in INT_RANGE:
        low, high = INT_RANGE[ty]
        if not low <= value <= high:
            raise ConstantError(f"{value} does not fit in {ty} ({low} to {high})")
    elif ty in FLOAT_MAX:
        value = float(value)
        if not abs(value) <= FLOAT_MAX[ty]:
            raise ConstantError(f"{value:g} does not fit in {ty}")
    return DTYPES[ty.name](value)


def literal(kind: str, text: str):
    """Type and value of a literal token."""
    if kind == "bool":
        return BOOL, np.bool_(text == "true")
    if kind in ("int", "hex"):
        suffix = text[-1] if text[-1] in "iu" else ""
        if len(text) > 40:
            raise ConstantError("this number has too many digits")
        ty = {"i": I32, "u": U32, "": AINT}[suffix]
        return ty, make(ty, int(text[: len(text) - len(suffix)], 0))
    suffix = text[-1] if text[-1] in "fh" and (kind == "float" or "p" in text.lower()) else ""
    ty = {"f": F32, "h": F16, "": AFLOAT}[suffix]
    digits = text[: len(text) - len(suffix)]
    try:
        value = float.fromhex(digits) if kind == "hexfloat" else float(digits)
    except OverflowError:
        value = float("inf")  # as `float` says of decimals; the check below refuses both
    return ty, make(ty, value)


def can_convert(frm: Type | None, to: Type | None) -> bool:
    """Whether a value of one type becomes the other by itself: only abstract numbers do."""
    if frm == to:
        return True
    if isinstance(frm, Scalar) and isinstance(to, Scalar):
        return to in ABSTRACT_TO.get(frm, ())
    if isinstance(frm, Vec) and isinstance(to, Vec):
        return frm.n == to.n and can_convert(frm.el, to.el)
    if isinstance(frm, Mat) and isinstance(to, Mat):
        return (frm.cols, frm.rows) == (to.cols, to.rows) and can_convert(frm.el, to.el)
    if isinstance(frm, Array) and isinstance(to, Array):
        return frm.count == to.count and can_convert(frm.el, to.el)
    return False


def convert(value, frm: Type, to: Type):
    """A constant in another type it can become by itself."""
    if frm == to:
        return value
    if isinstance(frm, Array) and isinstance(to, Array):
        return tuple(convert(v, frm.el, to.el) for v in value)
    el = scalar_of(to)
    assert el is not None
    if isinstance(to, Scalar):
        return make(to, value.item())
    for x in value.ravel():
        make(el, x.item())
    return value.astype(DTYPES[el.name])


def zero(ty: Type):
    """The zero value of a constructible type."""
    if isinstance(ty, Scalar):
        return DTYPES[ty.name](0)
    if isinstance(ty, Vec):
        return np.zeros((ty.n, 1), DTYPES[ty.el.name])
    if isinstance(ty, Mat):
        return np.zeros((ty.cols, ty.rows, 1), DTYPES[ty.el.name])
    if isinstance(ty, Array):
        return (zero(ty.el),) * (ty.count or 0)
    if isinstance(ty, Struct):
        return tuple(zero(f.type) for f in ty.fields)
    raise TypeError(f"{ty} has no zero value")


def evaluate(code: str, **names):
    """Value of an expression in generated code's language, on constants."""
    with np.errstate(all="ignore"):
        return eval(code, dict(ENV), names)  # the text is made by this package, never by a learner


def check_finite(value, ty: Type) -> None:
    """Refuse a constant that overflowed."""
    if isinstance(value, tuple) or scalar_of(ty) not in FLOAT_MAX:
        return
    if not np.isfinite(value).all():
        raise ConstantError("this constant expression is infinite or not a number")


def check_integer(op: str, ty: Type, a, b) -> None:
    """Refuse integer constants that overflow or divide by zero."""
    el = scalar_of(ty)
    if el not in INT_RANGE:
        return
    if op in ("/", "%") and not np.all(b):
        raise ConstantError("this divides by zero")
    if op in ("+", "-", "*", "/"):
        left, right = np.broadcast_arrays(a, b)
        for x, y in zip(left.ravel().tolist(), right.ravel().tolist(), strict=True):
            exact = {"+": x + y, "-": x - y, "*": x * y}.get(op)
            make(
                el,
                abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1) if exact is None else exact,
            )


def check_shift(op: str, ty: Type, a, b) -> None:
    """Refuse constant shifts by the width or more."""
    el = scalar_of(ty)
    width = 64 if el is AINT else 32
    if np.any(np.asarray(b) >= width):
        raise ConstantError(f"{el} has {width} bits, so a shift must be less than {width}")
    if op == "<<" and a is not None and el in INT_RANGE and el is not U32:
        left, right = np.broadcast_arrays(a, b)
        for x, y in zip(left.ravel().tolist(), right.ravel().tolist(), strict=True):
            make(el, x << y)
