"""The stage in PyTorch: functions of the same names, with autograd as the backward.

The tests compare every NumPy reference with these in float64. Nothing here repeats a
formula for a gradient: a backward rebuilds the forward and asks autograd.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Values = dict[str, Tensor]


def _leaf(value: Tensor) -> Tensor:
    return value.detach().clone().requires_grad_()


# The components --------------------------------------------------------------------------------------


def embedding_forward(tokens: Tensor, table: Tensor) -> tuple[Tensor, tuple]:
    """Return what `torch.nn.functional.embedding` does."""
    return F.embedding(tokens, table), (tokens, table)


def embedding_backward(dout: Tensor, cache: tuple) -> Tensor:
    """Return the gradient of the table."""
    table = _leaf(cache[1])
    return torch.autograd.grad(embedding_forward(cache[0], table)[0], table, dout)[0]


def layer_norm_forward(x: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5) -> tuple[Tensor, tuple]:
    """Return what `torch.nn.functional.layer_norm` does over the last axis."""
    return F.layer_norm(x, x.shape[-1:], gamma, beta, eps), (x, gamma, beta, eps)


def layer_norm_backward(dout: Tensor, cache: tuple) -> tuple[Tensor, ...]:
    """Return the gradients of x, gamma and beta."""
    leaves = [_leaf(value) for value in cache[:3]]
    return torch.autograd.grad(layer_norm_forward(*leaves, *cache[3:])[0], leaves, dout)


def rms_norm_forward(x: Tensor, gamma: Tensor, eps: float = 1e-5) -> tuple[Tensor, tuple]:
    """Return what `torch.nn.functional.rms_norm` does over the last axis."""
    return F.rms_norm(x, x.shape[-1:], gamma, eps), (x, gamma, eps)


def rms_norm_backward(dout: Tensor, cache: tuple) -> tuple[Tensor, ...]:
    """Return the gradients of x and gamma."""
    leaves = [_leaf(value) for value in cache[:2]]
    return torch.autograd.grad(rms_norm_forward(*leaves, *cache[2:])[0], leaves, dout)


def gelu_forward(x: Tensor, approximate: str = "none") -> tuple[Tensor, tuple]:
    """Return what `torch.nn.functional.gelu` does."""
    return F.gelu(x, approximate=approximate), (x, approximate)


def gelu_backward(dout: Tensor, cache: tuple) -> Tensor:
    """Return the gradient of x."""
    x = _leaf(cache[0])
    return torch.autograd.grad(gelu_forward(x, cache[1])[0], x, dout)[0]


def feed_forward_forward(x: Tensor, params: Values) -> tuple[Tensor, tuple]:
    """Widen, bend, narrow."""
    hidden = F.gelu(x @ params["w1"] + params["b1"], approximate="tanh")
    return hidden @ params["w2"] + params["b2"], (x, params)


def feed_forward_backward(dout: Tensor, cache: tuple) -> tuple[Tensor, Values]:
    """Return the gradient of x and those of the parameters."""
    x, params = _leaf(cache[0]), {name: _leaf(value) for name, value in cache[1].items()}
    out, _ = feed_forward_forward(x, params)
    dx, *grads = torch.autograd.grad(out, [x, *params.values()], dout)
    return dx, dict(zip(params, grads, strict=True))


def _norm(x: Tensor, params: Values, name: str, without: Sequence[str]) -> Tensor:
    if "norm" in without:
        return x
    return F.layer_norm(x, x.shape[-1:], params[f"{name}.gamma"], params[f"{name}.beta"])


def _attend(x_q: Tensor, x_kv: Tensor, params: Values, prefix: str, n_heads: int, mask: Tensor | None):
    """Project, split, attend, merge; return the result and the weights (batch, n_heads, n_queries, n_keys)."""
    q, k, v = (
        (x @ params[f"{prefix}.{name}"]).unflatten(-1, (n_heads, -1)).transpose(1, 2)
        for x, name in ((x_q, "wq"), (x_kv, "wk"), (x_kv, "wv"))
    )
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    if mask is not None:
        mask = mask[:, None] if mask.ndim == 3 else mask
        scores = scores.masked_fill(~mask, -math.inf)
    # A row of nothing but -inf is NaN after the softmax; here it weighs nothing.
    attn = scores.softmax(dim=-1).nan_to_num()
    return (attn @ v).transpose(1, 2).flatten(-2) @ params[f"{prefix}.wo"], attn


def _branch(
    x: Tensor, f: Callable[[Tensor], Tensor], params: Values, name: str, norm: str, without: Sequence[str]
) -> Tensor:
    """One branch of a block: the norm before or after, the sum between."""
    added = f(_norm(x, params, name, without) if norm == "pre" else x)
    x = added if "residual" in without else x + added
    return _norm(x, params, name, without) if norm == "post" else x


def _feed_forward(params: Values) -> Callable[[Tensor], Tensor]:
    def apply(x: Tensor) -> Tensor:
        hidden = F.gelu(x @ params["ff.w1"] + params["ff.b1"], approximate="tanh")
        return hidden @ params["ff.w2"] + params["ff.b2"]

    return apply


def encoder_block_forward(
    x: Tensor,
    params: Values,
    n_heads: int,
    mask: Tensor | None = None,
    norm: str = "pre",
    without: Sequence[str] = (),
) -> tuple[Tensor, tuple]:
    """Return what `torch.nn.TransformerEncoderLayer` without biases in its attention does."""
    cache = (x, params, n_heads, mask, norm, without)
    x = _branch(x, lambda h: _attend(h, h, params, "attn", n_heads, mask)[0], params, "norm1", norm, without)
    if "feed_forward" not in without:
        x = _branch(x, _feed_forward(params), params, "norm2", norm, without)
    return x, cache


def encoder_block_backward(dout: Tensor, cache: tuple) -> tuple[Tensor, Values]:
    """Return the gradients of x and of all parameters."""
    (dx,), grads = _gradients(encoder_block_forward, dout, cache, n_inputs=1)
    return dx, grads


def decoder_block_forward(
    x: Tensor,
    memory: Tensor,
    params: Values,
    n_heads: int,
    self_mask: Tensor | None = None,
    cross_mask: Tensor | None = None,
    norm: str = "pre",
    without: Sequence[str] = (),
) -> tuple[Tensor, tuple]:
    """Return what `torch.nn.TransformerDecoderLayer` without biases in its attentions does."""
    cache = (x, memory, params, n_heads, self_mask, cross_mask, norm, without)
    x = _branch(
        x, lambda h: _attend(h, h, params, "self", n_heads, self_mask)[0], params, "norm1", norm, without
    )
    x = _branch(
        x,
        lambda h: _attend(h, memory, params, "cross", n_heads, cross_mask)[0],
        params,
        "norm2",
        norm,
        without,
    )
    if "feed_forward" not in without:
        x = _branch(x, _feed_forward(params), params, "norm3", norm, without)
    return x, cache


def decoder_block_backward(dout: Tensor, cache: tuple) -> tuple[Tensor, Tensor, Values]:
    """Return the gradients of x, of the memory and of all parameters."""
    (dx, dmemory), grads = _gradients(decoder_block_forward, dout, cache, n_inputs=2)
    return dx, dmemory, grads


def _gradients(forward: Callable, dout: Tensor, cache: tuple, n_inputs: int) -> tuple[list[Tensor], Values]:
    inputs = [_leaf(value) for value in cache[:n_inputs]]
    params = {name: _leaf(value) for name, value in cache[n_inputs].items()}
    out, _ = forward(*inputs, params, *cache[n_inputs + 1 :])
    leaves = [*inputs, *params.values()]
    found = torch.autograd.grad(out, leaves, dout, allow_unused=True)
    found = [torch.zeros_like(x) if g is None else g for x, g in zip(leaves, found, strict=True)]
    return found[:n_inputs], dict(zip(params, found[n_inputs:], strict=True))


def _positions(seq: int, d_model: int, dtype: torch.dtype) -> Tensor:
    place, i = (
        torch.arange(seq, dtype=torch.float64)[:, None],
        torch.arange(0, d_model, 2, dtype=torch.float64),
    )
    angles = place / 10000 ** (i / d_model)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)[:, :d_model].to(dtype)


def transformer_forward(src: Tensor, tgt: Tensor, params: Values, config: dict) -> tuple[Tensor, tuple]:
    """Return the logits of encoder and decoder; all arguments are the cache."""
    norm, without = config["norm"], tuple(config.get("without", ()))
    tables = [params["table"] if "table" in params else params[f"{side}_table"] for side in ("src", "tgt")]
    x, y = (
        F.embedding(tokens, table) * math.sqrt(table.shape[1])
        for tokens, table in zip((src, tgt), tables, strict=True)
    )
    if "positions" not in without:
        x, y = (h + _positions(h.shape[1], h.shape[2], h.dtype) for h in (x, y))
    src_mask = (src != config["pad"])[:, None, :]
    tgt_mask = torch.ones(tgt.shape[1], tgt.shape[1], dtype=torch.bool).tril()
    for i in range(config["n_layers"]):
        own = _part(params, f"enc{i}.")
        x, _ = encoder_block_forward(x, own, config["n_heads"], src_mask, norm, without)
    if norm == "pre":
        x = _norm(x, params, "enc_norm", without)
    for i in range(config["n_layers"]):
        own = _part(params, f"dec{i}.")
        y, _ = decoder_block_forward(y, x, own, config["n_heads"], tgt_mask, src_mask, norm, without)
    if norm == "pre":
        y = _norm(y, params, "dec_norm", without)
    w_out = params["w_out"] if "w_out" in params else tables[1].T
    return y @ w_out, (params, src, tgt, config)


def _part(params: Values, prefix: str) -> Values:
    return {name.removeprefix(prefix): value for name, value in params.items() if name.startswith(prefix)}


def transformer_backward(dlogits: Tensor, cache: tuple) -> Values:
    """Return the gradients of all parameters."""
    params, src, tgt, config = cache

    def forward(params: Values) -> tuple[Tensor, tuple]:
        return transformer_forward(src, tgt, params, config)

    return _gradients(forward, dlogits, (params,), n_inputs=0)[1]


def greedy_decode(src: Tensor, params: Values, config: dict, bos: int, eos: int, max_len: int) -> Tensor:
    """Return the most likely next token again and again, `pad` after `eos`."""
    written = torch.full((len(src), 1), bos)
    for _ in range(max_len):
        logits, _ = transformer_forward(src, written, params, config)
        written = torch.cat([written, logits[:, -1:].argmax(dim=-1)], dim=1)
    ended = (written[:, 1:] == eos).cumsum(dim=1) - (written[:, 1:] == eos).long() > 0
    return written[:, 1:].masked_fill(ended, config["pad"])


def ablate(config: dict, part: str) -> dict:
    """Return the configuration without `part`."""
    left_out = [] if part == "heads" else [part]
    without = tuple(dict.fromkeys([*config.get("without", ()), *left_out]))
    return config | {"without": without} | ({"n_heads": 1} if part == "heads" else {})


def fix_the_transformer(tokens: Tensor, params: Values, n_heads: int, pad: int = 0) -> tuple[Tensor, float]:
    """Return the logits and the loss, from PyTorch's own attention and layer norm."""
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    x = F.embedding(inputs, params["table"]) + params["positions"][: inputs.shape[1]]
    read = _norm(x, params, "norm1", ())
    q, k, v = (
        (read @ params[name]).unflatten(-1, (n_heads, -1)).transpose(1, 2) for name in ("wq", "wk", "wv")
    )
    heads = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    x = x + heads.transpose(1, 2).flatten(-2) @ params["wo"]
    hidden = F.gelu(_norm(x, params, "norm2", ()) @ params["w1"] + params["b1"], approximate="tanh")
    x = x + hidden @ params["w2"] + params["b2"]
    logits = _norm(x, params, "norm", ()) @ params["w_out"] + params["b_out"]
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=pad)
    return logits, loss.item()
