"""Shifted pictures, index arrays and sums that run on: no window is ever cut out."""

import numpy as np


def _two(value):
    return (value, value) if isinstance(value, (int, np.integer)) else tuple(value)


def _places(length, size, stride, padding=0):
    """Where each window starts along one axis, counted in the padded picture."""
    last = length + 2 * padding - size
    if size <= 0 or stride <= 0 or padding < 0 or last < 0:
        raise ValueError(f"windows of {size} every {stride} do not fit {length} + 2 * {padding}")
    return np.arange(0, last + 1, stride)


def _grid(h, w, size, stride, padding=0):
    """Rows (h_out, kh) and columns (w_out, kw) that every window sees; negative outside."""
    (kh, kw), (sh, sw), (ph, pw) = _two(size), _two(stride), _two(padding)
    rows = _places(h, kh, sh, ph)[:, None] + np.arange(kh) - ph
    columns = _places(w, kw, sw, pw)[:, None] + np.arange(kw) - pw
    return rows, columns


def _index(shape, size, stride, padding):
    """Flat index of every entry of im2col, and whether it lies inside the picture."""
    n, c, h, w = shape
    rows, columns = _grid(h, w, size, stride, padding)
    inside = ((rows >= 0) & (rows < h))[:, None, :, None] & ((columns >= 0) & (columns < w))[:, None]
    pixel = rows.clip(0, h - 1)[:, None, :, None] * w + columns.clip(0, w - 1)[:, None]
    maps = (np.arange(n * c) * h * w).reshape(n, 1, 1, c, 1, 1)
    flat = maps + pixel[None, :, :, None]
    return flat, np.broadcast_to(inside[None, :, :, None], flat.shape)


def im2col(x, kh, kw, stride, padding):
    if np.ndim(x) != 4:
        raise ValueError("four axes, please")
    flat, inside = _index(x.shape, (kh, kw), stride, padding)
    cols = np.where(inside, x.ravel()[flat], x.dtype.type(0))
    return cols.reshape(-1, x.shape[1] * kh * kw)


