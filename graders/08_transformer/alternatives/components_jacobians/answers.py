"""One Jacobian matrix per vector, running means, counted weights, and biases as one more row of a matrix."""

from statistics import NormalDist

import numpy as np


def embedding_forward(tokens, table):
    if table.ndim != 2 or not np.issubdtype(tokens.dtype, np.integer):
        raise ValueError("whole numbers look up rows of a table with two axes")
    if not set(tokens.ravel().tolist()) <= set(range(table.shape[0])):
        raise ValueError("there is no row for some token")
    return table.take(tokens, axis=0), {"tokens": tokens, "shape": list(table.shape)}


def embedding_backward(dout, cache):
    tokens, (n_vocab, d_model) = cache["tokens"], cache["shape"]
    if dout.shape != tokens.shape + (d_model,):  # noqa: RUF005
        raise ValueError("one vector of d_model numbers per token")
    # A histogram of the tokens for each feature, weighted with that feature's gradients.
    columns = dout.reshape(-1, d_model).T
    counted = [np.bincount(tokens.ravel(), weights=column, minlength=n_vocab) for column in columns]
    return np.stack(counted, axis=1).astype(dout.dtype)


def layer_norm_forward(x, gamma, beta, eps=1e-5):
    n_features = x.shape[-1] if x.ndim else 0
    if n_features == 0:
        raise ValueError("a vector needs a feature")
    if gamma.shape != (n_features,) or beta.shape != (n_features,):
        raise ValueError("scale and shift have one number per feature")
    # Welford's running mean and sum of squared differences, feature by feature.
    mean, squares = np.zeros_like(x[..., 0]), np.zeros_like(x[..., 0])
    for seen in range(n_features):
        ahead = x[..., seen] - mean
        mean = mean + ahead / (seen + 1)
        squares = squares + ahead * (x[..., seen] - mean)
    std = np.sqrt(squares / n_features + float(eps))[..., None]
    x_hat = (x - mean[..., None]) / std
    return x_hat * gamma + beta, (x_hat, std, gamma)


def layer_norm_backward(dout, cache):
    x_hat, std, gamma = cache
    if dout.shape != x_hat.shape:
        raise ValueError("the gradient has another shape than the output")
    n = len(gamma)
    # Row i of a vector's Jacobian: how x_hat[i] moves with every feature of x.
    outer = x_hat[..., :, None] * x_hat[..., None, :]
    jacobian = (np.eye(n, dtype=dout.dtype) - (1 + outer) / n) / std[..., None]
    dx = ((dout * gamma)[..., None, :] @ jacobian)[..., 0, :]
    rows, hats = dout.reshape(-1, n), x_hat.reshape(-1, n)
    return dx, np.diagonal(rows.T @ hats).copy(), np.ones(len(rows), dout.dtype) @ rows


def rms_norm_forward(x, gamma, eps=1e-5):
    if not x.shape or not x.shape[-1]:
        raise ValueError("a vector needs a feature")
    if gamma.shape != x.shape[-1:]:
        raise ValueError("the scale has one number per feature")
    length = np.linalg.norm(x, axis=-1, keepdims=True) / float(np.sqrt(x.shape[-1]))
    rms = np.hypot(length, x.dtype.type(float(eps) ** 0.5))
    return x / rms * gamma, [rms, x / rms, gamma]


def rms_norm_backward(dout, cache):
    rms, x_hat, gamma = cache
    if dout.shape != x_hat.shape:
        raise ValueError("the gradient has another shape than the output")
    n = len(gamma)
    along = x_hat[..., :, None] * x_hat[..., None, :] / n
    jacobian = (np.eye(n, dtype=dout.dtype) - along) / rms[..., None]
    dx = np.einsum("...i,i,...ij->...j", dout, gamma, jacobian)
    return dx, np.einsum("rc,rc->c", dout.reshape(-1, n), x_hat.reshape(-1, n))


_NORMAL = NormalDist()


def _each(function, x):
    return np.frompyfunc(function, 1, 1)(x).astype(x.dtype)


def _inner(x):
    """The argument of tanh and its slope; beyond 8 nothing changes any more."""
    x = np.clip(x, -8, 8)
    root = float(np.sqrt(2 / np.pi))
    return root * x * (1 + 0.044715 * x**2), root * (1 + 0.134145 * x**2)


def gelu_forward(x, approximate="none"):
    match approximate:
        case "none":
            return x * _each(_NORMAL.cdf, x), (x, True)
        case "tanh":
            u, _ = _inner(x)
            # tanh(u) = (1 - e) / (1 + e) with e = exp(-2 u), on the side where e is small.
            e = np.exp(-2 * np.abs(u))
            return x * np.where(u > 0, 1 / (1 + e), e / (1 + e)), (x, False)
    raise ValueError("the form is none or tanh")


def gelu_backward(dout, cache):
    x, exact = cache
    if dout.shape != x.shape:
        raise ValueError("the gradient has another shape than the output")
    if exact:
        return dout * (_each(_NORMAL.cdf, x) + _each(lambda value: value * _NORMAL.pdf(value), x))
    u, du = _inner(x)
    e = np.exp(-2 * np.abs(u))
    share = np.where(u > 0, 1 / (1 + e), e / (1 + e))
    return dout * (share + np.clip(x, -8, 8) * 2 * e / (1 + e) ** 2 * du)


def _and_one(rows):
    """The rows with a 1 behind each: a bias is then one more row of the weights."""
    return np.concatenate([rows, np.ones_like(rows[:, :1])], axis=1)


def feed_forward_forward(x, params):
    w1, w2 = params["w1"], params["w2"]
    if x.shape[-1] != w1.shape[0] or w2.shape != (w1.shape[1], w1.shape[0]):
        raise ValueError("the widths do not fit")
    if params["b1"].shape != w1.shape[1:] or params["b2"].shape != w2.shape[1:]:
        raise ValueError("a bias does not fit its layer")
    first, second = np.vstack([w1, params["b1"]]), np.vstack([w2, params["b2"]])
    rows = _and_one(x.reshape(-1, len(w1)))
    bent, bend = gelu_forward(rows @ first, "tanh")
    hidden = _and_one(bent)
    return (hidden @ second).reshape(x.shape), {
        "rows": rows,
        "bend": bend,
        "hidden": hidden,
        "layers": [first, second],
        "shape": x.shape,
    }


def feed_forward_backward(dout, cache):
    if dout.shape != tuple(cache["shape"]):
        raise ValueError("the gradient has another shape than the output")
    first, second = cache["layers"]
    drows = dout.reshape(-1, dout.shape[-1])
    dsecond = cache["hidden"].T @ drows
    dwide = gelu_backward((drows @ second.T)[:, :-1], cache["bend"])
    dfirst = cache["rows"].T @ dwide
    dx = (dwide @ first.T)[:, :-1].reshape(dout.shape)
    return dx, {"w1": dfirst[:-1], "b1": dfirst[-1], "w2": dsecond[:-1], "b2": dsecond[-1]}
