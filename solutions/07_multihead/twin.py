"""The stage in PyTorch: functions of the same names, with autograd as the backward.

The tests compare every NumPy reference with these in float64. Nothing here repeats a
formula for a gradient: a backward rebuilds the forward and asks autograd. Attention is
torch's own, and rotary turns complex numbers, so that the two sides share no algorithm.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

Values = dict[str, Tensor]


def _leaf(value: Tensor) -> Tensor:
    return value.detach().clone().requires_grad_()


def split_heads(x: Tensor, n_heads: int) -> Tensor:
    """Return the chunks of the last axis, stacked before seq."""
    return torch.stack(x.chunk(n_heads, dim=-1), dim=-3)


def merge_heads(x: Tensor) -> Tensor:
    """Return the heads concatenated along the last axis."""
    return torch.cat(x.unbind(dim=-3), dim=-1)


def multi_head_attention_forward(
    x_q: Tensor, x_kv: Tensor, params: Values, n_heads: int, mask: Tensor | None = None
) -> tuple[Tensor, tuple]:
    """Return what `torch.nn.functional.scaled_dot_product_attention` makes of each head, joined."""
    q = split_heads(F.linear(x_q, params["wq"].T), n_heads)
    k = split_heads(F.linear(x_kv, params["wk"].T), n_heads)
    v = split_heads(F.linear(x_kv, params["wv"].T), n_heads)
    if mask is not None:
        # torch gives NaN to a query that may see nothing; here it gets zeros.
        seen = mask.expand(*q.shape[:-1], k.shape[-2])
        blind = ~seen.any(dim=-1, keepdim=True)
        heads = F.scaled_dot_product_attention(q, k, v, attn_mask=seen | blind)
        heads = torch.where(blind, torch.zeros_like(heads), heads)
    else:
        heads = F.scaled_dot_product_attention(q, k, v)
    out = F.linear(merge_heads(heads), params["wo"].T)
    return out, (x_q, x_kv, params, n_heads, mask)


def multi_head_attention_backward(dout: Tensor, cache: tuple) -> tuple[Tensor, Tensor, Values]:
    """Return the gradients of both inputs and of the weights."""
    x_q, x_kv, params, n_heads, mask = cache
    leaves = [_leaf(x_q), _leaf(x_kv), *(_leaf(value) for value in params.values())]
    out, _ = multi_head_attention_forward(
        leaves[0], leaves[1], dict(zip(params, leaves[2:], strict=True)), n_heads, mask
    )
    dx_q, dx_kv, *grads = torch.autograd.grad(out, leaves, dout)
    return dx_q, dx_kv, dict(zip(params, grads, strict=True))


def sinusoidal_positions(seq: int, d_model: int) -> Tensor:
    """Return imaginary and real part of unit numbers that turn, taking turns."""
    n_pairs = (d_model + 1) // 2
    frequencies = torch.exp(-torch.arange(n_pairs, dtype=torch.float64) * 2 / d_model * math.log(10000))
    turning = torch.polar(
        torch.ones(seq, n_pairs, dtype=torch.float64),
        torch.outer(torch.arange(seq, dtype=torch.float64), frequencies),
    )
    return torch.stack([turning.imag, turning.real], dim=-1).flatten(1)[:, :d_model]


def rotary_forward(x: Tensor, positions: Tensor) -> Tensor:
    """Return each pair of neighbours, as a complex number, times a number of length 1."""
    pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2).contiguous())
    exponents = -torch.arange(0, x.shape[-1], 2, dtype=torch.float64) / x.shape[-1]
    angles = torch.outer(positions.to(torch.float64), 10000.0**exponents)
    turned = pairs * torch.polar(torch.ones_like(angles), angles)
    return torch.view_as_real(turned).flatten(-2).to(x.dtype)


def rotary_backward(dout: Tensor, positions: Tensor) -> Tensor:
    """Return the gradient of x. The forward is linear, so any x will do."""
    x = _leaf(torch.zeros_like(dout))
    return torch.autograd.grad(rotary_forward(x, positions), x, dout)[0]
