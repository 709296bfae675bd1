"""Sequence by sequence, head by head, query by query, column by column."""

import math

import numpy as np


def split_heads(x, n_heads):
    if x.ndim < 2:
        raise ValueError("x needs two axes")
    if n_heads < 1 or x.shape[-1] % n_heads != 0:
        raise ValueError("the heads do not divide the width")
    d_head = x.shape[-1] // n_heads
    out = np.empty((*x.shape[:-2], n_heads, x.shape[-2], d_head), x.dtype)
    for h in range(n_heads):
        out[..., h, :, :] = x[..., h * d_head : (h + 1) * d_head]
    return out


def merge_heads(x):
    if x.ndim < 3:
        raise ValueError("x needs three axes")
    *batch, n_heads, seq, d_head = x.shape
    out = np.empty((*batch, seq, n_heads * d_head), x.dtype)
    for h in range(n_heads):
        out[..., h * d_head : (h + 1) * d_head] = x[..., h, :, :]
    return out


def _check(x_q, x_kv, params, n_heads, mask):
    if x_q.ndim != 3 or x_kv.ndim != 3 or (len(x_q), x_q.shape[2]) != (len(x_kv), x_kv.shape[2]):
        raise ValueError("x_q and x_kv do not fit")
    d_model = x_q.shape[2]
    if n_heads < 1 or d_model % n_heads:
        raise ValueError("the heads do not divide the width")
    for name in ("wq", "wk", "wv", "wo"):
        if params[name].shape != (d_model, d_model):
            raise ValueError(f"{name} does not fit")
    if mask is not None and mask.dtype != bool:
        raise ValueError("the mask is not boolean")


def multi_head_attention_forward(x_q, x_kv, params, n_heads, mask=None):
    _check(x_q, x_kv, params, n_heads, mask)
    (batch, n_queries, d_model), n_keys = x_q.shape, x_kv.shape[1]
    d_head = d_model // n_heads
    full = (batch, n_heads, n_queries, n_keys)
    seen = np.ones(full, bool) if mask is None else np.broadcast_to(mask, full)
    q, k, v = x_q @ params["wq"], x_kv @ params["wk"], x_kv @ params["wv"]
    attn = np.zeros(full, x_q.dtype)
    merged = np.zeros_like(x_q)
    for b, h, i in np.ndindex(batch, n_heads, n_queries):
        own = slice(h * d_head, (h + 1) * d_head)
        visible = np.flatnonzero(seen[b, h, i])
        if len(visible) == 0:
            continue
        scores = k[b, visible, own] @ q[b, i, own] / math.sqrt(d_head)
        weights = np.exp(scores - scores.max())
        attn[b, h, i, visible] = weights / weights.sum()
        merged[b, i, own] = attn[b, h, i] @ v[b, :, own]
    cache = {"attn": attn, "x": [x_q, x_kv], "qkv": [q, k, v], "merged": merged, "w": {**params}}
    return merged @ params["wo"], cache


def multi_head_attention_backward(dout, cache):
    (x_q, x_kv), (q, k, v), attn, w = cache["x"], cache["qkv"], cache["attn"], cache["w"]
    if dout.shape != x_q.shape:
        raise ValueError("dout does not fit")
    batch, n_heads, _, _ = attn.shape
    d_head = x_q.shape[2] // n_heads
    dmerged = dout @ w["wo"].T
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    for b, h in np.ndindex(batch, n_heads):
        own = slice(h * d_head, (h + 1) * d_head)
        slope, weights = dmerged[b, :, own], attn[b, h]
        dv[b, :, own] = weights.T @ slope
        dattn = slope @ v[b, :, own].T
        dscores = weights * (dattn - np.sum(weights * dattn, axis=1, keepdims=True)) / math.sqrt(d_head)
        dq[b, :, own] = dscores @ k[b, :, own]
        dk[b, :, own] = dscores.T @ q[b, :, own]
    grads = {"wo": sum(cache["merged"][b].T @ dout[b] for b in range(batch))}
    grads["wq"] = sum(x_q[b].T @ dq[b] for b in range(batch))
    grads["wk"] = sum(x_kv[b].T @ dk[b] for b in range(batch))
    grads["wv"] = sum(x_kv[b].T @ dv[b] for b in range(batch))
    return dq @ w["wq"].T, dv @ w["wv"].T + dk @ w["wk"].T, grads


def sinusoidal_positions(seq, d_model):
    if seq <= 0 or d_model <= 0:
        raise ValueError("no rows or no columns")
    out = np.empty((seq, d_model))
    for t in range(seq):
        for column in range(d_model):
            angle = t / 10000 ** ((column - column % 2) / d_model)
            out[t, column] = math.cos(angle) if column % 2 else math.sin(angle)
    return out


def _turn(x, positions, direction):
    if x.ndim < 2 or x.shape[-1] % 2:
        raise ValueError("x needs an even width")
    if positions.shape != (x.shape[-2],):
        raise ValueError("one position for each vector")
    out = np.zeros_like(x)
    for t, position in enumerate(positions):
        for first in range(0, x.shape[-1], 2):
            angle = direction * int(position) / 10000 ** (first / x.shape[-1])
            matrix = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
            out[..., t, first : first + 2] = x[..., t, first : first + 2] @ matrix
    return out


def rotary_forward(x, positions):
    return _turn(x, positions, 1)


def rotary_backward(dout, positions):
    return _turn(dout, positions, -1)
