"""Keys in pieces with a running maximum; the way back makes the weights anew; pairs as neighbours exchanged."""

import numpy as np

_PIECE = 2


def _own_columns(d_model, n_heads):
    """Row h holds the columns of head h."""
    return np.arange(d_model).reshape(n_heads, -1)


def split_heads(x, n_heads):
    if x.ndim < 2 or n_heads < 1 or x.shape[-1] % n_heads > 0:
        raise ValueError(f"{x.shape} has no {n_heads} equal heads")
    pieces = x[..., _own_columns(x.shape[-1], n_heads)]
    return np.moveaxis(pieces, -2, -3)


def merge_heads(x):
    if x.ndim < 3:
        raise ValueError(f"{x.shape} has no heads")
    return np.einsum("...htj->...thj", x).reshape(*x.shape[:-3], x.shape[-2], -1)


def _seen(mask, shape):
    if mask is None:
        return np.ones(shape, bool)
    if mask.dtype.kind != "b":
        raise ValueError("the mask must be boolean")
    if np.broadcast_shapes(mask.shape, shape) != shape:
        raise ValueError("the mask has too many axes")
    return np.broadcast_to(mask, shape)


def _require(x_q, x_kv, params, n_heads):
    if x_q.ndim != 3 or x_kv.ndim != 3:
        raise ValueError("both sequences need three axes")
    if (x_q.shape[0], x_q.shape[2]) != (x_kv.shape[0], x_kv.shape[2]):
        raise ValueError("the two sequences do not go together")
    square = 2 * (x_q.shape[2],)
    if {params[name].shape for name in ("wq", "wk", "wv", "wo")} != {square}:
        raise ValueError("the weights are not square")
    if n_heads < 1 or x_q.shape[2] % n_heads:
        raise ValueError("the heads do not divide the width")


def multi_head_attention_forward(x_q, x_kv, params, n_heads, mask=None):
    _require(x_q, x_kv, params, n_heads)
    own = _own_columns(x_q.shape[2], n_heads)
    q, k, v = (
        np.moveaxis((x @ params[name])[..., own], 2, 1)
        for x, name in ((x_q, "wq"), (x_kv, "wk"), (x_kv, "wv"))
    )
    scores = (q @ k.swapaxes(2, 3)) / float(own.shape[1]) ** 0.5
    seen = _seen(mask, scores.shape)
    lowest = np.finfo(scores.dtype).min
    top = np.full((*scores.shape[:3], 1), lowest, scores.dtype)
    total, heads = np.zeros_like(top), np.zeros_like(q)
    for first in range(0, k.shape[2], _PIECE):
        keys = slice(first, first + _PIECE)
        some = np.where(seen[..., keys], scores[..., keys], lowest)
        higher = np.maximum(top, some.max(axis=3, keepdims=True))
        raised = np.where(seen[..., keys], np.exp(some - higher), 0)
        total = total * np.exp(top - higher) + raised.sum(axis=3, keepdims=True)
        heads = heads * np.exp(top - higher) + raised @ v[:, :, keys]
        top = higher
    heads = heads / np.where(total > 0, total, 1)
    attn = np.where(seen, np.exp(np.where(seen, scores - top, 0)), 0) / np.where(total > 0, total, 1)
    joined = np.moveaxis(heads, 1, 2).reshape(x_q.shape)
    cache = {"attn": attn, "heads": [q, k, v, heads], "in": [x_q, x_kv], "params": dict(params)}
    return joined @ params["wo"], cache


def multi_head_attention_backward(dout, cache):
    q, k, v, heads = cache["heads"]
    (x_q, x_kv), params, attn = cache["in"], cache["params"], cache["attn"]
    if dout.shape != x_q.shape:
        raise ValueError("dout and x_q have different shapes")
    own = _own_columns(dout.shape[2], q.shape[1])
    dheads = np.moveaxis((dout @ params["wo"].T)[..., own], 2, 1)
    # sum_j attn_ij dattn_ij is dheads_i . heads_i.
    centre = (dheads * heads).sum(axis=3, keepdims=True)
    dscores = attn * (dheads @ v.swapaxes(2, 3) - centre) / float(own.shape[1]) ** 0.5
    slopes = {"wq": dscores @ k, "wk": dscores.swapaxes(2, 3) @ q, "wv": attn.swapaxes(2, 3) @ dheads}
    sources, back = {"wq": x_q, "wk": x_kv, "wv": x_kv}, {}
    joined = np.moveaxis(heads, 1, 2).reshape(dout.shape)
    grads = {"wo": np.tensordot(joined, dout, axes=([0, 1], [0, 1]))}
    for name, slope in slopes.items():
        slope = np.moveaxis(slope, 1, 2).reshape(sources[name].shape)
        grads[name] = np.tensordot(sources[name], slope, axes=([0, 1], [0, 1]))
        back[name] = np.tensordot(slope, params[name], axes=(2, 1))
    return back["wq"], back["wk"] + back["wv"], grads


def sinusoidal_positions(seq, d_model):
    if seq < 1:
        raise ValueError("there is no position")
    if d_model < 1:
        raise ValueError("there is no column")
    column = np.arange(d_model)
    angles = np.outer(np.arange(seq), 10000.0 ** (-2 * (column // 2) / d_model))
    # A cosine is a sine, a quarter of a turn ahead.
    return np.sin(angles + np.pi / 2 * (column % 2))


def _turned(x, positions, direction):
    if x.ndim < 2 or x.shape[-1] % 2 == 1:
        raise ValueError("there is no pair for every number")
    if np.shape(positions) != (x.shape[-2],):
        raise ValueError("each vector has one position")
    slower = 10000.0 ** (-(np.arange(x.shape[-1]) // 2) * 2 / x.shape[-1])
    angles = np.asarray(positions)[:, None] * slower
    other = np.stack([-x[..., 1::2], x[..., ::2]], axis=-1).reshape(x.shape)
    cos, sin = (wave(angles).astype(x.dtype) for wave in (np.cos, np.sin))
    return x * cos + direction * other * sin


def rotary_forward(x, positions):
    return _turned(x, positions, 1)


def rotary_backward(dout, positions):
    return _turned(dout, positions, -1)
