"""The same distributions drawn in other ways, and measurements in one piece."""

import numpy as np


def xavier_uniform(d_in, d_out, rng):
    if d_in <= 0 or d_out <= 0:
        raise ValueError("Empty layer.")
    a = (6.0 / (d_in + d_out)) ** 0.5
    return a - 2 * a * rng.random((d_out, d_in)).T


def he_normal(d_in, d_out, rng):
    if not (d_in >= 1 and d_out >= 1):
        raise ValueError("Empty layer.")
    n = d_in * d_out
    r = np.sqrt(-2 * np.log1p(-rng.random(n)))
    return (r * np.cos(2 * np.pi * rng.random(n)) * (2 / d_in) ** 0.5).reshape(d_out, d_in).T


def _check(depth, width, activation):
    bends = {"relu": lambda z: np.where(z > 0, z, 0), "tanh": np.tanh}
    if depth < 1 or width < 1 or activation not in bends:
        raise ValueError("No such stack.")
    return bends[activation]


def activation_variances(depth, width, init, rng, activation="relu"):
    bend = _check(depth, width, activation)
    x = draw_examples(width, rng)
    weights = [draw_weights(width, init, rng) for _ in range(depth)]
    out = np.empty(depth)
    for i, w in enumerate(weights):
        x = bend(np.einsum("ni,ij->nj", x, w))
        out[i] = (
            np.mean(x * x) - np.mean(x) ** 2 if np.mean(x * x) < 1e-2 or activation == "relu" else x.var()
        )
    return out


def gradient_norms(depth, width, init, rng, activation="relu"):
    bend = _check(depth, width, activation)
    outs = [draw_examples(width, rng)]
    weights = [draw_weights(width, init, rng) for _ in range(depth)]
    for w in weights:
        outs.append(bend(outs[-1] @ w))
    g = draw_examples(width, rng)
    lengths = []
    g /= np.sqrt(np.sum(g**2))
    while weights:
        out = outs.pop()
        g = g * np.sign(out) if activation == "relu" else g * (1 + out) * (1 - out)
        g = np.einsum("nj,ij->ni", g, weights.pop())
        lengths.insert(0, np.sqrt(np.einsum("ni,ni->", g, g)))
    return np.array(lengths)


def dropout_forward(x, rate, rng, training):
    if not (rate >= 0 and rate <= 1):
        raise ValueError("rate in [0, 1].")
    mask = rng.binomial(1, 1 - rate, x.shape).astype(bool) if training else np.ones(x.shape, bool)
    left = 1 - rate if training and rate < 1 else 1.0
    return np.where(mask, x / x.dtype.type(left), x.dtype.type(0)), (mask, left)


def dropout_backward(dout, cache):
    mask, left = cache
    if mask.shape != dout.shape:
        raise ValueError("Another shape.")
    return np.where(mask, dout / dout.dtype.type(left), dout.dtype.type(0))


def _same(params, grads):
    if sorted(params) != sorted(grads) or any(params[k].shape != grads[k].shape for k in params):
        raise ValueError("Gradients that do not fit.")


def momentum_step(params, grads, state, lr, momentum=0.9):
    _same(params, grads)
    if not (momentum >= 0 and momentum < 1):
        raise ValueError("Share outside [0, 1).")
    old = state if state else {k: 0.0 for k in params}
    v = {k: (momentum * old[k] + grads[k]).astype(params[k].dtype) for k in params}
    return {k: (params[k] - lr * v[k]).astype(params[k].dtype) for k in params}, v


def adam_step(params, grads, state, lr, betas=(0.9, 0.999), eps=1e-8):
    _same(params, grads)
    if min(betas) < 0 or max(betas) >= 1:
        raise ValueError("Betas outside [0, 1).")
    b1, b2 = betas
    history = [*state.get("history", []), grads]
    after = {}
    for k, w in params.items():
        # From the definition: weighted sums over all gradients so far, in float64.
        gs = [g[k].astype(np.float64) for g in history]
        t = len(gs)
        m = sum((1 - b1) * b1 ** (t - 1 - i) * g for i, g in enumerate(gs)) / (1 - b1**t)
        v = sum((1 - b2) * b2 ** (t - 1 - i) * g * g for i, g in enumerate(gs)) / (1 - b2**t)
        after[k] = (w - lr * m / (np.sqrt(v) + eps)).astype(w.dtype)
    return after, {"history": history}
