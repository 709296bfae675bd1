"""One window at a time, with explicit loops."""

import numpy as np


def im2col(x, kh, kw, stride, padding):
    if x.ndim != 4:
        raise ValueError("pictures have four axes")
    h_out, w_out = output_size(x.shape[2], x.shape[3], (kh, kw), stride, padding)
    (sh, sw), (ph, pw) = as_pair(stride), as_pair(padding)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    rows = []
    for picture in padded:
        for r in range(h_out):
            for s in range(w_out):
                rows.append(picture[:, r * sh : r * sh + kh, s * sw : s * sw + kw].ravel())
    return np.array(rows)


def col2im(cols, x_shape, kh, kw, stride, padding):
    n, c, h, w = x_shape
    h_out, w_out = output_size(h, w, (kh, kw), stride, padding)
    (sh, sw), (ph, pw) = as_pair(stride), as_pair(padding)
    if cols.shape != (n * h_out * w_out, c * kh * kw):
        raise ValueError("these are not the windows of such pictures")
    padded = np.zeros((n, c, h + 2 * ph, w + 2 * pw), cols.dtype)
    for row, (m, r, s) in zip(cols, np.ndindex(n, h_out, w_out), strict=True):
        padded[m, :, r * sh : r * sh + kh, s * sw : s * sw + kw] += row.reshape(c, kh, kw)
    return padded[:, :, ph : ph + h, pw : pw + w]


def conv2d_forward(x, w, b, stride, padding):
    if x.ndim != 4 or w.ndim != 4 or w.shape[1] != x.shape[1] or b.shape != (len(w),):
        raise ValueError("pictures, filters and biases do not fit")
    h_out, w_out = output_size(x.shape[2], x.shape[3], w.shape[2:], stride, padding)
    (sh, sw), (ph, pw) = as_pair(stride), as_pair(padding)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    out = np.zeros((len(x), len(w), h_out, w_out), x.dtype)
    for m, o, r, s in np.ndindex(out.shape):
        window = padded[m, :, r * sh : r * sh + w.shape[2], s * sw : s * sw + w.shape[3]]
        out[m, o, r, s] = (window * w[o]).sum() + b[o]
    return out, {"padded": padded, "w": w.copy(), "stride": [sh, sw], "padding": [ph, pw], "shape": out.shape}


def conv2d_backward(dout, cache):
    padded, w = cache["padded"], cache["w"]
    (sh, sw), (ph, pw) = cache["stride"], cache["padding"]
    if dout.shape != tuple(cache["shape"]):
        raise ValueError("dout does not have the shape of the maps")
    dpadded, dw, db = np.zeros_like(padded), np.zeros_like(w), np.zeros(len(w), w.dtype)
    for m, o, r, s in np.ndindex(dout.shape):
        rows, columns = slice(r * sh, r * sh + w.shape[2]), slice(s * sw, s * sw + w.shape[3])
        dw[o] += dout[m, o, r, s] * padded[m, :, rows, columns]
        dpadded[m, :, rows, columns] += dout[m, o, r, s] * w[o]
        db[o] += dout[m, o, r, s]
    height, width = padded.shape[2:]
    return dpadded[:, :, ph : height - ph, pw : width - pw], dw, db


def conv_as_affine(w, h, w_in, stride, padding):
    if w.ndim != 4:
        raise ValueError("filters have four axes")
    c_out, c_in, kh, kw = w.shape
    h_out, w_out = output_size(h, w_in, (kh, kw), stride, padding)
    (sh, sw), (ph, pw) = as_pair(stride), as_pair(padding)
    matrix = np.zeros((c_in * h * w_in, c_out * h_out * w_out), w.dtype)
    for o, r, s, c, i, j in np.ndindex(c_out, h_out, w_out, c_in, kh, kw):
        y, z = r * sh + i - ph, s * sw + j - pw
        if 0 <= y < h and 0 <= z < w_in:
            matrix[(c * h + y) * w_in + z, (o * h_out + r) * w_out + s] = w[o, c, i, j]
    return matrix


def max_pool_forward(x, size, stride):
    if x.ndim != 4:
        raise ValueError("maps have four axes")
    h_out, w_out = output_size(x.shape[2], x.shape[3], size, stride)
    (kh, kw), (sh, sw) = as_pair(size), as_pair(stride)
    out = np.empty((*x.shape[:2], h_out, w_out), x.dtype)
    for r in range(h_out):
        for s in range(w_out):
            out[:, :, r, s] = x[:, :, r * sh : r * sh + kh, s * sw : s * sw + kw].max(axis=(2, 3))
    return out, [x.copy(), out.copy(), kh, kw, sh, sw]


def max_pool_backward(dout, cache):
    x, out, kh, kw, sh, sw = cache
    if dout.shape != out.shape:
        raise ValueError("dout does not have the shape of the maxima")
    dx = np.zeros_like(x)
    for m, c, r, s in np.ndindex(out.shape):
        window = x[m, c, r * sh : r * sh + kh, s * sw : s * sw + kw]
        i, j = np.argwhere(window == out[m, c, r, s])[0]
        dx[m, c, r * sh + i, s * sw + j] += dout[m, c, r, s]
    return dx


def avg_pool_forward(x, size, stride):
    if x.ndim != 4:
        raise ValueError("maps have four axes")
    h_out, w_out = output_size(x.shape[2], x.shape[3], size, stride)
    (kh, kw), (sh, sw) = as_pair(size), as_pair(stride)
    out = np.empty((*x.shape[:2], h_out, w_out), x.dtype)
    for r in range(h_out):
        for s in range(w_out):
            out[:, :, r, s] = x[:, :, r * sh : r * sh + kh, s * sw : s * sw + kw].mean(axis=(2, 3))
    return out, {"x": list(x.shape), "out": list(out.shape), "size": [kh, kw], "stride": [sh, sw]}


def avg_pool_backward(dout, cache):
    if dout.shape != tuple(cache["out"]):
        raise ValueError("dout does not have the shape of the means")
    (kh, kw), (sh, sw) = cache["size"], cache["stride"]
    dx = np.zeros(cache["x"], dout.dtype)
    for m, c, r, s in np.ndindex(dout.shape):
        dx[m, c, r * sh : r * sh + kh, s * sw : s * sw + kw] += dout[m, c, r, s] / (kh * kw)
    return dx


def global_avg_pool_forward(x):
    if x.ndim != 4 or x.size == 0:
        raise ValueError("maps have four axes, none of them empty")
    out = np.array([[feature_map.mean() for feature_map in picture] for picture in x], x.dtype)
    return out, list(x.shape)


def global_avg_pool_backward(dout, cache):
    if dout.shape != tuple(cache[:2]):
        raise ValueError("dout does not have the shape of the means")
    dx = np.empty(cache, dout.dtype)
    for m, c in np.ndindex(dout.shape):
        dx[m, c] = dout[m, c] / dx[m, c].size
    return dx
