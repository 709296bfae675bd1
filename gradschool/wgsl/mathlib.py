"""Built-in functions on lanes; the names are those of WGSL with a `b_` in front."""

from __future__ import annotations

import numpy as np

from gradschool.wgsl.numerics import comp, determinant, dot4, f2i, f16, f32, i32, transpose, u32, vec, where

b_abs, b_ceil, b_floor, b_trunc, b_sqrt = np.abs, np.ceil, np.floor, np.trunc, np.sqrt
b_round = np.rint
b_sin, b_cos, b_tan, b_sinh, b_cosh, b_tanh = np.sin, np.cos, np.tan, np.sinh, np.cosh, np.tanh
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
    return x if x.ndim < 2 else _scalar(x.all(axis=0))


def b_any(x):
    """Whether any component holds."""
    return x if x.ndim < 2 else _scalar(x.any(axis=0))


def _scalar(x):
    return x[0] if x.ndim == 1 and x.shape[0] == 1 else x


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


# Bits.


def _as_u32(x):
    return x.view(u32) if x.dtype == i32 else x


def b_countOneBits(x):
    """Number of ones."""
    return np.bitwise_count(_as_u32(x)).astype(x.dtype)


def _first_leading(x):
    # float64 holds every u32 exactly, so the exponent is the position of the highest one.
    return np.frexp(x.astype(np.float64))[1].astype(i32) - i32(1)


def b_countLeadingZeros(x):
    """Zeros above the highest one."""
    return (i32(31) - _first_leading(_as_u32(x))).astype(x.dtype)


def b_countTrailingZeros(x):
    """Zeros below the lowest one."""
    u = _as_u32(x)
    return where(u == 0, u32(32), np.bitwise_count((u & (~u + u32(1))) - u32(1))).astype(x.dtype)


def b_firstTrailingBit(x):
    """Position of the lowest one, or all ones."""
    u = _as_u32(x)
    return where(u == 0, u32(0xFFFFFFFF), np.bitwise_count((u & (~u + u32(1))) - u32(1))).astype(x.dtype)


def b_firstLeadingBit(x):
    """Position of the highest one (of the highest zero when negative), or all ones."""
    u = _as_u32(where(x < 0, ~x, x) if x.dtype == i32 else x)
    return _first_leading(u).astype(x.dtype)


def b_reverseBits(x):
    """Bits in reverse order."""
    u = _as_u32(x)
    for shift, mask in ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F), (8, 0x00FF00FF), (16, 0x0000FFFF)):
        u = ((u >> u32(shift)) & u32(mask)) | ((u & u32(mask)) << u32(shift))
    return u.astype(x.dtype)


def b_extractBits(x, offset, count):
    """Bits `offset ..< offset + count`, sign-extended for i32."""
    o = np.minimum(offset, u32(32))
    c = np.minimum(count, u32(32) - o)
    wide = x.astype(np.int64)
    up = (np.int64(64) - o.astype(np.int64) - c.astype(np.int64)).astype(np.int64)
    # Shifting by 64 is undefined, so an empty field is made by the final `where`.
    if x.dtype == i32:
        found = (wide << np.minimum(up, 63)) >> np.minimum(np.int64(64) - c.astype(np.int64), 63)
    else:
        found = (wide >> o.astype(np.int64)) & ((np.int64(1) << c.astype(np.int64)) - np.int64(1))
    return where(c == 0, np.int64(0), found).astype(x.dtype)


def b_insertBits(x, new, offset, count):
    """`x` with bits `offset ..< offset + count` taken from `new`."""
    o = np.minimum(offset, u32(32)).astype(np.int64)
    c = np.minimum(count.astype(np.int64), np.int64(32) - o)
    mask = ((np.int64(1) << c) - np.int64(1)) << o
    wide, fresh = _as_u32(x).astype(np.int64), _as_u32(new).astype(np.int64)
    return ((wide & ~mask) | ((fresh << o) & mask)).astype(u32).astype(x.dtype)


# Packing. A vector is (n, lanes); the result's bits are joined from component 0 upward.


