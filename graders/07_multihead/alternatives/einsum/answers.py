"""Einsum and transposes; the masked softmax by a finite number no score can reach."""

import numpy as np


def split_heads(x, n_heads):
    if np.ndim(x) < 2 or n_heads <= 0 or x.shape[-1] % n_heads:
        raise ValueError(f"cannot cut {np.shape(x)} into {n_heads}")
    return np.stack(np.split(x, n_heads, axis=-1), axis=-3)


def merge_heads(x):
    if np.ndim(x) < 3:
        raise ValueError(f"no heads in {np.shape(x)}")
    return np.concatenate(list(np.moveaxis(x, -3, 0)), axis=-1)


def multi_head_attention_forward(x_q, x_kv, params, n_heads, mask=None):
    if x_q.ndim != 3 or x_kv.ndim != 3 or len(x_q) != len(x_kv) or x_q.shape[2] != x_kv.shape[2]:
        raise ValueError("x_q and x_kv do not fit")
    width = x_q.shape[2]
    if n_heads < 1 or width % n_heads:
        raise ValueError("the heads do not divide the width")
    if any(params[name].shape != (width, width) for name in ("wq", "wk", "wv", "wo")):
        raise ValueError("a weight has a wrong shape")
    wq, wk, wv = (params[name].reshape(width, n_heads, -1) for name in ("wq", "wk", "wv"))
    q = np.einsum("btm,mhj->bthj", x_q, wq, optimize=True) * float((width // n_heads) ** -0.5)
    k = np.einsum("btm,mhj->bthj", x_kv, wk, optimize=True)
    v = np.einsum("btm,mhj->bthj", x_kv, wv, optimize=True)
    scores = np.einsum("bqhj,bkhj->bhqk", q, k, optimize=True)
    seen = np.ones(scores.shape, bool)
    if mask is not None:
        if mask.dtype != np.bool_ or mask.ndim > 4:
            raise ValueError("the mask is not boolean")
        seen = seen & mask
        if seen.shape != scores.shape:
            raise ValueError("the mask does not fit")
    scores = np.where(seen, scores, float(np.finfo(scores.dtype).min) / 2)
    attn = np.where(seen, np.exp(scores - scores.max(axis=-1, keepdims=True)), 0)
    attn = attn / np.maximum(attn.sum(axis=-1, keepdims=True), float(np.finfo(attn.dtype).tiny))
    heads = np.einsum("bhqk,bkhj->bqhj", attn, v, optimize=True)
    out = np.einsum("bqhj,hjm->bqm", heads, params["wo"].reshape(n_heads, -1, width), optimize=True)
    return out, {"attn": attn, "kept": (x_q, x_kv, q, k, v, heads), "params": dict(params)}


def multi_head_attention_backward(dout, cache):
    attn, (x_q, x_kv, q, k, v, heads), params = cache["attn"], cache["kept"], cache["params"]
    if dout.shape != x_q.shape:
        raise ValueError("dout does not fit")
    n_heads, width = attn.shape[1], dout.shape[2]
    dheads = np.einsum("bqm,hjm->bqhj", dout, params["wo"].reshape(n_heads, -1, width), optimize=True)
    dattn = np.einsum("bqhj,bkhj->bhqk", dheads, v, optimize=True)
    dv = np.einsum("bhqk,bqhj->bkhj", attn, dheads, optimize=True)
    dscores = attn * dattn
    dscores = dscores - attn * dscores.sum(axis=-1, keepdims=True)
    scale = float((width // n_heads) ** -0.5)
    # q in the cache holds the scale already; k does not.
    dq = np.einsum("bhqk,bkhj->bqhj", dscores, k, optimize=True) * scale
    dk = np.einsum("bhqk,bqhj->bkhj", dscores, q, optimize=True)
    dq, dk, dv = (value.reshape(*value.shape[:2], width) for value in (dq, dk, dv))
    grads = {"wo": np.einsum("bqi,bqm->im", heads.reshape(dout.shape), dout, optimize=True)}
    for name, x, slope in (("wq", x_q, dq), ("wk", x_kv, dk), ("wv", x_kv, dv)):
        grads[name] = np.einsum("btm,bti->mi", x, slope, optimize=True)
    return (
        dq @ params["wq"].T,
        np.concatenate([dk, dv], -1) @ np.vstack([params["wk"].T, params["wv"].T]),
        grads,
    )


def sinusoidal_positions(seq, d_model):
    if min(seq, d_model) < 1:
        raise ValueError("nothing to make")
    pairs = (d_model + 1) // 2
    turning = np.exp(1j * np.outer(np.arange(seq), 10000.0 ** (-2 * np.arange(pairs) / d_model)))
    return np.stack([turning.imag, turning.real], axis=-1).reshape(seq, -1)[:, :d_model].copy()


def rotary_forward(x, positions):
    if x.ndim < 2 or x.shape[-1] % 2 or np.shape(positions) != x.shape[-2:-1]:
        raise ValueError("x and positions do not fit")
    pairs = x[..., 0::2] + 1j * x[..., 1::2]
    turned = pairs * np.exp(
        1j * np.outer(positions, 10000.0 ** (-np.arange(0, x.shape[-1], 2) / x.shape[-1]))
    )
    return np.stack([turned.real, turned.imag], axis=-1).reshape(x.shape).astype(x.dtype)


def rotary_backward(dout, positions):
    if dout.ndim < 2 or dout.shape[-1] % 2 or np.shape(positions) != dout.shape[-2:-1]:
        raise ValueError("dout and positions do not fit")
    pairs = dout[..., 0::2] + 1j * dout[..., 1::2]
    angles = np.outer(positions, 10000.0 ** (-np.arange(0, dout.shape[-1], 2) / dout.shape[-1]))
    turned = pairs * np.exp(-1j * angles)
    return np.stack([turned.real, turned.imag], axis=-1).reshape(dout.shape).astype(dout.dtype)
