"""The stage in plain loops, one number at a time where that is bearable."""

import math

import numpy as np


def _positive(d_in, d_out):
    if min(d_in, d_out) < 1:
        raise ValueError("A layer without inputs or outputs is none.")


def xavier_uniform(d_in, d_out, rng):
    _positive(d_in, d_out)
    variance = 2 / (d_in + d_out)
    w = np.empty((d_in, d_out))
    for i in range(d_in):
        w[i] = (2 * rng.random(d_out) - 1) * math.sqrt(3 * variance)
    return w


def he_normal(d_in, d_out, rng):
    _positive(d_in, d_out)
    w = np.empty((d_in, d_out))
    for j in range(d_out):
        w[:, j] = rng.normal(0.0, math.sqrt(2.0 / d_in), d_in)
    return w


def _layers(depth, width, init, rng, activation):
    if depth <= 0 or width <= 0:
        raise ValueError("There must be a layer and a neuron.")
    if activation == "relu":
        bend, slope = (lambda z: z * (z > 0)), (lambda z: (z > 0).astype(float))
    elif activation == "tanh":
        bend, slope = np.tanh, (lambda z: 1 / np.cosh(z) ** 2)
    else:
        raise ValueError(f"There is no bend {activation}.")
    a = draw_examples(width, rng)
    for _ in range(depth):
        w = draw_weights(width, init, rng)
        z = np.stack([row @ w for row in a])
        a = bend(z)
        yield w, slope(z), a


def activation_variances(depth, width, init, rng, activation="relu"):
    values = []
    for _, _, a in _layers(depth, width, init, rng, activation):
        values.append(((a - a.mean()) ** 2).mean())
    return np.asarray(values)


def gradient_norms(depth, width, init, rng, activation="relu"):
    layers = list(_layers(depth, width, init, rng, activation))
    grad = draw_examples(width, rng)
    grad = grad / math.sqrt((grad * grad).sum())
    norms = np.empty(depth)
    for i in range(depth - 1, -1, -1):
        w, slope, _ = layers[i]
        grad = np.stack([w @ row for row in grad * slope])
        norms[i] = math.sqrt((grad * grad).sum())
    return norms


def dropout_forward(x, rate, rng, training):
    if rate < 0 or rate > 1:
        raise ValueError("rate is a probability.")
    if not training:
        return x + 0, {"shape": x.shape, "dropped": None}
    out, dropped = x.copy(), np.zeros(x.size, bool)
    flat = out.reshape(-1)
    for i in range(flat.size):
        dropped[i] = rng.random() < rate
        flat[i] = 0 if dropped[i] else flat[i] / (1 - rate)
    return out, {"rate": rate, "dropped": dropped.reshape(x.shape)}


def dropout_backward(dout, cache):
    if cache["dropped"] is None:
        return dout + 0
    if dout.shape != cache["dropped"].shape:
        raise ValueError("Another shape than the forward's.")
    dx = np.zeros_like(dout)
    for place in zip(*np.nonzero(~cache["dropped"]), strict=True):
        dx[place] = dout[place] / (1 - cache["rate"])
    return dx


def _check(params, grads):
    if set(params) != set(grads):
        raise ValueError("Other names.")
    for name in params:
        if np.shape(params[name]) != np.shape(grads[name]):
            raise ValueError("Other shapes.")


def momentum_step(params, grads, state, lr, momentum=0.9):
    _check(params, grads)
    if momentum < 0 or momentum >= 1:
        raise ValueError("momentum in [0, 1).")
    after, velocities = {}, dict(state)
    for name in params:
        v = np.array(grads[name])
        if name in state:
            v = v + v.dtype.type(momentum) * state[name]
        velocities[name] = v
        after[name] = params[name] - v.dtype.type(lr) * v
    return after, velocities


def adam_step(params, grads, state, lr, betas=(0.9, 0.999), eps=1e-8):
    _check(params, grads)
    if not all(0 <= beta < 1 for beta in betas):
        raise ValueError("betas in [0, 1).")
    b1, b2 = betas
    after, memory = {}, {}
    for name, w in params.items():
        m, v, t = state.get(name, (np.zeros_like(w), np.zeros_like(w), 0))
        g, t = grads[name], t + 1
        m, v = m + (1 - b1) * (g - m), v + (1 - b2) * (g * g - v)
        root = np.sqrt(v) / math.sqrt(1 - b2**t)
        after[name] = w - lr / (1 - b1**t) * m / (root + eps)
        memory[name] = (m, v, t)
    return after, memory
