"""One number at a time, as in the formulas."""

import math
from itertools import pairwise

import numpy as np


def collapse_affine(w1, b1, w2, b2):
    (d_in, d_hidden), (rows, d_out) = w1.shape, w2.shape
    if rows != d_hidden or b1.shape != (d_hidden,) or b2.shape != (d_out,):
        raise ValueError("the layers do not fit")
    w, b = np.zeros((d_in, d_out), w1.dtype), b2.copy()
    for j in range(d_out):
        for h in range(d_hidden):
            b[j] += b1[h] * w2[h, j]
            for i in range(d_in):
                w[i, j] += w1[i, h] * w2[h, j]
    return w, b


def each(function, x):
    """Apply a function of one Python float to every element."""
    out = np.empty(x.shape, x.dtype)
    for index in np.ndindex(x.shape):
        out[index] = function(float(x[index]))
    return out


def require_shape(dout, x):
    """Refuse a dout of another shape."""
    if np.shape(dout) != np.shape(x):
        raise ValueError("dout has another shape than the output")


def relu_forward(x):
    out = each(lambda value: value if value > 0 else 0.0, x)
    return out, out


def relu_backward(dout, cache):
    require_shape(dout, cache)
    dx = np.zeros(dout.shape, dout.dtype)
    for index in np.ndindex(dout.shape):
        if cache[index] > 0:
            dx[index] = dout[index]
    return dx


def sigmoid(value):
    """The logistic function of one Python float."""
    if value < 0:
        e = math.exp(max(value, -745.0))
        return e / (1 + e)
    return 1 / (1 + math.exp(-value))


def sigmoid_forward(x):
    return each(sigmoid, x), x


def sigmoid_backward(dout, cache):
    require_shape(dout, cache)
    return dout * each(lambda value: sigmoid(value) * sigmoid(-value), cache)


def tanh_forward(x):
    out = each(math.tanh, x)
    return out, out


def tanh_backward(dout, cache):
    require_shape(dout, cache)
    return dout * (1 - cache) * (1 + cache)


def leaky_relu_forward(x, slope=0.01):
    if not (slope >= 0 and slope <= 1):
        raise ValueError("the slope must lie in [0, 1]")
    return each(lambda value: value if value > 0 else slope * value, x), (x, slope)


def leaky_relu_backward(dout, cache):
    x, slope = cache
    require_shape(dout, x)
    dx = dout.copy()
    for index in np.ndindex(dout.shape):
        if not x[index] > 0:
            dx[index] = slope * float(dout[index])
    return dx


def relu_interpolant(knots, values):
    n = len(knots)
    if knots.ndim > 1 or knots.shape != values.shape or n < 2:
        raise ValueError("knots and values must be two lists of equal length, of two or more")
    weights, so_far = [], 0.0
    for i in range(n - 1):
        width = float(knots[i + 1]) - float(knots[i])
        if width <= 0:
            raise ValueError("the knots must increase")
        slope = (float(values[i + 1]) - float(values[i])) / width
        weights.append(slope - so_far)
        so_far = slope
    # One hinge more than needed lets the graph go on flat behind the last knot.
    weights.append(-so_far)
    dtype = values.dtype
    return {
        "w0": np.ones((1, n), dtype),
        "b0": np.array([-float(knot) for knot in knots], dtype),
        "w1": np.array(weights, dtype).reshape(n, 1),
        "b1": np.array([float(values[0])], dtype),
    }


def line_at(params, x):
    """Slope and height of the output in x, and where the nearest corners of this pattern lie."""
    depth = len(params) // 2
    slope, height = np.ones(1), np.array([x])
    nearest = math.inf
    for i in range(depth):
        slope, height = slope @ params[f"w{i}"], height @ params[f"w{i}"] + params[f"b{i}"]
        if i < depth - 1:
            for s, h in zip(slope, height, strict=True):
                if s != 0 and -h / s > 0:
                    nearest = min(nearest, x - h / s)
            slope, height = slope * (height > 0), height * (height > 0)
    return float(slope[0]), nearest


def linear_regions(params, low, high):
    depth = len(params) // 2
    if not high > low:
        raise ValueError("the interval is empty")
    if params["w0"].shape[0] != 1 or params[f"w{depth - 1}"].shape[1] != 1:
        raise ValueError("one number in, one number out")
    # Walk from corner to corner: just behind each, the pattern tells where the next one is.
    step = 1e-9 * (high - low)
    slopes, x = [], low + step
    while x < high:
        slope, corner = line_at(params, x)
        slopes.append(slope)
        x = corner + step
    steepest = max(map(abs, slopes))
    return 1 + sum(abs(a - b) > 1e-9 * steepest for a, b in pairwise(slopes))


def mlp_forward(x, params):
    names, i = set(params), 0
    h, steps = x, []
    if "w0" not in names:
        raise ValueError("there is no first layer")
    while f"w{i}" in names:
        if f"b{i}" not in names:
            raise ValueError(f"layer {i} has no bias")
        w, b = params[f"w{i}"], params[f"b{i}"]
        if h.shape[-1] != w.shape[0] or b.shape != w.shape[1:]:
            raise ValueError(f"layer {i} does not fit")
        names -= {f"w{i}", f"b{i}"}
        z = np.matmul(h, w) + b
        steps.append((h, w, z))
        h = np.maximum(z, 0)
        i += 1
    if names:
        raise ValueError(f"nobody knows {sorted(names)}")
    return z, steps


def mlp_backward(dlogits, cache):
    require_shape(dlogits, cache[-1][2])
    grads, dz = {}, dlogits
    for i, (h, w, _) in list(enumerate(cache))[::-1]:
        dw, db = np.zeros(w.shape, w.dtype), np.zeros(w.shape[1], w.dtype)
        for index in np.ndindex(h.shape[:-1]):
            dw += np.outer(h[index], dz[index])
            db += dz[index]
        grads[f"b{i}"], grads[f"w{i}"] = db, dw
        if i > 0:
            dz = np.matmul(dz, w.T) * (cache[i - 1][2] > 0)
    return grads


def check_gradient(f, x, dout, rng):
    v = rng.standard_normal(np.shape(x))
    values = []
    for side in (1e-5, -1e-5):
        out = f(np.asarray(x, np.float64) + side * v)
        out = np.asarray(out[0]) if isinstance(out, tuple) else np.asarray(out)
        if out.shape != dout.shape:
            raise ValueError("dout must have the shape of the output")
        values.append(out)
    slope = 0.0
    for index in np.ndindex(dout.shape):
        slope += float(dout[index]) * float(values[0][index] - values[1][index])
    return slope / 2e-5
