"""Loops over sequences, queries and keys; one vector at a time."""

import numpy as np


def _check(q, k):
    if q.ndim < 2 or k.ndim < 2 or q.shape[-1] != k.shape[-1] or q.shape[:-2] != k.shape[:-2]:
        raise ValueError(f"q {q.shape} and k {k.shape} do not fit")
    if q.shape[-1] == 0:
        raise ValueError("vectors without entries")


def attention_scores(q, k):
    _check(q, k)
    root = float(np.sqrt(q.shape[-1]))
    scores = np.empty((*q.shape[:-1], k.shape[-2]), q.dtype)
    for lead in np.ndindex(*q.shape[:-2]):
        for i in range(q.shape[-2]):
            for j in range(k.shape[-2]):
                scores[(*lead, i, j)] = q[(*lead, i)] @ k[(*lead, j)] / root
    return scores


def causal_mask(seq):
    if seq <= 0:
        raise ValueError("seq must be positive")
    mask = np.zeros((seq, seq), bool)
    for i in range(seq):
        mask[i, : i + 1] = True
    return mask


def padding_mask(lengths, seq):
    lengths = np.asarray(lengths)
    if not np.issubdtype(lengths.dtype, np.integer):
        raise ValueError("lengths must be integers")
    mask = np.zeros((*lengths.shape, 1, seq), bool)
    for place, length in np.ndenumerate(lengths):
        if not 0 <= length <= seq:
            raise ValueError(f"{length} is no length in a sequence of {seq}")
        mask[(*place, 0, slice(0, length))] = True
    return mask


def _spread(mask, shape):
    if mask is None:
        return np.ones(shape, bool)
    if mask.dtype != bool:
        raise ValueError("the mask must be boolean")
    while mask.ndim < len(shape):
        mask = mask[None]
    if mask.ndim > len(shape) or any(m not in (1, n) for m, n in zip(mask.shape, shape, strict=True)):
        raise ValueError("the mask does not broadcast to the scores")
    for axis, n in enumerate(shape):
        if mask.shape[axis] != n:
            mask = np.repeat(mask, n, axis=axis)
    return mask


def masked_softmax_forward(scores, mask=None):
    if scores.ndim < 1 or scores.shape[-1] == 0:
        raise ValueError("no keys")
    mask = _spread(mask, scores.shape)
    attn = np.zeros(scores.shape, scores.dtype)
    for row in np.ndindex(*scores.shape[:-1]):
        allowed = np.flatnonzero(mask[row])
        if allowed.size:
            picked = scores[row][allowed]
            exps = np.exp(picked - picked.max())
            attn[(*row, allowed)] = exps / exps.sum()
    return attn, (attn, mask)


def masked_softmax_backward(dattn, cache):
    attn, mask = cache
    if attn.shape != dattn.shape:
        raise ValueError("dattn does not have the shape of attn")
    dscores = np.zeros(attn.shape, dattn.dtype)
    for row in np.ndindex(*attn.shape[:-1]):
        allowed = np.flatnonzero(mask[row])
        p = attn[row][allowed]
        jacobian = np.diag(p) - np.outer(p, p)
        dscores[(*row, allowed)] = jacobian @ dattn[row][allowed]
    return dscores


def attention_forward(q, k, v, mask=None):
    if v.ndim < 2 or v.shape[:-1] != k.shape[:-1]:
        raise ValueError("one value is needed for each key")
    _check(q, k)
    mask = _spread(mask, (*q.shape[:-1], k.shape[-2]))
    attn = np.zeros((*q.shape[:-1], k.shape[-2]), q.dtype)
    out = np.zeros((*q.shape[:-1], v.shape[-1]), v.dtype)
    for place in np.ndindex(*q.shape[:-1]):
        lead, allowed = place[:-1], np.flatnonzero(mask[place])
        if allowed.size == 0:
            continue
        scores = k[lead][allowed] @ q[place] / float(q.shape[-1]) ** 0.5
        weights = np.exp(scores - scores.max())
        weights = weights / weights.sum()
        attn[(*place, allowed)] = weights
        out[place] = weights @ v[lead][allowed]
    return out, {"attn": attn, "q": q, "k": k, "v": v}


def attention_backward(dout, cache):
    q, k, v, attn = cache["q"], cache["k"], cache["v"], cache["attn"]
    if dout.shape != (*q.shape[:-1], v.shape[-1]):
        raise ValueError("dout does not have the shape of out")
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    for place in np.ndindex(*q.shape[:-1]):
        lead, weights = place[:-1], attn[place]
        dweights = v[lead] @ dout[place]
        dscores = weights * (dweights - weights @ dweights) / float(q.shape[-1]) ** 0.5
        dq[place] = dscores @ k[lead]
        dk[lead] += dscores[:, None] * q[place]
        dv[lead] += weights[:, None] * dout[place]
    return dq, dk, dv


