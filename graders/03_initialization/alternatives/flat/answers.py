"""One long vector instead of many arrays, recursion instead of loops, places instead of masks."""

import numpy as np


def _size(d_in, d_out):
    if not (d_in > 0 and d_out > 0):
        raise ValueError(f"no layer has {d_in} inputs and {d_out} outputs")
    return d_in, d_out


def xavier_uniform(d_in, d_out, rng):
    # A size and a sign for every weight.
    shape = _size(d_in, d_out)
    a = np.sqrt(6.0) / np.sqrt(d_in + d_out)
    signs = rng.integers(0, 2, shape) * 2 - 1
    return signs * rng.uniform(0.0, a, shape)


def he_normal(d_in, d_out, rng):
    # Marsaglia's polar method: points in the unit disc, pulled apart.
    shape = _size(d_in, d_out)
    n_pairs = (d_in * d_out + 1) // 2
    u, v = np.empty(n_pairs), np.empty(n_pairs)
    todo = np.arange(n_pairs)
    while todo.size:
        u[todo], v[todo] = rng.uniform(-1, 1, todo.size), rng.uniform(-1, 1, todo.size)
        s = u[todo] ** 2 + v[todo] ** 2
        todo = todo[(s >= 1) | (s == 0)]
    s = u * u + v * v
    stretch = np.sqrt(-2 * np.log(s) / s) * np.sqrt(2.0) / np.sqrt(d_in)
    return np.concatenate([u * stretch, v * stretch])[: d_in * d_out].reshape(shape)


def _known(depth, width, activation):
    if min(depth, width) < 1:
        raise ValueError("no layer, or no neuron")
    if {"relu": 0, "tanh": 1}.get(activation) is None:
        raise ValueError(f"cannot bend by {activation}")


def activation_variances(depth, width, init, rng, activation="relu"):
    _known(depth, width, activation)

    def rest(a, left):
        if left == 0:
            return []
        a = a.dot(draw_weights(width, init, rng))
        a = np.tanh(a) if activation == "tanh" else a.clip(min=0)
        # The spread inside the neurons and the spread between their means add up.
        total = a.var(axis=0).mean() + a.mean(axis=0).var()
        return [total, *rest(a, left - 1)]

    return np.array(rest(draw_examples(width, rng), depth))


def gradient_norms(depth, width, init, rng, activation="relu"):
    _known(depth, width, activation)

    def through(a, left):
        """Go down to the last layer and come back with the gradient at a, and the lengths."""
        if left == 0:
            g = draw_examples(width, rng)
            return g / np.sqrt((g**2).sum()), ()
        w = draw_weights(width, init, rng)
        z = a @ w
        g, lengths = through(np.tanh(z) if activation == "tanh" else np.where(z > 0, z, 0.0), left - 1)
        g = g / np.cosh(z) ** 2 if activation == "tanh" else np.where(z > 0, g, 0.0)
        g = np.inner(g, w)
        return g, (np.sqrt((g**2).sum(axis=1).sum()), *lengths)

    return np.array(through(draw_examples(width, rng), depth)[1])


def dropout_forward(x, rate, rng, training):
    if rate != rate or rate < 0 or rate > 1:
        raise ValueError("rate lies between 0 and 1")
    out = np.zeros_like(x) if training else np.array(x)
    kept = np.arange(x.size)
    left = 1.0
    if training and rate < 1:
        left = 1.0 - rate
        kept = np.flatnonzero(rng.choice(2, x.size, p=[rate, left]))
        out.ravel()[kept] = x.ravel()[kept] / left
    elif training:
        kept = kept[:0]
    return out, {"kept": kept, "left": left, "shape": list(x.shape), "training": bool(training)}


def dropout_backward(dout, cache):
    if not cache["training"]:
        return np.array(dout)
    if list(dout.shape) != list(cache["shape"]):
        raise ValueError(f"the forward was for {tuple(cache['shape'])}")
    dx = np.zeros(dout.size, dout.dtype)
    dx[cache["kept"]] = dout.ravel()[cache["kept"]] / cache["left"]
    return dx.reshape(dout.shape)


def _long(arrays, names):
    return np.concatenate([np.ravel(arrays[name]) for name in names])


def _fit(params, grads):
    fits = len(params) == len(grads) and all(n in grads and grads[n].shape == params[n].shape for n in params)
    if not fits:
        raise ValueError("every parameter has one gradient of its own shape, and nothing else has")


def _apart(long, params, names):
    ends = np.cumsum([params[name].size for name in names])
    parts = np.split(long, ends[:-1])
    return {
        name: part.reshape(params[name].shape).astype(params[name].dtype)
        for name, part in zip(names, parts, strict=True)
    }


def momentum_step(params, grads, state, lr, momentum=0.9):
    _fit(params, grads)
    if momentum != min(max(momentum, 0), 0.9999999):
        raise ValueError("momentum is a share of less than one")
    names = sorted(params)
    velocity = _long(grads, names)
    if "velocity" in state:
        velocity = state["velocity"] * velocity.dtype.type(momentum) + velocity
    return _apart(_long(params, names) - lr * velocity, params, names), {"velocity": velocity}


def adam_step(params, grads, state, lr, betas=(0.9, 0.999), eps=1e-8):
    _fit(params, grads)
    for beta in betas:
        if beta < 0 or beta >= 1:
            raise ValueError(f"a beta of {beta}")
    names = sorted(params)
    w, g = _long(params, names), _long(grads, names)
    m, v, b1_power, b2_power = state.get("all", (0 * g, 0 * g, 1.0, 1.0))
    b1_power, b2_power = b1_power * betas[0], b2_power * betas[1]
    m = m - (1 - betas[0]) * (m - g)
    v = v - (1 - betas[1]) * (v - g**2)
    # Section 2 of the paper: both corrections go into the rate, and eps grows with them.
    root = np.sqrt(1 - b2_power)
    w = w - lr * root / (1 - b1_power) * m / (np.sqrt(v) + eps * root)
    return _apart(w, params, names), {"all": (m, v, b1_power, b2_power)}
