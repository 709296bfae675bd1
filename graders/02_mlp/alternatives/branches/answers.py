"""First answers that are right: copies with a mask, both branches computed and one chosen, caches as they come."""

import numpy as np


def collapse_affine(w1, b1, w2, b2):
    d_hidden = w1.shape[1]
    if w2.shape[0] != d_hidden or b1.shape != (d_hidden,):
        raise ValueError("w1, b1 and w2 do not fit")
    if b2.shape != (w2.shape[1],):
        raise ValueError("b2 does not fit w2")
    return w1.dot(w2), b1.dot(w2) + b2


def relu_forward(x):
    out = x.copy()
    out[out < 0] = 0
    return out, x


def relu_backward(dout, cache):
    x = cache
    if x.shape != dout.shape:
        raise ValueError(f"dout {dout.shape}, x {x.shape}")
    dx = dout.copy()
    dx[x <= 0] = 0
    return dx


def sigmoid_forward(x):
    out = np.where(x >= 0, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x)))
    return out, out


def sigmoid_backward(dout, cache):
    if dout.shape != cache.shape:
        raise ValueError(f"dout {dout.shape}, out {cache.shape}")
    return dout * (cache * (1 - cache))


def tanh_forward(x):
    return np.tanh(x), x


def tanh_backward(dout, cache):
    if dout.shape != cache.shape:
        raise ValueError(f"dout {dout.shape}, x {cache.shape}")
    return dout * (1 - np.tanh(cache) ** 2)


def leaky_relu_forward(x, slope=0.01):
    if slope < 0:
        raise ValueError("slope is negative")
    if slope > 1:
        raise ValueError("slope is above 1")
    return np.where(x > 0, x, slope * x), {"x": x, "slope": slope}


def leaky_relu_backward(dout, cache):
    x, slope = cache["x"], cache["slope"]
    if dout.shape != x.shape:
        raise ValueError(f"dout {dout.shape}, x {x.shape}")
    dx = np.array(dout, copy=True)
    dx[x <= 0] *= slope
    return dx


def relu_interpolant(knots, values):
    if knots.shape != values.shape or knots.ndim != 1:
        raise ValueError("knots and values are two lists of one length")
    if knots.size < 2:
        raise ValueError("one point makes no line")
    if (knots[1:] <= knots[:-1]).any():
        raise ValueError("knots are not sorted")
    w1, slope = np.zeros((knots.size - 1, 1), values.dtype), 0
    for i in range(knots.size - 1):
        now = (values[i + 1] - values[i]) / (knots[i + 1] - knots[i])
        w1[i, 0] = now - slope
        slope = now
    w0, b0 = np.ones((1, knots.size - 1), values.dtype), np.zeros(knots.size - 1, values.dtype)
    b0[:] = -knots[:-1]
    return {"w0": w0, "b0": b0, "w1": w1, "b1": np.array([values[0]])}


def mlp_forward(x, params):
    n_layers = len(params) // 2
    if not params or sorted(params) != sorted([f"{kind}{i}" for kind in "wb" for i in range(n_layers)]):
        raise ValueError(f"names {sorted(params)}")
    h, inputs = x, []
    for i in range(n_layers):
        w, b = params[f"w{i}"], params[f"b{i}"]
        if h.shape[-1] != w.shape[0]:
            raise ValueError(f"w{i} has {w.shape[0]} rows for {h.shape[-1]} numbers")
        if b.shape != (w.shape[1],):
            raise ValueError(f"b{i} has shape {b.shape}")
        inputs.append(h)
        h = h @ w + b
        if i < n_layers - 1:
            h = np.where(h > 0, h, 0)
    return h, (inputs, params, h.shape)


def mlp_backward(dlogits, cache):
    inputs, params, shape = cache
    if dlogits.shape != tuple(shape):
        raise ValueError(f"dlogits {dlogits.shape}, logits {shape}")
    grads, dout = {}, dlogits
    i = len(inputs) - 1
    while i >= 0:
        h, w = inputs[i], params[f"w{i}"]
        grads[f"w{i}"] = h.reshape(-1, h.shape[-1]).T @ dout.reshape(-1, dout.shape[-1])
        grads[f"b{i}"] = dout.reshape(-1, dout.shape[-1]).sum(axis=0)
        dout = dout @ w.T
        if i > 0:
            dout[h <= 0] = 0
        i -= 1
    return grads