def col2im(cols, x_shape, kh, kw, stride, padding):
    flat, inside = _index(tuple(x_shape), (kh, kw), stride, padding)
    n_rows = int(np.prod(flat.shape[:3]))
    if cols.shape != (n_rows, flat.size // n_rows):
        raise ValueError("no windows of such pictures")
    total = np.zeros(int(np.prod(x_shape)), cols.dtype)
    np.add.at(total, flat[inside], cols.reshape(flat.shape)[inside])
    return total.reshape(tuple(x_shape))


def conv2d_forward(x, w, b, stride, padding):
    if x.ndim != 4 or w.ndim != 4 or x.shape[1] != w.shape[1] or b.shape != (w.shape[0],):
        raise ValueError("x, w and b do not belong together")
    (kh, kw), (ph, pw) = w.shape[2:], _two(padding)
    rows, columns = _grid(*x.shape[2:], (kh, kw), stride, padding)
    # Channels last: every filter place is one matrix product with a shifted picture.
    padded = np.pad(x.transpose(0, 2, 3, 1), ((0, 0), (ph, ph), (pw, pw), (0, 0)))
    out = np.zeros((len(x), len(rows), len(columns), len(w)), x.dtype)
    for i in reversed(range(kh)):
        for j in range(kw):
            out += padded[:, rows[:, i, None] + ph, columns[:, j] + pw] @ w[:, :, i, j].T
    out += b
    cache = {"padded": padded, "filters": w, "rows": rows + ph, "columns": columns + pw, "padding": (ph, pw)}
    return np.ascontiguousarray(np.moveaxis(out, -1, 1)), cache


def conv2d_backward(dout, cache):
    padded, w, rows, columns = cache["padded"], cache["filters"], cache["rows"], cache["columns"]
    n, height, width, c_in = padded.shape
    if dout.shape != (n, len(w), len(rows), len(columns)):
        raise ValueError("dout is not of these maps")
    dout = np.moveaxis(dout, 1, -1)
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    for i, j in np.ndindex(w.shape[2:]):
        seen = rows[:, i, None], columns[:, j]
        dw[:, :, i, j] = np.tensordot(dout, padded[:, *seen], axes=([0, 1, 2], [0, 1, 2]))
        # Within one filter place no two windows see the same pixel.
        dpadded[:, *seen] += dout @ w[:, :, i, j]
    (ph, pw), shape = cache["padding"], (n, c_in, height, width)
    dx = np.moveaxis(dpadded, -1, 1).reshape(shape)
    return dx[:, :, ph : height - ph, pw : width - pw], dw, dout.reshape(-1, len(w)).sum(axis=0)


def conv_as_affine(w, h, w_in, stride, padding):
    if len(w.shape) != 4:
        raise ValueError("four axes, please")
    _, c_in, kh, kw = w.shape
    rows, columns = _grid(h, w_in, (kh, kw), stride, padding)
    # Along each axis a matrix says which filter place a pixel meets at which output place.
    meets_row = (rows[..., None] == np.arange(h)).astype(w.dtype)
    meets_column = (columns[..., None] == np.arange(w_in)).astype(w.dtype)
    matrix = np.einsum("ocij,riy,sjz->cyzors", w, meets_row, meets_column, optimize=True)
    return matrix.reshape(c_in * h * w_in, -1)


def max_pool_forward(x, size, stride):
    if x.ndim != 4:
        raise ValueError("four axes, please")
    w = x.shape[3]
    rows, columns = _grid(*x.shape[2:], size, stride)
    best = x[:, :, rows[:, :1], columns[:, 0]].copy()
    where = np.broadcast_to(rows[:, :1] * w + columns[:, 0], best.shape).copy()
    for i, j in np.ndindex(rows.shape[1], columns.shape[1]):
        rival = x[:, :, rows[:, i, None], columns[:, j]]
        better = rival > best
        best[better] = rival[better]
        where = np.where(better, rows[:, i, None] * w + columns[:, j], where)
    return best, (where, list(x.shape))


def max_pool_backward(dout, cache):
    where, shape = cache
    if where.shape != dout.shape:
        raise ValueError("dout is not of these maxima")
    dx = np.zeros((shape[0] * shape[1], shape[2] * shape[3]), dout.dtype)
    owner = np.repeat(np.arange(len(dx)), where.shape[2] * where.shape[3])
    np.add.at(dx, (owner, where.ravel()), dout.ravel())
    return dx.reshape(shape)


def avg_pool_forward(x, size, stride):
    if x.ndim != 4:
        raise ValueError("four axes, please")
    rows, columns = _grid(*x.shape[2:], size, stride)
    # Sums that run on: a window is the difference of four corners.
    total = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (1, 0), (1, 0))).cumsum(axis=2).cumsum(axis=3)
    top, bottom, left, right = rows[:, :1], rows[:, -1:] + 1, columns[:, 0], columns[:, -1] + 1
    sums = total[:, :, bottom, right] - total[:, :, top, right]
    sums = sums - total[:, :, bottom, left] + total[:, :, top, left]
    n_pixels = rows.shape[1] * columns.shape[1]
    return (sums / n_pixels).astype(x.dtype), [list(x.shape), rows, columns]


def avg_pool_backward(dout, cache):
    shape, rows, columns = cache
    if dout.shape != (*shape[:2], len(rows), len(columns)):
        raise ValueError("dout is not of these means")
    seen_rows = (rows[..., None] == np.arange(shape[2])).sum(axis=1)
    seen_columns = (columns[..., None] == np.arange(shape[3])).sum(axis=1)
    share = dout / dout.dtype.type(rows.shape[1] * columns.shape[1])
    return np.matmul(seen_rows.T.astype(dout.dtype), np.matmul(share, seen_columns.astype(dout.dtype)))


def global_avg_pool_forward(x):
    if x.ndim != 4 or 0 in x.shape[2:]:
        raise ValueError("four axes with something in them, please")
    n, c, h, w = x.shape
    weights = np.full(h * w, 1 / (h * w), x.dtype)
    return x.reshape(n, c, h * w) @ weights, {"h": h, "w": w, "n": n, "c": c}


def global_avg_pool_backward(dout, cache):
    if dout.shape != (cache["n"], cache["c"]):
        raise ValueError("dout is not of these means")
    n_places = cache["h"] * cache["w"]
    dx = np.repeat(dout / n_places, n_places, axis=1)
    return dx.reshape(cache["n"], cache["c"], cache["h"], cache["w"])
