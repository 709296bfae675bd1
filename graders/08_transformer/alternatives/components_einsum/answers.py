"""One-hot products, einsum over flattened rows, and GELU by erfc or sigmoid."""

import math

import numpy as np


def embedding_forward(tokens, table):
    if table.ndim != 2:
        raise ValueError("a table has two axes")
    if tokens.dtype.kind not in "iu":
        raise ValueError("tokens must be whole numbers")
    one_hot = (tokens[..., None] == np.arange(len(table))).astype(table.dtype)
    if not one_hot.any(axis=-1).all():
        raise ValueError("a token is not in the table")
    return np.einsum("...v,vd->...d", one_hot, table), [one_hot, table.shape[1]]


def embedding_backward(dout, cache):
    one_hot, d_model = cache
    if dout.shape != (*one_hot.shape[:-1], d_model):
        raise ValueError("dout must have the shape of out")
    n_vocab = one_hot.shape[-1]
    return one_hot.reshape(-1, n_vocab).T @ dout.reshape(-1, d_model)


def layer_norm_forward(x, gamma, beta, eps=1e-5):
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError("no features")
    if {gamma.shape, beta.shape} != {(x.shape[-1],)}:
        raise ValueError("gamma and beta need one number per feature")
    rows = x.reshape(-1, x.shape[-1])
    centered = rows - np.einsum("rc->r", rows)[:, None] / rows.shape[1]
    var = np.einsum("rc,rc->r", centered, centered)[:, None] / rows.shape[1]
    std = np.sqrt(var + float(eps))
    out = (centered / std * gamma + beta).reshape(x.shape)
    return out, {"centered": centered, "std": std, "gamma": gamma, "shape": list(x.shape)}


def layer_norm_backward(dout, cache):
    centered, std, gamma = cache["centered"], cache["std"], cache["gamma"]
    if list(dout.shape) != cache["shape"]:
        raise ValueError("dout must have the shape of out")
    rows, n = dout.reshape(centered.shape), centered.shape[1]
    x_hat = centered / std
    d = rows * gamma
    means = np.einsum("rc->r", d)[:, None] / n, np.einsum("rc,rc->r", d, x_hat)[:, None] / n
    dx = (d - means[0] - x_hat * means[1]) / std
    return dx.reshape(dout.shape), np.einsum("rc,rc->c", rows, x_hat), np.einsum("rc->c", rows)


def rms_norm_forward(x, gamma, eps=1e-5):
    if x.ndim == 0 or x.shape[-1] == 0 or gamma.shape != x.shape[-1:]:
        raise ValueError("x and gamma do not fit")
    mean_square = np.einsum("...c,...c->...", x, x) / x.shape[-1]
    factor = (mean_square + float(eps)) ** -0.5
    return np.einsum("...c,...,c->...c", x, factor, gamma), (x, factor, gamma)


def rms_norm_backward(dout, cache):
    x, factor, gamma = cache
    if dout.shape != x.shape:
        raise ValueError("dout must have the shape of out")
    along = np.einsum("...c,c,...c->...", dout, gamma, x) * factor**3 / x.shape[-1]
    dx = np.einsum("...c,c,...->...c", dout, gamma, factor) - x * along[..., None]
    rows = (-1, len(gamma))
    return dx, np.einsum("rc,rc,r->c", dout.reshape(rows), x.reshape(rows), np.ravel(factor))


_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def gelu_forward(x, approximate="none"):
    if approximate not in {"none", "tanh"}:
        raise ValueError(f"{approximate} is not known")
    if approximate == "none":
        share = 0.5 * _erfc(-x / math.sqrt(2)).astype(x.dtype)
    else:
        # (1 + tanh(u)) / 2 is the logistic function of 2 u.
        near = np.clip(x, -8, 8)
        u = math.sqrt(2 / math.pi) * near * (1 + 0.044715 * near * near)
        share = 1 / (1 + np.exp(-2 * u))
    return share * x, {"x": x, "form": approximate}


def gelu_backward(dout, cache):
    x, form = cache["x"], cache["form"]
    if x.shape != dout.shape:
        raise ValueError("dout must have the shape of out")
    near = np.clip(x, -20, 20)
    if form == "none":
        share = 0.5 * _erfc(-near / math.sqrt(2)).astype(x.dtype)
        return dout * (share + near * np.exp(-0.5 * near * near) / math.sqrt(2 * math.pi))
    t = np.tanh(math.sqrt(2 / math.pi) * (near + 0.044715 * near**3))
    inner = math.sqrt(2 / math.pi) * (1 + 0.134145 * near**2)
    return dout * (0.5 * (1 + t) + 0.5 * near * (1 - t**2) * inner)


def feed_forward_forward(x, params):
    w1, b1, w2, b2 = (params[name] for name in ("w1", "b1", "w2", "b2"))
    if w2.shape != w1.shape[::-1] or b1.shape != w1.shape[1:] or b2.shape != w2.shape[1:]:
        raise ValueError("the layers do not fit each other")
    if x.shape[-1] != len(w1):
        raise ValueError("x does not fit the first layer")
    wide = np.einsum("...i,ij->...j", x, w1) + b1
    u = math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)
    hidden = 0.5 * wide * (1 + np.tanh(u))
    return np.einsum("...j,ji->...i", hidden, w2) + b2, (x, wide, np.tanh(u), hidden, w1, w2)


def feed_forward_backward(dout, cache):
    x, wide, t, hidden, w1, w2 = cache
    if dout.shape != x.shape:
        raise ValueError("dout must have the shape of out")
    slope = 0.5 * (1 + t) + 0.5 * wide * (1 - t * t) * math.sqrt(2 / math.pi) * (1 + 0.134145 * wide**2)
    dwide = np.einsum("...i,ji->...j", dout, w2) * slope
    rows, wide_rows = (-1, w1.shape[0]), (-1, w1.shape[1])
    above, below = dout.reshape(rows), dwide.reshape(wide_rows)
    grads = {
        "b2": np.einsum("ri->i", above),
        "w2": np.einsum("rj,ri->ji", hidden.reshape(wide_rows), above),
        "b1": np.einsum("rj->j", below),
        "w1": np.einsum("ri,rj->ij", x.reshape(rows), below),
    }
    return np.einsum("...j,ij->...i", dwide, w1), grads
