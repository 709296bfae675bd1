"""Windows as views (sliding_window_view) and sums by einsum; everything is validated by hand."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def _windows(x, size, stride, padding=(0, 0)):
    """Return every window (n, c, h_out, w_out, kh, kw) of the padded pictures, as a view."""
    pairs = [
        value if isinstance(value, (tuple, list)) else (value, value) for value in (size, stride, padding)
    ]
    (kh, kw), (sh, sw), (ph, pw) = pairs
    if x.ndim != 4 or min(kh, kw, sh, sw) < 1 or min(ph, pw) < 0:
        raise ValueError("such windows make no sense")
    padded = np.pad(x, [(0, 0), (0, 0), (ph, ph), (pw, pw)])
    if padded.shape[2] < kh or padded.shape[3] < kw:
        raise ValueError("the window is larger than the picture")
    return sliding_window_view(padded, (kh, kw), axis=(2, 3))[:, :, ::sh, ::sw]


def _scatter(windows, x_shape, size, stride, padding=(0, 0)):
    """Add windows up where they belong, by the index of every entry."""
    index = np.arange(1, 1 + int(np.prod(x_shape))).reshape(x_shape)
    places = _windows(index, size, stride, padding)
    total = np.bincount(places.ravel(), weights=windows.ravel(), minlength=index.size + 1)
    return total[1:].reshape(x_shape).astype(windows.dtype)


def im2col(x, kh, kw, stride, padding):
    windows = _windows(x, (kh, kw), stride, padding)
    return np.moveaxis(windows, 1, 3).reshape(-1, windows.shape[1] * kh * kw)


def col2im(cols, x_shape, kh, kw, stride, padding):
    x_shape = tuple(x_shape)
    n, c, h_out, w_out, _, _ = _windows(np.zeros(x_shape), (kh, kw), stride, padding).shape
    if cols.shape != (n * h_out * w_out, c * kh * kw):
        raise ValueError("these are not the windows of such pictures")
    windows = np.moveaxis(cols.reshape(n, h_out, w_out, c, kh, kw), 3, 1)
    return _scatter(windows, x_shape, (kh, kw), stride, padding)


def conv2d_forward(x, w, b, stride, padding):
    if x.ndim != 4 or w.ndim != 4 or w.shape[1] != x.shape[1] or b.shape != (len(w),):
        raise ValueError("pictures, filters and biases do not fit")
    windows = _windows(x, w.shape[2:], stride, padding)
    out = np.einsum("ncrsij,ocij->nors", windows, w) + b[:, None, None]
    return out, (x.copy(), w.copy(), stride, padding)


def conv2d_backward(dout, cache):
    x, w, stride, padding = cache
    windows = _windows(x, w.shape[2:], stride, padding)
    if dout.shape != (len(x), len(w), *windows.shape[2:4]):
        raise ValueError("dout does not have the shape of the maps")
    dw = np.einsum("ncrsij,nors->ocij", windows, dout)
    dwindows = np.einsum("nors,ocij->ncrsij", dout, w)
    return _scatter(dwindows, x.shape, w.shape[2:], stride, padding), dw, np.einsum("nors->o", dout)


def conv_as_affine(w, h, w_in, stride, padding):
    if w.ndim != 4:
        raise ValueError("filters have four axes")
    c_in = w.shape[1]
    # Column k of the identity is a picture with one pixel; its map is row k of the matrix.
    pixels = np.eye(c_in * h * w_in, dtype=w.dtype).reshape(-1, c_in, h, w_in)
    windows = _windows(pixels, w.shape[2:], stride, padding)
    return np.einsum("ncrsij,ocij->nors", windows, w).reshape(len(pixels), -1)


def max_pool_forward(x, size, stride):
    windows = _windows(x, size, stride)
    flat = windows.reshape(*windows.shape[:4], -1)
    return flat.max(axis=-1), {"x": x.copy(), "size": size, "stride": stride}


def max_pool_backward(dout, cache):
    windows = _windows(cache["x"], cache["size"], cache["stride"])
    if dout.shape != windows.shape[:4]:
        raise ValueError("dout does not have the shape of the maxima")
    flat = windows.reshape(*windows.shape[:4], -1)
    first = np.arange(flat.shape[-1]) == flat.argmax(axis=-1)[..., None]
    spread = (first * dout[..., None]).reshape(windows.shape)
    return _scatter(spread, cache["x"].shape, cache["size"], cache["stride"])


def avg_pool_forward(x, size, stride):
    windows = _windows(x, size, stride)
    return windows.mean(axis=(4, 5)), {"shape": list(x.shape), "size": size, "stride": stride}


def avg_pool_backward(dout, cache):
    shape = tuple(cache["shape"])
    windows = _windows(np.zeros(shape, dout.dtype), cache["size"], cache["stride"])
    if dout.shape != windows.shape[:4]:
        raise ValueError("dout does not have the shape of the means")
    share = dout[..., None, None] / windows[0, 0, 0, 0].size
    return _scatter(np.broadcast_to(share, windows.shape), shape, cache["size"], cache["stride"])


def global_avg_pool_forward(x):
    if x.ndim != 4 or x[0, 0].size == 0:
        raise ValueError("maps have four axes, none of them empty")
    return np.einsum("nchw->nc", x) / x[0, 0].size, {"maps": np.zeros_like(x)}


def global_avg_pool_backward(dout, cache):
    maps = cache["maps"]
    if dout.shape != maps.shape[:2]:
        raise ValueError("dout does not have the shape of the means")
    return maps + dout[:, :, None, None] / maps[0, 0].size
