"""Arithmetic on lanes: what generated code calls for operators, conversions and constructors.

A scalar that is the same in every invocation is a NumPy scalar; otherwise it is an array with one entry per
lane. A vector is `(n, 1)` or `(n, lanes)`, a matrix `(columns, rows, 1)` or `(columns, rows, lanes)`. A struct is
the tuple of its members and an array value the tuple of its elements. Values are never changed in place.
"""

from __future__ import annotations

import numpy as np

f32, f16, i32, u32, bool_ = np.float32, np.float16, np.int32, np.uint32, np.bool_
where = np.where


def sel(m, new, old):
    """`new` in the lanes of mask `m`, `old` in the others."""
    if isinstance(new, tuple):
        return tuple(sel(m, a, b) for a, b in zip(new, old, strict=True))
    return where(m, new, old)


# Integer division: by zero gives the dividend, remainder by zero gives 0, and nothing traps.


def _nonzero(b):
    zero = b == 0
    return where(zero, b.dtype.type(1), b) if zero.any() else b


def udiv(a, b):
    """`a / b` of unsigned integers."""
    return a // _nonzero(b)


def umod(a, b):
    """`a % b` of unsigned integers."""
    if b.ndim == 0:
        return a % b if b else a * b
    return a % _nonzero(b)


def idiv(a, b):
    """`a / b` of signed integers, rounded toward zero."""
    b = _nonzero(b)
    q = a // b
    return (q + ((a - q * b != 0) & ((a ^ b) < 0))).astype(q.dtype)


def imod(a, b):
    """`a % b` of signed integers; the sign is that of `a`."""
    b = _nonzero(b)
    return a - idiv(a, b) * b


def shl(a, b):
    """`a << b`, the amount taken modulo the width."""
    return a << (b & u32(a.dtype.itemsize * 8 - 1)).astype(a.dtype)


def shr(a, b):
    """`a >> b`, the amount taken modulo the width."""
    return a >> (b & u32(a.dtype.itemsize * 8 - 1)).astype(a.dtype)


# Conversions.

# The largest values that both types hold, so that clamping comes out the same before and after rounding.
_LIMITS = {
    (f32, i32): (f32(-2147483648.0), f32(2147483520.0)),
    (f32, u32): (f32(0.0), f32(4294967040.0)),
    (f16, i32): (f16(-65504.0), f16(65504.0)),
    (f16, u32): (f16(0.0), f16(65504.0)),
    (np.float64, i32): (np.float64(-2147483648.0), np.float64(2147483647.0)),
    (np.float64, u32): (np.float64(0.0), np.float64(4294967295.0)),
    (np.float64, np.int64): (np.float64(-(2.0**63)), np.float64(2.0**63 - 1024)),
}


def f2i(x, to):
    """Float to integer: toward zero, clamped to the range; NaN gives 0."""
    low, high = _LIMITS[x.dtype.type, to]
    clean = where(np.isnan(x), low.dtype.type(0), x)
    return np.trunc(np.minimum(np.maximum(clean, low), high)).astype(to)


def dot4(a, b):
    """Dot product of vectors, summed in order."""
    total = a[0] * b[0]
    for k in range(1, len(a)):
        total = total + a[k] * b[k]
    return total if total.shape[0] != 1 else total[0]


# Vectors and matrices.


def scalar(x):
    """A lone lane's entry as a plain scalar."""
    return x[0] if x.ndim == 1 and x.shape[0] == 1 else x


def comp(v, i):
    """Component `i` of a vector; a plain scalar when all lanes agree."""
    r = v[i]
    return r if r.shape[0] != 1 else r[0]


def col(m, i):
    """Column `i` of a matrix."""
    return m[i]


def vec(*parts):
    """Vector from scalars and vectors."""
    rows, width = [], 1
    for p in parts:
        if p.ndim == 2:
            rows.extend(p)
            width = max(width, p.shape[1])
        else:
            rows.append(p)
            if p.ndim:
                width = max(width, p.shape[0])
    out = np.empty((len(rows), width), parts[0].dtype)
    for i, row in enumerate(rows):
        out[i] = row
    return out


def splat(n, a):
    """Vector of `n` equal components."""
    if a.ndim == 0:
        return np.full((n, 1), a)
    return np.broadcast_to(a, (n, a.shape[0]))


