"""A few keys at a time with a running maximum and sum; the way back makes the weights anew."""

import numpy as np

_BLOCK = 3


def _demand(good, sentence):
    if not good:
        raise ValueError(sentence)


def attention_scores(q, k):
    _demand(q.ndim > 1 and k.ndim > 1, "q and k are stacks of rows")
    _demand(q.shape[:-2] == k.shape[:-2] and q.shape[-1] == k.shape[-1], "q and k do not fit each other")
    _demand(q.shape[-1] > 0, "empty vectors have no product")
    products = q[..., :, None, :] * k[..., None, :, :]
    return products.sum(axis=-1) / float(q.shape[-1]) ** 0.5


def causal_mask(seq):
    _demand(seq > 0, "there must be a position")
    return np.cumsum(np.eye(seq), axis=0) > 0


def padding_mask(lengths, seq):
    lengths = np.asarray(lengths)
    _demand(lengths.dtype.kind in "ui", "lengths are counted, not measured")
    _demand(all(0 <= length <= seq for length in lengths.ravel().tolist()), "a length is impossible")
    rows = [[j < length for j in range(seq)] for length in lengths.ravel().tolist()]
    return np.array(rows, dtype=bool).reshape(*lengths.shape, 1, seq)


def _seen(mask, shape):
    if mask is None:
        return np.full(shape, True)
    _demand(mask.dtype == np.bool_, "True and False are all a mask may hold")
    together = None
    try:
        together = np.broadcast_shapes(mask.shape, shape)
    except ValueError:
        pass
    _demand(together == shape, "the mask has another shape than the scores")
    return np.broadcast_to(mask, shape)


def _blocks(n_keys):
    return [slice(start, start + _BLOCK) for start in range(0, n_keys, _BLOCK)]


def _top_and_total(scores, seen):
    """The largest allowed score of each row so far, and the sum of exponentials measured from it."""
    lowest = np.finfo(scores.dtype).min
    top = np.full((*scores.shape[:-1], 1), lowest, scores.dtype)
    total = np.zeros_like(top)
    for keys in _blocks(scores.shape[-1]):
        some = np.where(seen[..., keys], scores[..., keys], lowest)
        higher = np.maximum(top, some.max(axis=-1, keepdims=True))
        fresh = np.where(seen[..., keys], np.exp(some - higher), 0).sum(axis=-1, keepdims=True)
        total = total * np.exp(top - higher) + fresh
        top = higher
    return top, total


def _weights(scores, seen, top, total):
    raised = np.exp(np.where(seen, scores - top, -np.inf))
    return np.divide(raised, total, out=np.zeros_like(raised), where=total > 0)


def masked_softmax_forward(scores, mask=None):
    _demand(scores.ndim > 0 and scores.shape[-1] > 0, "no key to look at")
    seen = _seen(mask, scores.shape)
    top, total = _top_and_total(scores, seen)
    return _weights(scores, seen, top, total), {"scores": scores, "seen": seen, "rows": (top, total)}


def masked_softmax_backward(dattn, cache):
    _demand(dattn.shape == cache["scores"].shape, "dattn has another shape than the scores")
    attn = _weights(cache["scores"], cache["seen"], *cache["rows"])
    centre = np.zeros((*attn.shape[:-1], 1), attn.dtype)
    for keys in _blocks(attn.shape[-1]):
        centre += (attn[..., keys] * dattn[..., keys]).sum(axis=-1, keepdims=True)
    return (dattn - centre) * attn


def _attend(q, k, v, mask, scale):
    _demand(q.ndim > 1 and k.ndim > 1 and q.shape[:-2] == k.shape[:-2], "q and k are not stacked alike")
    _demand(q.shape[-1] == k.shape[-1], "q and k are not equally long")
    _demand(v.ndim > 1 and v.shape[:-1] == k.shape[:-1], "keys and values are not paired")
    seen = _seen(mask, (*q.shape[:-1], k.shape[-2]))
    scores = scale * np.matmul(q, np.moveaxis(k, -1, -2))
    lowest = np.finfo(scores.dtype).min
    top = np.full((*q.shape[:-1], 1), lowest, scores.dtype)
    total, out = np.zeros_like(top), np.zeros((*q.shape[:-1], v.shape[-1]), v.dtype)
    for keys in _blocks(k.shape[-2]):
        some = np.where(seen[..., keys], scores[..., keys], lowest)
        higher = np.maximum(top, some.max(axis=-1, keepdims=True))
        shrink, fresh = np.exp(top - higher), np.where(seen[..., keys], np.exp(some - higher), 0)
        total = shrink * total + fresh.sum(axis=-1, keepdims=True)
        out = shrink * out + fresh @ v[..., keys, :]
        top = higher
    out = out / np.where(total == 0, 1, total)
    cache = {"inputs": (q, k, v), "out": out, "scale": scale, "scores": scores, "seen": seen}
    return out, cache | {"rows": (top, total), "attn": _weights(scores, seen, top, total)}