def self_attention_forward(x, params, mask=None):
    if x.ndim < 2:
        raise ValueError("x needs at least two axes")
    for name in ("wq", "wk", "wv"):
        if params[name].shape[0] != x.shape[-1]:
            raise ValueError(f"{name} does not fit x")
    if params["wv"].shape[1] != params["wo"].shape[0]:
        raise ValueError("wo does not fit wv")
    q, k, v = (x @ params[name] for name in ("wq", "wk", "wv"))
    y, cache = attention_forward(q, k, v, mask)
    return y @ params["wo"], {"attn": cache["attn"], "cache": cache, "all": [x, y], "params": params}


def self_attention_backward(dout, cache):
    (x, y), params = cache["all"], cache["params"]
    if dout.shape != (*x.shape[:-1], params["wo"].shape[1]):
        raise ValueError("dout does not have the shape of out")
    dq, dk, dv = attention_backward(dout @ params["wo"].T, cache["cache"])
    grads = {name: np.zeros_like(value) for name, value in params.items()}
    dx = np.empty_like(x)
    for place in np.ndindex(*x.shape[:-1]):
        grads["wq"] += np.outer(x[place], dq[place])
        grads["wk"] += np.outer(x[place], dk[place])
        grads["wv"] += np.outer(x[place], dv[place])
        grads["wo"] += np.outer(y[place], dout[place])
        dx[place] = params["wq"] @ dq[place] + params["wk"] @ dk[place] + params["wv"] @ dv[place]
    return dx, grads


def is_permutation_equivariant(f, x, rng):
    if x.ndim < 2 or x.shape[-2] < 2:
        raise ValueError("nothing to permute")

    def call(rows):
        got = f(rows)
        return np.asarray(got[0] if isinstance(got, tuple | list) else got)

    out = call(x)
    if out.shape[:-1] != x.shape[:-1]:
        raise ValueError("f must return one row per position")
    n, n_tried = x.shape[-2], 0
    while n_tried < 6:
        order = list(rng.permutation(n))
        if order == sorted(order):
            continue
        n_tried += 1
        again = call(np.stack([x[..., i, :] for i in order], axis=-2))
        for place, i in enumerate(order):
            difference = np.abs(again[..., place, :] - out[..., i, :]).max()
            if difference > 1e-5 * np.abs(out).max():
                return False
    return True


def non_local_block_forward(x, params):
    if x.ndim != 4 or x.shape[1] != len(params["w_theta"]):
        raise ValueError("x and the parameters have different channels")
    n, _, height, width = x.shape
    pixels = np.moveaxis(x, 1, 3)
    y = np.zeros((n, height, width, params["w_g"].shape[1]), x.dtype)
    attn = np.zeros((n, height * width, height * width), x.dtype)
    for i in range(n):
        theta, phi, g = (
            (pixels[i] @ params[name]).reshape(height * width, -1) for name in ("w_theta", "w_phi", "w_g")
        )
        for place in range(height * width):
            scores = phi @ theta[place]
            weights = np.exp(scores - scores.max())
            attn[i, place] = weights / weights.sum()
            y[i, place // width, place % width] = attn[i, place] @ g
    return x + np.moveaxis(y @ params["w_out"], 3, 1), {"x": x, "params": params, "attn": attn, "y": y}


def non_local_block_backward(dout, cache):
    x, params, attn, y = cache["x"], cache["params"], cache["attn"], cache["y"]
    if dout.shape != x.shape:
        raise ValueError("dout does not have the shape of x")
    n, c, height, width = x.shape
    grads = {name: np.zeros_like(value) for name, value in params.items()}
    dx = dout.copy()
    for i in range(n):
        rows, up = x[i].reshape(c, -1).T, dout[i].reshape(c, -1).T
        theta, phi, g = (rows @ params[name] for name in ("w_theta", "w_phi", "w_g"))
        grads["w_out"] += y[i].reshape(height * width, -1).T @ up
        dy = up @ params["w_out"].T
        dattn = dy @ g.T
        dscores = attn[i] * (dattn - (attn[i] * dattn).sum(axis=1, keepdims=True))
        drows = np.zeros_like(rows)
        for name, part in (("w_theta", dscores @ phi), ("w_phi", dscores.T @ theta), ("w_g", attn[i].T @ dy)):
            grads[name] += rows.T @ part
            drows += part @ params[name].T
        dx[i] += drows.T.reshape(c, height, width)
    return dx, grads
