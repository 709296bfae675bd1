"""Built-in functions on bits, and packing, on lanes."""

from __future__ import annotations

import numpy as np

from gradschool.wgsl.numerics import dot4, f2i, f16, f32, i32, scalar, u32, vec, where


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
    for shift, mask in (
        (1, 0x55555555),
        (2, 0x33333333),
        (4, 0x0F0F0F0F),
        (8, 0x00FF00FF),
        (16, 0x0000FFFF),
    ):
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
    return scalar(total)


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
        return scalar(packed[0])
    return np.ascontiguousarray(packed)
