"""Einsum throughout; masks folded into the exponentials; gradients from the definition of each product."""

import numpy as np


def _refuse(bad, sentence):
    if bad:
        raise ValueError(sentence)


def attention_scores(q, k):
    _refuse(min(q.ndim, k.ndim) < 2, "q and k need a row for each position")
    _refuse(q.shape[:-2] != k.shape[:-2], "q and k have different leading axes")
    _refuse(q.shape[-1] != k.shape[-1] or not q.shape[-1], "q and k have different widths, or none")
    scale = q.dtype.type(1) / np.sqrt(q.dtype.type(q.shape[-1]))
    return np.einsum("...ie,...je->...ij", q * scale, k)


def causal_mask(seq):
    _refuse(seq < 1, "a sequence has a position")
    return ~np.triu(np.ones((seq, seq), dtype=bool), 1)


def padding_mask(lengths, seq):
    lengths = np.asarray(lengths)
    _refuse(lengths.dtype.kind not in "iu", "lengths are whole numbers")
    _refuse(np.any(lengths > seq) or np.any(lengths < 0), "a length is outside 0..seq")
    return np.less.outer(np.arange(seq), lengths).transpose(*range(1, lengths.ndim + 1), 0)[..., None, :]


def masked_softmax_forward(scores, mask=None):
    _refuse(scores.ndim == 0 or scores.shape[-1] == 0, "there are no keys")
    allowed = np.ones(scores.shape, bool)
    if mask is not None:
        _refuse(mask.dtype != bool, "the mask is not boolean")
        try:
            allowed = allowed & mask
        except ValueError:
            allowed = None
        _refuse(allowed is None or allowed.shape != scores.shape, "the mask does not fit the scores")
    lowest = np.finfo(scores.dtype).min
    top = np.max(scores, axis=-1, keepdims=True, where=allowed, initial=lowest)
    # Forbidden scores are replaced before exp, which they might overflow.
    weights = np.exp(np.where(allowed, scores - top, 0)) * allowed
    weights = weights / np.maximum(np.einsum("...j->...", weights)[..., None], np.finfo(scores.dtype).tiny)
    return weights, {"weights": weights}


def masked_softmax_backward(dattn, cache):
    weights = cache["weights"]
    _refuse(weights.shape != dattn.shape, "dattn must have the shape of attn")
    return weights * dattn - weights * np.einsum("...j,...j->...", weights, dattn)[..., None]


def _soften(scores, mask):
    allowed = np.ones(scores.shape, bool) if mask is None else np.broadcast_to(mask, scores.shape)
    top = np.max(scores, axis=-1, keepdims=True, where=allowed, initial=np.finfo(scores.dtype).min)
    weights = np.where(allowed, np.exp(np.where(allowed, scores - top, 0)), 0)
    total = weights.sum(axis=-1, keepdims=True)
    return weights / (total + (total == 0))


def _check_mask(mask, shape):
    if mask is None:
        return
    _refuse(mask.dtype != bool, "the mask is not boolean")
    fits = mask.ndim <= len(shape) and all(
        m in (1, n) for m, n in zip(mask.shape[::-1], shape[::-1], strict=False)
    )
    _refuse(not fits, "the mask does not fit the scores")


def _forward(q, k, v, mask, scale):
    _refuse(min(q.ndim, k.ndim, v.ndim) < 2, "q, k and v need a row for each position")
    _refuse(q.shape[:-2] != k.shape[:-2] or q.shape[-1] != k.shape[-1], "q and k do not fit")
    _refuse(v.shape[:-1] != k.shape[:-1], "there is not one value for each key")
    _check_mask(mask, (*q.shape[:-1], k.shape[-2]))
    attn = _soften(np.einsum("...ie,...je->...ij", q, k) * scale, mask)
    return np.einsum("...ij,...je->...ie", attn, v), {"attn": attn, "qkv": [q, k, v], "scale": scale}


def _backward(dout, cache):
    attn, (q, k, v), scale = cache["attn"], cache["qkv"], cache["scale"]
    _refuse(dout.shape != (*q.shape[:-1], v.shape[-1]), "dout must have the shape of out")
    dattn = np.einsum("...ie,...je->...ij", dout, v)
    common = np.einsum("...ij,...ij->...i", attn, dattn)
    dscores = attn * (dattn - common[..., None]) * scale
    dq = np.einsum("...ij,...je->...ie", dscores, k)
    dk = np.einsum("...ij,...ie->...je", dscores, q)
    return dq, dk, np.einsum("...ij,...ie->...je", attn, dout)


