"""Masks as something to add, 0 or -inf; the shift is a whole number near the maximum; matrices side by side."""

import numpy as np


def attention_scores(q, k):
    if q.ndim < 2 or k.ndim < 2:
        raise ValueError("a vector alone is no list of queries or keys")
    *lead, _, d_head = q.shape
    if list(k.shape[:-2]) != lead or k.shape[-1] != d_head or d_head < 1:
        raise ValueError(f"queries {q.shape} cannot be compared with keys {k.shape}")
    # Each of the two takes half of the scale.
    share = float(d_head) ** 0.25
    return (q / share) @ (k / share).swapaxes(-2, -1)


def causal_mask(seq):
    if seq < 1:
        raise ValueError(f"{seq} positions")
    place = np.arange(seq)
    return place[:, None] >= place


def padding_mask(lengths, seq):
    lengths = np.asarray(lengths)
    if not np.issubdtype(lengths.dtype, np.integer) or not np.isin(lengths, np.arange(seq + 1)).all():
        raise ValueError(f"lengths must be whole numbers from 0 to {seq}")
    # Row n of the table begins with n times True.
    return np.tri(seq + 1, seq, -1, dtype=bool)[lengths][..., np.newaxis, :]


def _bias(mask, scores):
    """0 where a key may be seen and -inf where not; one number for each score."""
    if mask is None:
        return np.zeros_like(scores)
    if mask.dtype != bool:
        raise ValueError("the mask must be boolean")
    bias = np.where(mask, scores.dtype.type(0), scores.dtype.type(-np.inf))
    try:
        return np.broadcast_to(bias, scores.shape)
    except ValueError as error:
        raise ValueError(f"the mask does not fit: {error}") from None


def _softmax(scores, mask):
    if scores.ndim < 1 or scores.shape[-1] < 1:
        raise ValueError("no keys")
    biased = scores + _bias(mask, scores)
    # Any number near the maximum will do; a row that is all -inf gets a 0.
    shift = np.nan_to_num(np.ceil(biased.max(axis=-1, keepdims=True)), neginf=0)
    weights = np.exp(biased - shift)
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(weights / weights.sum(axis=-1, keepdims=True))


def _softmax_backward(dattn, attn):
    gain = attn * dattn
    return gain - attn * np.sum(gain, axis=-1)[..., None]


def masked_softmax_forward(scores, mask=None):
    attn = _softmax(scores, mask)
    return attn, [attn]


def masked_softmax_backward(dattn, cache):
    [attn] = cache
    if np.shape(dattn) != np.shape(attn):
        raise ValueError("dattn and attn differ in shape")
    return _softmax_backward(dattn, attn)


def attention_forward(q, k, v, mask=None):
    if v.ndim < 2 or k.ndim < 2 or q.ndim < 2 or v.shape[:-1] != k.shape[:-1]:
        raise ValueError("each key needs a value")
    if q.shape[:-2] != k.shape[:-2] or q.shape[-1] != k.shape[-1] or not q.shape[-1]:
        raise ValueError("queries and keys differ")
    # The scale goes into the queries, and they are kept scaled.
    scaled = q * float(1 / np.sqrt(q.shape[-1]))
    attn = _softmax(scaled @ k.swapaxes(-2, -1), mask)
    return attn @ v, {"attn": attn, "scaled": scaled, "kv": np.concatenate([k, v], axis=-1)}


def attention_backward(dout, cache):
    attn, scaled, kv = cache["attn"], cache["scaled"], cache["kv"]
    k, v = kv[..., : scaled.shape[-1]], kv[..., scaled.shape[-1] :]
    if dout.shape != (*scaled.shape[:-1], v.shape[-1]):
        raise ValueError("dout and out differ in shape")
    dscores = _softmax_backward(dout @ v.swapaxes(-2, -1), attn)
    # Kept queries hold the scale already, the keys do not.
    dq = dscores @ k * float(1 / np.sqrt(k.shape[-1]))
    return dq, dscores.swapaxes(-2, -1) @ scaled, attn.swapaxes(-2, -1) @ dout


