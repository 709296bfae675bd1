"""Vector by vector, token by token, and the long way through mean and variance."""

import math

import numpy as np


def embedding_forward(tokens, table):
    if np.ndim(table) != 2 or tokens.dtype.kind not in "iu":
        raise ValueError(f"tokens {tokens.dtype} and table {table.shape} make no lookup")
    out = np.empty((*tokens.shape, table.shape[1]), table.dtype)
    for place in np.ndindex(tokens.shape):
        token = int(tokens[place])
        if not 0 <= token < table.shape[0]:
            raise ValueError(f"token {token} is not in the table")
        out[place] = table[token]
    return out, {"tokens": tokens, "n_vocab": len(table), "d_model": table.shape[1]}


def embedding_backward(dout, cache):
    tokens = cache["tokens"]
    if dout.shape != (*tokens.shape, cache["d_model"]):
        raise ValueError(f"dout {dout.shape} does not fit tokens {tokens.shape}")
    dtable = np.zeros((cache["n_vocab"], dout.shape[-1]), dout.dtype)
    for place in np.ndindex(tokens.shape):
        dtable[tokens[place]] += dout[place]
    return dtable


def layer_norm_forward(x, gamma, beta, eps=1e-5):
    d_model = x.shape[-1] if x.ndim else 0
    if d_model == 0 or gamma.shape != (d_model,) or beta.shape != (d_model,):
        raise ValueError(f"x {x.shape}, gamma {gamma.shape} and beta {beta.shape} do not fit")
    out, kept = np.empty_like(x), {}
    for place in np.ndindex(x.shape[:-1]):
        mean = x[place].mean()
        std = np.sqrt(np.mean((x[place] - mean) ** 2) + float(eps))
        kept[str(place)] = [x[place] - mean, std]
        out[place] = (x[place] - mean) / std * gamma + beta
    return out, [kept, gamma, x.shape]


def layer_norm_backward(dout, cache):
    kept, gamma, shape = cache
    if dout.shape != tuple(shape):
        raise ValueError(f"dout {dout.shape}, out {shape}")
    dx, dgamma, dbeta = np.empty_like(dout), np.zeros_like(gamma), np.zeros_like(gamma)
    for place in np.ndindex(dout.shape[:-1]):
        centered, std = kept[str(place)]
        dgamma += dout[place] * centered / std
        dbeta += dout[place]
        dx_hat = dout[place] * gamma
        # Through the variance, then through the mean.
        dvar = np.sum(dx_hat * centered) * -0.5 / std**3
        dcentered = dx_hat / std + dvar * 2 * centered / len(gamma)
        dx[place] = dcentered - dcentered.mean()
    return dx, dgamma, dbeta


def rms_norm_forward(x, gamma, eps=1e-5):
    if x.ndim == 0 or x.shape[-1] == 0 or gamma.shape != (x.shape[-1],):
        raise ValueError(f"x {x.shape} and gamma {gamma.shape} do not fit")
    rms = np.empty((*x.shape[:-1], 1), x.dtype)
    for place in np.ndindex(x.shape[:-1]):
        rms[place] = np.sqrt(np.dot(x[place], x[place]) / x.shape[-1] + float(eps))
    return x / rms * gamma, {"x": x, "rms": rms, "gamma": gamma}


def rms_norm_backward(dout, cache):
    x, rms, gamma = cache["x"], cache["rms"], cache["gamma"]
    if dout.shape != x.shape:
        raise ValueError(f"dout {dout.shape}, out {x.shape}")
    dx, dgamma = np.empty_like(dout), np.zeros_like(gamma)
    for place in np.ndindex(x.shape[:-1]):
        size = rms[place][0]
        dgamma += dout[place] * x[place] / size
        d = dout[place] * gamma
        dx[place] = d / size - x[place] * np.sum(d * x[place]) / (len(gamma) * size**3)
    return dx, dgamma


def _gelu(value, approximate):
    """The value and the slope of GELU at one place, in Python's own floats."""
    if approximate == "none":
        share = 0.5 * math.erfc(-value / math.sqrt(2))
        density = math.exp(-0.5 * value * value) / math.sqrt(2 * math.pi) if abs(value) < 40 else 0.0
        return value * share, share + value * density
    if abs(value) > 20:
        return max(value, 0.0), float(value > 0)
    t = math.tanh(math.sqrt(2 / math.pi) * (value + 0.044715 * value**3))
    inner = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * value**2)
    return 0.5 * value * (1 + t), 0.5 * (1 + t) + 0.5 * value * (1 - t * t) * inner


def gelu_forward(x, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(f"no form {approximate}")
    pairs = [_gelu(float(value), approximate) for value in x.ravel()]
    out, slopes = (np.array([pair[i] for pair in pairs]).reshape(x.shape).astype(x.dtype) for i in (0, 1))
    return out, slopes


def gelu_backward(dout, cache):
    if dout.shape != cache.shape:
        raise ValueError(f"dout {dout.shape}, out {cache.shape}")
    return np.multiply(cache, dout)


def feed_forward_forward(x, params):
    w1, b1, w2, b2 = params["w1"], params["b1"], params["w2"], params["b2"]
    d_model, d_ff = w1.shape
    fits = (
        x.shape[-1] == d_model
        and b1.shape == (d_ff,)
        and w2.shape == (d_ff, d_model)
        and b2.shape == (d_model,)
    )
    if not fits:
        raise ValueError("the shapes do not fit")
    out, kept = np.empty_like(x), []
    for place in np.ndindex(x.shape[:-1]):
        pairs = [_gelu(float(value), "tanh") for value in x[place] @ w1 + b1]
        hidden, slopes = (np.array(values, x.dtype) for values in zip(*pairs, strict=True))
        out[place] = hidden @ w2 + b2
        kept.append((x[place], hidden, slopes))
    return out, {"kept": kept, "w1": w1, "w2": w2, "shape": x.shape}


def feed_forward_backward(dout, cache):
    if dout.shape != tuple(cache["shape"]):
        raise ValueError("dout has another shape")
    w1, w2 = cache["w1"], cache["w2"]
    grads = {"w1": np.zeros_like(w1), "w2": np.zeros_like(w2)}
    grads |= {"b1": np.zeros(w1.shape[1], w1.dtype), "b2": np.zeros(w2.shape[1], w2.dtype)}
    dx = np.empty_like(dout)
    for place, (x, hidden, slopes) in zip(np.ndindex(dout.shape[:-1]), cache["kept"], strict=True):
        grads["w2"] += np.outer(hidden, dout[place])
        grads["b2"] += dout[place]
        dwide = (w2 @ dout[place]) * slopes
        grads["w1"] += np.outer(x, dwide)
        grads["b1"] += dwide
        dx[place] = w1 @ dwide
    return dx, grads
