"""The stage in PyTorch: functions of the same names, with autograd as the backward.

The tests compare every NumPy reference with these in float64. Nothing here repeats a
formula for a gradient: a backward rebuilds the forward and asks autograd.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Values = dict[str, Tensor]


def _leaf(value: Tensor) -> Tensor:
    return value.detach().clone().requires_grad_()


def _leaves(params: Values) -> Values:
    return {name: _leaf(value) for name, value in params.items()}


def _gradients(out: Tensor, x: Tensor, params: Values, dout: Tensor) -> tuple[Tensor, Values]:
    dx, *grads = torch.autograd.grad(out, [x, *params.values()], dout)
    return dx, dict(zip(params, grads, strict=True))


def attention_scores(q: Tensor, k: Tensor) -> Tensor:
    """Return the scaled dot product of every query with every key."""
    return torch.einsum("...ie,...je->...ij", q, k) / q.shape[-1] ** 0.5


def causal_mask(seq: int) -> Tensor:
    """Return a lower triangle of True."""
    return torch.ones(seq, seq, dtype=torch.bool).tril()


def padding_mask(lengths: Tensor, seq: int) -> Tensor:
    """Return True for the first `length` keys of each sequence."""
    return torch.arange(seq).expand(*lengths.shape, 1, seq) < lengths[..., None, None]


def masked_softmax_forward(scores: Tensor, mask: Tensor | None = None) -> tuple[Tensor, tuple]:
    """Return the softmax over the allowed keys; NaN rows, where nothing is allowed, become 0."""
    visible = scores if mask is None else scores.masked_fill(~mask, -torch.inf)
    return torch.nan_to_num(torch.softmax(visible, dim=-1)), (scores, mask)


def masked_softmax_backward(dattn: Tensor, cache: tuple) -> Tensor:
    """Return the gradient of the scores; autograd gives NaN in a row with nothing allowed, which means 0."""
    scores = _leaf(cache[0])
    attn, _ = masked_softmax_forward(scores, cache[1])
    return torch.nan_to_num(torch.autograd.grad(attn, scores, dattn)[0])


def attention_forward(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, dict[str, object]]:
    """Return what PyTorch's own attention does, with zeros where nothing is allowed."""
    if mask is not None:
        mask = mask.expand(*q.shape[:-1], k.shape[-2])
        # PyTorch's versions differ in rows with nothing allowed: let them see all, then take it away.
        alive = mask.any(dim=-1, keepdim=True)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask | ~alive) * alive
    else:
        out = F.scaled_dot_product_attention(q, k, v)
    attn, _ = masked_softmax_forward(attention_scores(q, k), mask)
    return out, {"attn": attn, "q": q, "k": k, "v": v, "mask": mask}


def attention_backward(dout: Tensor, cache: dict) -> tuple[Tensor, ...]:
    """Return the gradients of q, k and v."""
    q, k, v = (_leaf(cache[name]) for name in ("q", "k", "v"))
    out, _ = attention_forward(q, k, v, cache["mask"])
    return torch.autograd.grad(out, (q, k, v), dout)


def self_attention_forward(
    x: Tensor, params: Values, mask: Tensor | None = None
) -> tuple[Tensor, dict[str, object]]:
    """Return attention of x with itself through four matrices."""
    out, cache = attention_forward(x @ params["wq"], x @ params["wk"], x @ params["wv"], mask)
    return out @ params["wo"], {"attn": cache["attn"], "x": x, "params": params, "mask": mask}


def self_attention_backward(dout: Tensor, cache: dict) -> tuple[Tensor, Values]:
    """Return the gradients of x and of the matrices."""
    x, params = _leaf(cache["x"]), _leaves(cache["params"])
    return _gradients(self_attention_forward(x, params, cache["mask"])[0], x, params, dout)


def is_permutation_equivariant(f: Callable, x: Tensor, rng: torch.Generator) -> bool:
    """Tell whether f(x) is shuffled as x is, for several random orders."""

    def rows(x: Tensor) -> Tensor:
        out = f(x)
        return out[0] if isinstance(out, tuple) else out

    orders = [torch.randperm(x.shape[-2], generator=rng) for _ in range(20)]
    return all(torch.allclose(rows(x[..., order, :]), rows(x)[..., order, :]) for order in orders)


def non_local_block_forward(x: Tensor, params: Values) -> tuple[Tensor, tuple]:
    """Return the block as its authors write it: 1x1 convolutions, no scale, residual."""

    def conv(x: Tensor, w: Tensor) -> Tensor:
        return F.conv2d(x, w.T[:, :, None, None])

    theta, phi, g = (conv(x, params[name]).flatten(2) for name in ("w_theta", "w_phi", "w_g"))
    attn = torch.softmax(theta.transpose(1, 2) @ phi, dim=-1)
    y = (attn @ g.transpose(1, 2)).transpose(1, 2).reshape(len(x), -1, *x.shape[2:])
    return x + conv(y, params["w_out"]), (x, params)


def non_local_block_backward(dout: Tensor, cache: tuple) -> tuple[Tensor, Values]:
    """Return the gradients of x and of the matrices."""
    x, params = _leaf(cache[0]), _leaves(cache[1])
    return _gradients(non_local_block_forward(x, params)[0], x, params, dout)