def _attend_backward(dout, cache):
    (q, k, v), out, scale = cache["inputs"], cache["out"], cache["scale"]
    _demand(dout.shape == out.shape, "dout has another shape than out")
    # sum_j attn_ij dattn_ij is the same as dout_i . out_i: no second walk over the keys.
    centre = (dout * out).sum(axis=-1, keepdims=True)
    attn = _weights(cache["scores"], cache["seen"], *cache["rows"])
    dq, dk, dv = np.zeros_like(q), np.empty_like(k), np.empty_like(v)
    for keys in _blocks(k.shape[-2]):
        some = attn[..., keys]
        slope = scale * some * (dout @ np.moveaxis(v[..., keys, :], -1, -2) - centre)
        dq += slope @ k[..., keys, :]
        dk[..., keys, :] = np.moveaxis(slope, -1, -2) @ q
        dv[..., keys, :] = np.moveaxis(some, -1, -2) @ dout
    return dq, dk, dv


def attention_forward(q, k, v, mask=None):
    _demand(q.shape[-1:] != (0,), "empty vectors have no product")
    return _attend(q, k, v, mask, float(q.shape[-1] ** -0.5))


def attention_backward(dout, cache):
    return _attend_backward(dout, cache)


def self_attention_forward(x, params, mask=None):
    _demand(x.ndim > 1, "x is a stack of rows")
    _demand(all(len(params[name]) == x.shape[-1] for name in ("wq", "wk", "wv")), "a matrix does not fit x")
    _demand(params["wv"].shape[1] == len(params["wo"]), "wo does not fit wv")
    q, k, v = (np.matmul(x, params[name]) for name in ("wq", "wk", "wv"))
    heads, inner = _attend(q, k, v, mask, float(q.shape[-1] ** -0.5))
    return np.matmul(heads, params["wo"]), {"attn": inner["attn"], "x": x, "inner": inner, "params": params}


def self_attention_backward(dout, cache):
    x, params, heads = cache["x"], cache["params"], cache["inner"]["out"]
    wo = params["wo"]
    _demand(dout.shape == (*x.shape[:-1], wo.shape[1]), "dout has another shape than out")
    slopes = _attend_backward(np.matmul(dout, wo.T), cache["inner"])
    pairs = dict(zip(("wq", "wk", "wv"), slopes, strict=True))
    grads = {name: np.zeros_like(params[name]) for name in params}
    # One row of each stack after the other.
    for place in np.ndindex(*x.shape[:-2]):
        grads["wo"] += heads[place].T @ dout[place]
        for name, slope in pairs.items():
            grads[name] += x[place].T @ slope[place]
    return sum(np.matmul(slope, params[name].T) for name, slope in pairs.items()), grads


def is_permutation_equivariant(f, x, rng):
    """A walk: two positions change places, again and again, and f must follow every step."""
    _demand(x.ndim >= 2 and x.shape[-2] >= 2, "fewer than two positions cannot be shuffled")

    def first(value):
        return value[0] if isinstance(value, tuple) else value

    out = first(f(x))
    _demand(np.shape(out)[:-1] == x.shape[:-1], "f must keep the positions")
    order = np.arange(x.shape[-2])
    tolerated = np.finfo(x.dtype).eps ** 0.6 * np.abs(out).max()
    for _ in range(4 * len(order)):
        i, j = rng.choice(len(order), 2, replace=False)
        order[[i, j]] = order[[j, i]]
        moved = first(f(x.take(order, axis=-2)))
        if not np.all(np.abs(moved - out.take(order, axis=-2)) <= tolerated):
            return False
    return True


def non_local_block_forward(x, params):
    _demand(x.ndim == 4, "x is a batch of pictures")
    _demand(x.shape[1] == len(params["w_theta"]), "x has other channels than the matrices")
    n, c_in, h, w = x.shape
    rows = x.transpose(0, 2, 3, 1).reshape(n, h * w, c_in)
    theta, phi, g = (rows @ params[name] for name in ("w_theta", "w_phi", "w_g"))
    y, inner = _attend(theta, phi, g, None, 1.0)
    added = (y @ params["w_out"]).reshape(n, h, w, c_in).transpose(0, 3, 1, 2)
    return added + x, {"attn": inner["attn"], "inner": inner, "rows": rows, "size": (h, w), "params": params}


def non_local_block_backward(dout, cache):
    rows, params, (h, w) = cache["rows"], cache["params"], cache["size"]
    n, _, c_in = rows.shape
    _demand(dout.shape == (n, c_in, h, w), "dout has another shape than out")
    up = dout.transpose(0, 2, 3, 1).reshape(rows.shape)
    slopes = _attend_backward(up @ params["w_out"].T, cache["inner"])
    flat = rows.reshape(-1, c_in)
    grads = {"w_out": cache["inner"]["out"].reshape(n * h * w, -1).T @ up.reshape(-1, c_in)}
    back = up
    for name, slope in zip(("w_theta", "w_phi", "w_g"), slopes, strict=True):
        grads[name] = flat.T @ slope.reshape(n * h * w, -1)
        back = back + slope @ params[name].T
    return back.reshape(n, h, w, c_in).transpose(0, 3, 1, 2), grads