def _join(parts, width):
    total = parts[0].astype(u32)
    for k in range(1, len(parts)):
        total = total | (parts[k].astype(u32) << u32(k * width))
    return _scalar(total)


def _split(x, n, width):
    mask = u32((1 << width) - 1)
    rows = [(x >> u32(k * width)) & mask for k in range(n)]
    return vec(*rows)


def _sign_extend(x, width):
    return (x << u32(32 - width)).view(i32) >> i32(32 - width)


def _norm(x, scale, low, width):
    q = np.floor(f32(0.5) + f32(scale) * np.minimum(np.maximum(x, f32(low)), f32(1)))
    return _join(list(f2i(q, i32).view(u32) & u32((1 << width) - 1)), width)


def b_pack4x8snorm(x):
    """Four floats in -1..1 to bytes."""
    return _norm(x, 127.0, -1.0, 8)


def b_pack4x8unorm(x):
    """Four floats in 0..1 to bytes."""
    return _norm(x, 255.0, 0.0, 8)


def b_pack2x16snorm(x):
    """Two floats in -1..1 to halves."""
    return _norm(x, 32767.0, -1.0, 16)


def b_pack2x16unorm(x):
    """Two floats in 0..1 to halves."""
    return _norm(x, 65535.0, 0.0, 16)


def b_pack2x16float(x):
    """Two floats to f16 bits."""
    return _join(list(x.astype(f16).view(np.uint16)), 16)


def b_pack4xI8(x):
    """Low bytes of four i32."""
    return _join(list(x.view(u32) & u32(255)), 8)


def b_pack4xU8(x):
    """Low bytes of four u32."""
    return _join(list(x & u32(255)), 8)


def b_pack4xI8Clamp(x):
    """Four i32 clamped to a signed byte."""
    return b_pack4xI8(np.minimum(np.maximum(x, i32(-128)), i32(127)))


def b_pack4xU8Clamp(x):
    """Four u32 clamped to a byte."""
    return b_pack4xU8(np.minimum(x, u32(255)))


def b_unpack4x8snorm(x):
    """Bytes to floats in -1..1."""
    return np.maximum(_sign_extend(_split(x, 4, 8), 8).astype(f32) / f32(127), f32(-1))


def b_unpack4x8unorm(x):
    """Bytes to floats in 0..1."""
    return _split(x, 4, 8).astype(f32) / f32(255)


def b_unpack2x16snorm(x):
    """Halves to floats in -1..1."""
    return np.maximum(_sign_extend(_split(x, 2, 16), 16).astype(f32) / f32(32767), f32(-1))


def b_unpack2x16unorm(x):
    """Halves to floats in 0..1."""
    return _split(x, 2, 16).astype(f32) / f32(65535)


def b_unpack2x16float(x):
    """F16 bits to floats."""
    return _split(x, 2, 16).astype(np.uint16).view(f16).astype(f32)


def b_unpack4xI8(x):
    """Bytes to four i32."""
    return _sign_extend(_split(x, 4, 8), 8)


def b_unpack4xU8(x):
    """Bytes to four u32."""
    return _split(x, 4, 8)


def b_dot4I8Packed(a, b):
    """Dot product of four signed bytes."""
    return dot4(b_unpack4xI8(a), b_unpack4xI8(b))


def b_dot4U8Packed(a, b):
    """Dot product of four bytes."""
    return dot4(b_unpack4xU8(a), b_unpack4xU8(b))


def bitcast(x, to, n_from, n_to):
    """Reinterpret the bits of a scalar or vector."""
    dtype = np.dtype(to)
    if n_from == n_to:
        return x.view(dtype) if x.ndim < 2 or x.flags.c_contiguous else np.ascontiguousarray(x).view(dtype)
    rows = x if x.ndim == 2 else x.reshape(1, -1)
    width = rows.shape[1]
    packed = np.ascontiguousarray(rows.T).view(dtype).reshape(width, n_to).T
    if n_to == 1:
        return _scalar(packed[0])
    return np.ascontiguousarray(packed)
