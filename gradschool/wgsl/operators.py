"""Type rules of operators, and the code each becomes."""

from __future__ import annotations

from gradschool.wgsl.constants import ABSTRACT_TO
from gradschool.wgsl.types import (
    AFLOAT,
    AINT,
    BOOL,
    DTYPES,
    F16,
    F32,
    I32,
    U32,
    Mat,
    Scalar,
    Type,
    Vec,
    scalar_of,
    with_scalar,
)

NUMERIC = (I32, U32, F32, F16, AINT, AFLOAT)
INTEGER = (I32, U32, AINT)
FLOAT = (F32, F16, AFLOAT)


def common_scalar(a: Scalar, b: Scalar) -> Scalar | None:
    """The one type both become, or None."""
    if a == b:
        return a
    if b in ABSTRACT_TO.get(a, ()):
        return b
    if a in ABSTRACT_TO.get(b, ()):
        return a
    return None


def concrete(ty: Type) -> Type:
    """The type an abstract value takes when nothing asks for another."""
    el = scalar_of(ty)
    if el is AINT:
        return with_scalar(ty, I32)
    if el is AFLOAT:
        return with_scalar(ty, F32)
    if hasattr(ty, "count"):
        return type(ty)(concrete(ty.el), ty.count)  # type: ignore
    return ty


def binary_type(op: str, left: Type, right: Type) -> tuple[Type, Type, Type] | None:
    """Types that the operands must become and the result's type; None if the operator does not apply."""
    a, b = scalar_of(left), scalar_of(right)
    if a is None or b is None:
        return None
    if op in ("<<", ">>"):
        return _shift_type(left, right, a, b)
    el = common_scalar(a, b)
    if el is None:
        return None
    lt, rt = with_scalar(left, el), with_scalar(right, el)
    same = lt == rt
    if op in ("&&", "||"):
        return (BOOL, BOOL, BOOL) if same and lt == BOOL else None
    if op in ("==", "!=", "<", ">", "<=", ">="):
        if not same or isinstance(lt, Mat) or (el == BOOL and op not in ("==", "!=")):
            return None
        return lt, rt, with_scalar(lt, BOOL)
    if op in ("&", "|", "^"):
        fits = el in INTEGER or (el == BOOL and op != "^")
        return (lt, rt, lt) if same and fits and not isinstance(lt, Mat) else None
    if el not in NUMERIC:
        return None
    return _arithmetic_type(op, lt, rt)


def _shift_type(left: Type, right: Type, a: Scalar, b: Scalar):
    if a not in INTEGER or b not in (U32, AINT) or isinstance(left, Mat):
        return None
    if (left.n if isinstance(left, Vec) else 0) != (right.n if isinstance(right, Vec) else 0):
        return None
    return left, with_scalar(right, U32), left


def _arithmetic_type(op: str, lt: Type, rt: Type):
    result: Type | None = None
    if isinstance(lt, Mat) or isinstance(rt, Mat):
        if op in ("+", "-"):
            result = lt if lt == rt else None
        elif op == "*":
            result = _product_type(lt, rt)
    elif lt == rt or isinstance(rt, Scalar):
        result = lt
    elif isinstance(lt, Scalar):
        result = rt
    return None if result is None else (lt, rt, result)


def _product_type(lt: Type, rt: Type) -> Type | None:
    if isinstance(lt, Mat) and isinstance(rt, Mat):
        return Mat(rt.cols, lt.rows, lt.el) if lt.cols == rt.rows else None
    if isinstance(lt, Mat):
        if isinstance(rt, Vec):
            return Vec(lt.rows, lt.el) if rt.n == lt.cols else None
        return lt
    if isinstance(lt, Vec) and isinstance(rt, Mat):
        return Vec(rt.cols, lt.el) if lt.n == rt.rows else None
    return rt


def binary_code(op: str, left: Type, right: Type, a: str, b: str) -> str:
    """Python text of an operator on two operands' texts."""
    el = scalar_of(left)
    if op == "&&":
        return f"({a} & {b})"
    if op == "||":
        return f"({a} | {b})"
    if op == "<<":
        return f"shl({a}, {b})"
    if op == ">>":
        return f"shr({a}, {b})"
    if op == "*" and isinstance(left, Mat) and not isinstance(right, Scalar):
        return f"mat_mat({a}, {b})" if isinstance(right, Mat) else f"mat_vec({a}, {b})"
    if op == "*" and isinstance(left, Vec) and isinstance(right, Mat):
        return f"vec_mat({a}, {b})"
    if op in ("/", "%") and el in INTEGER:
        name = ("u" if el == U32 else "i") + ("div" if op == "/" else "mod")
        return f"{name}({a}, {b})"
    if op == "%":
        return f"fmod({a}, {b})"
    return f"({a} {op} {b})"


def unary_type(op: str, ty: Type) -> Type | None:
    """Result type of `-`, `!` or `~`, or None."""
    el = scalar_of(ty)
    if isinstance(ty, Mat) and op != "-":
        return None
    allowed = {"-": (I32, F32, F16, AINT, AFLOAT), "!": (BOOL,), "~": INTEGER}[op]
    return ty if el in allowed else None


def unary_code(op: str, a: str) -> str:
    """Python text of a unary operator."""
    return f"(-{a})" if op == "-" else f"(~{a})"


def convert_code(frm: Type, to: Type, a: str) -> str:
    """Python text of a value conversion such as `f32(x)`, for scalars and vectors."""
    x, y = scalar_of(frm), scalar_of(to)
    assert x is not None
    assert y is not None
    if x == y:
        return a
    if y == BOOL:
        return f"({a} != 0)"
    if y in (I32, U32) and x in FLOAT:
        return f"f2i({a}, {y.name})"
    if y == BOOL or y.name not in ("f32", "f16", "i32", "u32"):
        raise AssertionError(DTYPES[y.name])
    return f"{a}.astype({y.name})"
