"""The stage in PyTorch: functions of the same names, with autograd as the backward.

The tests compare every NumPy reference with these in float64. Nothing here repeats a
formula for a gradient: a backward rebuilds the forward and asks autograd.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def adamw_step(
    steps: list[tuple[dict, dict, float]],
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
) -> list[dict]:
    """Take one step of `torch.optim.AdamW` for each (params, grads, lr); return the params after each.

    The parameters are set before each step, so that only the optimizer's memory is carried along.
    """
    leaves = {name: value.clone().requires_grad_() for name, value in steps[0][0].items()}
    optimizer = torch.optim.AdamW(leaves.values(), betas=betas, eps=eps, weight_decay=weight_decay)
    after = []
    for params, grads, lr in steps:
        optimizer.param_groups[0]["lr"] = lr
        for name, leaf in leaves.items():
            leaf.data.copy_(params[name])
            leaf.grad = grads[name].clone()
        optimizer.step()
        after.append({name: leaf.detach().clone() for name, leaf in leaves.items()})
    return after


def clip_gradients(grads: dict[str, Tensor], max_norm: float) -> tuple[dict[str, Tensor], Tensor]:
    """Return the gradients with their common norm limited, and the norm.

    As `torch.nn.utils.clip_grad_norm_`, without the 1e-6 that it adds to the norm.
    """
    norm = torch.linalg.vector_norm(torch.cat([grad.double().flatten() for grad in grads.values()]))
    return {name: grad * (max_norm / norm).clamp(max=1.0) for name, grad in grads.items()}, norm


def cosine_schedule(step: int, warmup: int, total: int, lr_max: float, lr_min: float) -> float:
    """Return the rate of `LinearLR`, then of `CosineAnnealingLR`, after that many steps."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr_max)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total - warmup, lr_min)
    if step < warmup:
        rising = torch.optim.lr_scheduler.LinearLR(optimizer, 1e-300, 1.0, warmup)
        scheduler, n_steps = rising, step
    else:
        scheduler, n_steps = falling, min(step, total) - warmup
    for _ in range(n_steps):
        optimizer.step()
        scheduler.step()
    return optimizer.param_groups[0]["lr"]


def next_token_logits(logits: Tensor) -> Tensor:
    """Return the scores of the last position."""
    return logits.select(-2, -1).clone()


def probabilities(logits: Tensor, temperature: float, top_k: int | None, top_p: float | None) -> Tensor:
    """Return what `sample` draws from, by `topk` and `sort`."""
    scores = logits / temperature
    if top_k is not None and top_k < scores.shape[-1]:
        values, places = scores.topk(top_k)
        scores = torch.full_like(scores, -torch.inf).scatter(-1, places, values)
    probs = scores.softmax(dim=-1)
    if top_p is not None:
        falling, places = probs.sort(dim=-1, descending=True, stable=True)
        falling = falling.masked_fill(falling.cumsum(dim=-1) - falling >= top_p, 0.0)
        probs = torch.zeros_like(probs).scatter(-1, places, falling)
    return probs / probs.sum(dim=-1, keepdim=True)


def sample(
    logits: Tensor, temperature: float, top_k: int | None, top_p: float | None, rng: np.random.Generator
) -> Tensor:
    """Draw one token per row with `torch.multinomial`, seeded by `rng`."""
    if temperature == 0:
        return logits.argmax(dim=-1)
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    probs = probabilities(logits, temperature, top_k, top_p)
    return torch.multinomial(probs.flatten(0, -2), 1, generator=generator).reshape(probs.shape[:-1])


Values = dict[str, Tensor]


def _part(params: Values, prefix: str) -> Values:
    return {name.removeprefix(prefix): value for name, value in params.items() if name.startswith(prefix)}


def _norm(x: Tensor, params: Values, name: str) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], params[f"{name}.gamma"], params[f"{name}.beta"], 1e-5)


def _heads(x: Tensor, n_heads: int) -> Tensor:
    return x.unflatten(-1, (n_heads, -1)).transpose(1, 2)


def gpt_forward(tokens: Tensor, params: Values, config: dict[str, int]) -> tuple[Tensor, tuple]:
    """Return the logits; PyTorch's own attention, with its own causal mask."""
    x = F.embedding(tokens, params["table"]) + params["positions"][: tokens.shape[1]]
    for i in range(config["n_layers"]):
        block = _part(params, f"block{i}.")
        h = _norm(x, block, "norm1")
        q, k, v = (_heads(h @ block[f"attn.{name}"], config["n_heads"]) for name in ("wq", "wk", "wv"))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + mixed.transpose(1, 2).flatten(2) @ block["attn.wo"]
        h = _norm(x, block, "norm2")
        bent = F.gelu(h @ block["ff.w1"] + block["ff.b1"], approximate="tanh")
        x = x + bent @ block["ff.w2"] + block["ff.b2"]
    return _norm(x, params, "norm") @ params["table"].T, (tokens, params, config)


def gpt_backward(dlogits: Tensor, cache: tuple) -> Values:
    """Return the gradients of all parameters."""
    tokens, params, config = cache
    params = {name: value.detach().clone().requires_grad_() for name, value in params.items()}
    logits, _ = gpt_forward(tokens, params, config)
    return dict(zip(params, torch.autograd.grad(logits, list(params.values()), dlogits), strict=True))


def gpt_decode_step(
    token: Tensor, kv_cache: Values, params: Values, config: dict[str, int]
) -> tuple[Tensor, Values]:
    """Return the last row of the full forward; this cache simply holds the tokens."""
    tokens = torch.cat([kv_cache["tokens"], token[:, None]], dim=1) if kv_cache else token[:, None]
    return gpt_forward(tokens, params, config)[0][:, -1], {"tokens": tokens}


def gpt_step_on_kernels(
    tokens: Tensor, labels: Tensor, params: Values, config: dict[str, int]
) -> tuple[float, Values]:
    """Return loss and gradients of one step."""
    params = {name: value.detach().clone().requires_grad_() for name, value in params.items()}
    logits, _ = gpt_forward(tokens, params, config)
    loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-1)
    return float(loss.detach()), dict(
        zip(params, torch.autograd.grad(loss, list(params.values())), strict=True)
    )


def generate_on_kernels(tokens: Tensor, params: Values, config: dict[str, int], n_new: int) -> Tensor:
    """Return the prompts, continued greedily."""
    for _ in range(n_new):
        best = gpt_forward(tokens, params, config)[0][:, -1].argmax(dim=-1)
        tokens = torch.cat([tokens, best[:, None]], dim=1)
    return tokens
