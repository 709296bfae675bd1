"""Built-in functions on lanes; the names are those of WGSL with a `b_` in front."""

from __future__ import annotations

import numpy as np

from gradschool.wgsl.numerics import (
    comp,
    determinant,
    dot4,
    f16,
    f32,
    i32,
    scalar,
    transpose,
    vec,
    where,
)

b_abs, b_ceil, b_floor, b_trunc, b_sqrt = np.abs, np.ceil, np.floor, np.trunc, np.sqrt
b_round = np.rint
b_sin, b_cos, b_tan, b_sinh, b_cosh, b_tanh = (
    np.sin,
    np.cos,
    np.tan,
    np.sinh,
    np.cosh,
    np.tanh,
)
b_asin, b_acos, b_atan, b_atan2 = np.arcsin, np.arccos, np.arctan, np.arctan2
b_asinh, b_acosh, b_atanh = np.arcsinh, np.arccosh, np.arctanh
b_exp, b_exp2, b_log, b_log2, b_pow = np.exp, np.exp2, np.log, np.log2, np.power
b_min, b_max = np.minimum, np.maximum
b_transpose, b_determinant = transpose, determinant


def b_sign(x):
    """-1, 0 or 1."""
    return np.sign(x)


def b_fract(x):
    """`x - floor(x)`."""
    return x - np.floor(x)


def b_inverseSqrt(x):
    """`1 / sqrt(x)`."""
    return x.dtype.type(1) / np.sqrt(x)


def b_degrees(x):
    """Radians to degrees."""
    return x * x.dtype.type(180.0 / np.pi)


def b_radians(x):
    """Degrees to radians."""
    return x * x.dtype.type(np.pi / 180.0)


def b_saturate(x):
    """Clamp to 0..1."""
    return np.minimum(np.maximum(x, x.dtype.type(0)), x.dtype.type(1))


def b_clamp(x, low, high):
    """`min(max(x, low), high)`."""
    return np.minimum(np.maximum(x, low), high)


def b_fma(a, b, c):
    """`a * b + c`, rounded once."""
    if a.dtype == f32:
        return (a.astype(np.float64) * b + c).astype(f32)
    return (a.astype(f32) * b + c).astype(a.dtype) if a.dtype == f16 else a * b + c


def b_mix(a, b, t):
    """`a * (1 - t) + b * t`."""
    return a * (t.dtype.type(1) - t) + b * t


def b_step(edge, x):
    """1 where `x >= edge`."""
    return (x >= edge).astype(x.dtype)


def b_smoothstep(low, high, x):
    """Cubic step between two edges."""
    t = b_saturate((x - low) / (high - low))
    return t * t * (t.dtype.type(3) - t.dtype.type(2) * t)


def b_quantizeToF16(x):
    """Round to f16 and back."""
    return x.astype(f16).astype(f32)


def b_select(no, yes, cond):
    """`yes` where `cond`, else `no`."""
    if cond.ndim == 0:
        return yes if cond else no
    return _select(cond, yes, no)


def _select(cond, yes, no):
    if isinstance(yes, tuple):
        return tuple(_select(cond, y, n) for y, n in zip(yes, no, strict=True))
    return where(cond, yes, no)


def b_all(x):
    """Whether all components hold."""
    return x if x.ndim < 2 else scalar(x.all(axis=0))


def b_any(x):
    """Whether any component holds."""
    return x if x.ndim < 2 else scalar(x.any(axis=0))


# Geometry.

b_dot = dot4


def b_length(x):
    """Euclidean length."""
    return np.abs(x) if x.ndim < 2 else np.sqrt(dot4(x, x))


def b_distance(a, b):
    """Length of the difference."""
    return b_length(a - b)


def b_normalize(x):
    """Vector over its length."""
    return x / b_length(x)


def b_cross(a, b):
    """Cross product."""
    return vec(
        *[
            comp(a[i : i + 1] * b[j : j + 1] - a[j : j + 1] * b[i : i + 1], 0)
            for i, j in ((1, 2), (2, 0), (0, 1))
        ]
    )


def b_faceForward(a, b, c):
    """`a` flipped to face away from `c`."""
    return where(dot4(b, c) < 0, a, -a)


def b_reflect(a, n):
    """Reflection at a plane."""
    return a - a.dtype.type(2) * dot4(n, a) * n


def b_refract(a, n, eta):
    """Refraction at a plane."""
    d = dot4(n, a)
    one = a.dtype.type(1)
    k = one - eta * eta * (one - d * d)
    return where(k < 0, a.dtype.type(0), eta * a - (eta * d + np.sqrt(k)) * n)


def b_modf(x):
    """Fraction and whole part."""
    whole = np.trunc(x)
    return (x - whole, whole)


def b_frexp(x):
    """Fraction in [0.5, 1) and exponent."""
    fract, exponent = np.frexp(x)
    return (fract.astype(x.dtype), exponent.astype(i32))


def b_ldexp(x, e):
    """`x * 2**e`."""
    return np.ldexp(x, e.astype(i32)).astype(x.dtype)