def attention_forward(q, k, v, mask=None):
    return _forward(q, k, v, mask, float(q.shape[-1]) ** -0.5)


def attention_backward(dout, cache):
    return _backward(dout, cache)


def self_attention_forward(x, params, mask=None):
    _refuse(x.ndim < 2, "x needs a row for each position")
    wq, wk, wv, wo = (params[name] for name in ("wq", "wk", "wv", "wo"))
    _refuse({len(wq), len(wk), len(wv)} != {x.shape[-1]}, "x does not fit the matrices")
    _refuse(wq.shape[1] != wk.shape[1] or wv.shape[1] != wo.shape[0], "the matrices do not fit each other")
    q, k, v = (np.einsum("...m,me->...e", x, w) for w in (wq, wk, wv))
    heads, cache = _forward(q, k, v, mask, float(wq.shape[1]) ** -0.5)
    out = np.einsum("...e,em->...m", heads, wo)
    return out, {"attn": cache["attn"], "inner": cache, "x": x, "heads": heads, "w": [wq, wk, wv, wo]}


def self_attention_backward(dout, cache):
    x, heads, (wq, wk, wv, wo) = cache["x"], cache["heads"], cache["w"]
    _refuse(dout.shape != (*x.shape[:-1], wo.shape[1]), "dout must have the shape of out")
    parts = _backward(np.einsum("...m,em->...e", dout, wo), cache["inner"])
    lead = tuple(range(x.ndim - 1))
    grads = {"wo": np.tensordot(heads, dout, axes=(lead, lead))}
    dx = np.zeros_like(x)
    for name, w, part in zip(("wq", "wk", "wv"), (wq, wk, wv), parts, strict=True):
        grads[name] = np.tensordot(x, part, axes=(lead, lead))
        dx = dx + np.einsum("...e,me->...m", part, w)
    return dx, grads


def is_permutation_equivariant(f, x, rng):
    def rows(x):
        out = f(x)
        return out[0] if isinstance(out, tuple) else out

    _refuse(x.ndim < 2 or x.shape[-2] == 1, "two positions are needed")
    out = rows(x)
    _refuse(np.shape(out)[:-1] != x.shape[:-1], "f does not give a row for each position")
    orders = [np.roll(np.arange(x.shape[-2]), 1)] + [rng.permutation(x.shape[-2]) for _ in range(5)]
    gaps = [np.max(np.abs(rows(np.take(x, order, -2)) - np.take(out, order, -2))) for order in orders]
    return bool(np.max(gaps) <= np.finfo(x.dtype).eps ** 0.6 * np.max(np.abs(out)))


def non_local_block_forward(x, params):
    _refuse(x.ndim != 4 or x.shape[1] != params["w_theta"].shape[0], "x does not fit the parameters")
    n, c, h, w = x.shape
    places = x.reshape(n, c, h * w)
    q, k, v = (np.einsum("ncp,cd->npd", places, params[name]) for name in ("w_theta", "w_phi", "w_g"))
    y, inner = _forward(q, k, v, None, 1.0)
    out = x + np.einsum("npd,dc->ncp", y, params["w_out"]).reshape(x.shape)
    cache = {"places": places, "params": params, "y": y, "inner": inner, "attn": inner["attn"]}
    return out, cache | {"size": [h, w]}


def non_local_block_backward(dout, cache):
    places, params = cache["places"], cache["params"]
    _refuse(dout.shape != (*places.shape[:2], *cache["size"]), "dout does not fit")
    up = dout.reshape(places.shape)
    grads = {"w_out": np.einsum("npd,ncp->dc", cache["y"], up)}
    parts = _backward(np.einsum("ncp,dc->npd", up, params["w_out"]), cache["inner"])
    dx = up
    for name, part in zip(("w_theta", "w_phi", "w_g"), parts, strict=True):
        grads[name] = np.einsum("ncp,npd->cd", places, part)
        dx = dx + np.einsum("npd,cd->ncp", part, params[name])
    return dx.reshape(dout.shape), grads
