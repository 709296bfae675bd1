"""No head is ever cut out: the columns of the others are set to 0; moves are index arithmetic; turns are matrices."""

import numpy as np


def split_heads(x, n_heads):
    if x.ndim < 2:
        raise ValueError("x has no positions")
    seq, width = x.shape[-2:]
    if n_heads < 1 or width != n_heads * (width // n_heads):
        raise ValueError("the heads are not equally wide")
    d_head = width // n_heads
    h, t, j = np.ogrid[:n_heads, :seq, :d_head]
    flat = x.reshape(*x.shape[:-2], seq * width)
    return np.take(flat, t * width + h * d_head + j, axis=-1)


def merge_heads(x):
    if x.ndim < 3:
        raise ValueError("x has no heads")
    n_heads, seq, d_head = x.shape[-3:]
    t, column = np.ogrid[:seq, : n_heads * d_head]
    flat = x.reshape(*x.shape[:-3], n_heads * seq * d_head)
    return np.take(flat, (column // d_head * seq + t) * d_head + column % d_head, axis=-1)


def _fits(x_q, x_kv, params, n_heads, mask):
    if x_q.ndim != 3 or x_kv.ndim != 3 or len(x_q) != len(x_kv):
        raise ValueError("the sequences do not pair up")
    width = x_q.shape[-1]
    if x_kv.shape[-1] != width or any(params["w" + name].shape != (width, width) for name in "qkvo"):
        raise ValueError("the widths differ")
    if n_heads < 1 or width % n_heads:
        raise ValueError("the heads are not equally wide")
    full = (len(x_q), n_heads, x_q.shape[1], x_kv.shape[1])
    if mask is None:
        return np.ones(full, bool)
    if mask.dtype != bool:
        raise ValueError("a mask says True or False")
    return np.broadcast_to(mask, full)


def _columns_of(h, width, n_heads, dtype):
    """1 in the columns of head h, 0 in all others."""
    return (np.arange(width) // (width // n_heads) == h).astype(dtype)


def multi_head_attention_forward(x_q, x_kv, params, n_heads, mask=None):
    seen = _fits(x_q, x_kv, params, n_heads, mask)
    width = x_q.shape[-1]
    scale = float(np.sqrt(n_heads / width))
    q, k, v = x_q @ params["wq"] * scale, x_kv @ params["wk"], x_kv @ params["wv"]
    attn, mixed = [], np.zeros_like(x_q)
    for h in range(n_heads):
        own = _columns_of(h, width, n_heads, x_q.dtype)
        scores = np.where(seen[:, h], (q * own) @ k.transpose(0, 2, 1), -np.inf)
        # A whole number near the maximum; a row that sees nothing takes 0.
        near = np.rint(scores.max(axis=2, keepdims=True))
        raised = np.exp(scores - np.where(np.isinf(near), 0, near))
        attn.append(raised / np.maximum(raised.sum(axis=2, keepdims=True), np.finfo(x_q.dtype).tiny))
        mixed += attn[h] @ (v * own)
    cache = {"attn": np.stack(attn, axis=1), "qkv": (q, k, v), "x": (x_q, x_kv), "mixed": mixed}
    return mixed @ params["wo"], cache | {"w": params, "scale": scale}


def multi_head_attention_backward(dout, cache):
    (q, k, v), (x_q, x_kv), w = cache["qkv"], cache["x"], cache["w"]
    if dout.shape != x_q.shape:
        raise ValueError("dout has another shape than out")
    attn, dmixed = cache["attn"], dout @ w["wo"].T
    n_heads, width = attn.shape[1], dout.shape[2]
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    for h in range(n_heads):
        own = _columns_of(h, width, n_heads, dout.dtype)
        p, slope = attn[:, h], dmixed * own
        gain = p * (slope @ v.transpose(0, 2, 1))
        dscores = gain - p * gain.sum(axis=2, keepdims=True)
        dq += dscores @ (k * own)
        dk += dscores.transpose(0, 2, 1) @ (q * own)
        dv += p.transpose(0, 2, 1) @ slope
    dq *= cache["scale"]  # k met a query that was scaled already

    def over_all(x, slope):
        return sum(one.T @ other for one, other in zip(x, slope, strict=True))

    grads = {"wq": over_all(x_q, dq), "wk": over_all(x_kv, dk), "wv": over_all(x_kv, dv)}
    grads["wo"] = over_all(cache["mixed"], dout)
    return dq @ w["wq"].T, dk @ w["wk"].T + dv @ w["wv"].T, grads


def sinusoidal_positions(seq, d_model):
    if not (seq >= 1 and d_model >= 1):
        raise ValueError("a table has rows and columns")
    # Each row is the one before, turned on by one step.
    step = np.exp(1j / 10000 ** (np.arange(0, d_model, 2) / d_model))
    rows = np.cumprod(np.vstack([np.ones_like(step), np.tile(step, (seq - 1, 1))]), axis=0)
    table = np.zeros((seq, 2 * len(step)))
    table[:, ::2], table[:, 1::2] = rows.imag, rows.real
    return table[:, :d_model]


def _matrices(positions, d_head):
    """One 2 by 2 rotation for each position and pair."""
    angles = np.multiply.outer(np.asarray(positions, float), 10000.0 ** (-np.arange(0, d_head, 2) / d_head))
    cos, sin = np.cos(angles), np.sin(angles)
    return np.array([[cos, -sin], [sin, cos]]).transpose(2, 3, 0, 1)


def _pairs(x, positions):
    if x.ndim < 2 or x.shape[-1] % 2:
        raise ValueError("x does not consist of pairs")
    if np.shape(positions) != x.shape[-2:-1]:
        raise ValueError("there is not one position for each vector")
    return x.reshape(*x.shape[:-1], -1, 2)


def rotary_forward(x, positions):
    turns = _matrices(positions, x.shape[-1]).astype(x.dtype)
    return np.einsum("tpij,...tpj->...tpi", turns, _pairs(x, positions)).reshape(x.shape)


def rotary_backward(dout, positions):
    turns = _matrices(positions, dout.shape[-1]).astype(dout.dtype)
    return np.einsum("tpij,...tpi->...tpj", turns, _pairs(dout, positions)).reshape(dout.shape)