def mat_of_cols(*columns):
    """Matrix from column vectors."""
    width = max(c.shape[1] for c in columns)
    out = np.empty((len(columns), columns[0].shape[0], width), columns[0].dtype)
    for i, c in enumerate(columns):
        out[i] = c
    return out


def mat_of_scalars(cols, rows, *parts):
    """Matrix from scalars in column order."""
    flat = vec(*parts)
    return flat.reshape(cols, rows, flat.shape[1])


def put_comp(v, i, x, m):
    """Copy of vector (or matrix) `v` with component (or column) `i` replaced in the lanes of `m`."""
    width = max(v.shape[-1], x.shape[-1] if x.ndim else 1, 1 if m is None else m.shape[0])
    if not isinstance(i, int) and i.ndim == 0:
        i = int(i)
    if not isinstance(i, int):
        width = max(width, i.shape[0])
    out = np.array(np.broadcast_to(v, (*v.shape[:-1], width)))
    if isinstance(i, int):
        if 0 <= i < len(out):
            out[i] = x if m is None else where(m, x, out[i])
        return out
    for k in range(len(out)):
        hit = (i == k) if m is None else m & (i == k)
        out[k] = where(hit, x, out[k])
    return out


def at(v, i):
    """Component or column `i` of a vector or matrix; an index past the end gives the last one."""
    if i.ndim == 0:
        i = min(int(i) & 0xFFFFFFFF, len(v) - 1)
        r = v[i]
        return r if r.ndim > 1 or r.shape[0] != 1 else r[0]
    width = i.shape[0]
    full = np.broadcast_to(v, (*v.shape[:-1], width))
    index = np.minimum(i.astype(u32), u32(len(v) - 1)).astype(np.intp)
    index = index.reshape((1,) * (v.ndim - 1) + (width,))
    return np.take_along_axis(full, np.broadcast_to(index, (1, *full.shape[1:])), 0)[0]


def at_array(parts, i):
    """Element `i` of an array value; an index past the end gives the last one."""
    if i.ndim == 0:
        return parts[min(int(i) & 0xFFFFFFFF, len(parts) - 1)]
    if isinstance(parts[0], tuple):
        return tuple(at_array(tuple(p[k] for p in parts), i) for k in range(len(parts[0])))
    if parts[0].ndim <= 1:
        return at(vec(*parts), i)
    width = i.shape[0]
    return at(np.stack([np.broadcast_to(p, (*p.shape[:-1], width)) for p in parts]), i)


def mat_vec(a, v):
    """Matrix times column vector."""
    total = a[0] * v[0]
    for k in range(1, len(a)):
        total = total + a[k] * v[k]
    return total


def vec_mat(v, a):
    """Row vector times matrix."""
    return vec(*[dot4(v, column) for column in a])


def mat_mat(a, b):
    """Matrix times matrix."""
    return mat_of_cols(*[mat_vec(a, column) for column in b])


def transpose(a):
    """Transposed matrix."""
    return a.swapaxes(0, 1)


def determinant(a):
    """Determinant by cofactors of the first column."""
    rows = [[a[c, r] for c in range(a.shape[0])] for r in range(a.shape[1])]
    total = np.asarray(_minor(rows))
    return total if total.shape[0] != 1 else total[0]


def _minor(rows):
    if len(rows) == 1:
        return rows[0][0]
    total = None
    for k, row in enumerate(rows):
        term = row[0] * _minor([r[1:] for j, r in enumerate(rows) if j != k])
        total = term if total is None else (total - term if k % 2 else total + term)
    return total


# Indices, as Python integers (all lanes agree) or intp arrays. A negative index becomes a huge one.

FAR = 1 << 40


def ix(i):
    """Index value to offset."""
    if i.ndim == 0:
        return int(i) & 0xFFFFFFFF
    return (i if i.dtype == u32 else i.view(u32)).astype(np.intp)


def step(off, i, stride, n):
    """Add an index into an inner array of `n` elements; an index past its end sends the offset far away."""
    i = ix(i)
    if isinstance(i, int):
        return off + i * stride if i < n else FAR
    if i.max(initial=0) < n:
        return off + i * stride
    return where(i < n, off + i * stride, FAR)


fmod = np.fmod