def self_attention_forward(x, params, mask=None):
    wq, wk, wv, wo = (params[name] for name in ("wq", "wk", "wv", "wo"))
    if x.ndim < 2 or wq.shape != wk.shape or len(wq) != x.shape[-1] or len(wv) != x.shape[-1]:
        raise ValueError("x and the matrices differ")
    if wv.shape[1] != len(wo):
        raise ValueError("wv and wo differ")
    d_head = wq.shape[1]
    wide = np.hstack([wq * float(d_head) ** -0.5, wk, wv])
    q, k, v = np.split(x @ wide, [d_head, 2 * d_head], axis=-1)
    attn = _softmax(q @ k.swapaxes(-2, -1), mask)
    # (attn v) wo = attn (v wo): the values go through wo before they are mixed.
    sent = v @ wo
    return attn @ sent, {"attn": attn, "x": x, "qkv": (q, k, v), "wide": wide, "wo": wo, "sent": sent}


def self_attention_backward(dout, cache):
    attn, x, (q, k, v), wo = cache["attn"], cache["x"], cache["qkv"], cache["wo"]
    if dout.shape != cache["sent"].shape:
        raise ValueError("dout and out differ in shape")
    dsent = attn.swapaxes(-2, -1) @ dout
    dscores = _softmax_backward(dout @ cache["sent"].swapaxes(-2, -1), attn)
    slopes = np.concatenate([dscores @ k, dscores.swapaxes(-2, -1) @ q, dsent @ wo.T], axis=-1)
    rows = x.reshape(-1, x.shape[-1])
    dwide = rows.T @ slopes.reshape(len(rows), -1)
    d_head = q.shape[-1]
    dwq, dwk, dwv = np.hsplit(dwide, [d_head, 2 * d_head])
    dwo = v.reshape(len(rows), -1).T @ dsent.reshape(len(rows), -1)
    grads = {"wq": dwq * float(d_head) ** -0.5, "wk": dwk, "wv": dwv, "wo": dwo}
    return slopes @ cache["wide"].T, grads


def is_permutation_equivariant(f, x, rng):
    """Orders as matrices: P f(x) = f(P x)."""
    if x.ndim < 2 or x.shape[-2] < 2:
        raise ValueError("x has no two positions")

    def g(rows):
        result = f(rows)
        return np.asarray(result[0] if type(result) is tuple else result)

    out = g(x)
    if out.shape[:-1] != x.shape[:-1]:
        raise ValueError("f loses positions")
    eye = np.eye(x.shape[-2], dtype=x.dtype)
    orders = [eye[::-1], np.roll(eye, 1, axis=0)]
    orders += [eye[rng.permutation(len(eye))] for _ in range(10)]
    worst = max(np.abs(g(p @ x) - p @ out).max() for p in orders)
    return not worst > 1e-5 * np.abs(out).max()


def non_local_block_forward(x, params):
    if x.ndim != 4:
        raise ValueError(f"x has {x.ndim} axes")
    n, c_in, h, w = x.shape
    if len(params["w_theta"]) != c_in:
        raise ValueError(f"x has {c_in} channels")
    # Channels stay in front and pixels run along the columns: the key is the row, the query the column.
    flat = x.reshape(n, c_in, h * w)
    theta, phi, g = (params[name].T @ flat for name in ("w_theta", "w_phi", "w_g"))
    by_key = phi.swapaxes(1, 2) @ theta
    by_key = np.exp(by_key - by_key.max(axis=1, keepdims=True))
    by_key = by_key / by_key.sum(axis=1, keepdims=True)
    y = g @ by_key
    out = x + (params["w_out"].T @ y).reshape(x.shape)
    cache = {"attn": by_key.swapaxes(1, 2), "flat": flat, "parts": [theta, phi, g, y], "size": [h, w]}
    return out, cache | {"params": params}


def non_local_block_backward(dout, cache):
    flat, (theta, phi, g, y), params = cache["flat"], cache["parts"], cache["params"]
    n, c_in, _ = flat.shape
    if dout.shape != (n, c_in, *cache["size"]):
        raise ValueError("dout and out differ in shape")
    attn, up = cache["attn"], dout.reshape(flat.shape)
    dy = params["w_out"] @ up
    dscores = _softmax_backward(dy.swapaxes(1, 2) @ g, attn)
    dtheta, dphi, dg = phi @ dscores.swapaxes(1, 2), theta @ dscores, dy @ attn
    grads, dx = {"w_out": (y @ up.swapaxes(1, 2)).sum(axis=0)}, up.copy()
    for name, slope in (("w_theta", dtheta), ("w_phi", dphi), ("w_g", dg)):
        grads[name] = (flat @ slope.swapaxes(1, 2)).sum(axis=0)
        dx += params[name] @ slope
    return dx.reshape(dout.shape), grads
