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


def batch_norm_forward(
    x: Tensor,
    gamma: Tensor,
    beta: Tensor,
    running: Values,
    training: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Tensor, tuple, Values]:
    """Return what `torch.nn.functional.batch_norm` does, and the running values after it."""
    moved = {name: value.clone() for name, value in running.items()}
    out = F.batch_norm(x, moved["mean"], moved["var"], gamma, beta, training, momentum, eps)
    return out, (x, gamma, beta, running, training, momentum, eps), moved


def batch_norm_backward(dout: Tensor, cache: tuple) -> tuple[Tensor, ...]:
    """Return the gradients of x, gamma and beta."""
    leaves = [_leaf(value) for value in cache[:3]]
    out, _, _ = batch_norm_forward(*leaves, *cache[3:])
    return torch.autograd.grad(out, leaves, dout)


def residual_forward(x: Tensor, f: Callable[[Tensor], Tensor]) -> tuple[Tensor, tuple]:
    """Return `x + f(x)`."""
    return x + f(x), (x, f)


def residual_backward(dout: Tensor, cache: tuple) -> Tensor:
    """Return the gradient of x, through f and past it."""
    x = _leaf(cache[0])
    return torch.autograd.grad(residual_forward(x, cache[1])[0], x, dout)[0]


def _conv_norm(x: Tensor, params: Values, running: Values, suffix: str, stride: int, training: bool):
    w = params[f"w{suffix}"]
    out = F.conv2d(x, w, stride=stride, padding=w.shape[-1] // 2)
    stats = {"mean": running[f"mean{suffix}"], "var": running[f"var{suffix}"]}
    gamma, beta = params[f"gamma{suffix}"], params[f"beta{suffix}"]
    out, _, stats = batch_norm_forward(out, gamma, beta, stats, training)
    return out, {f"mean{suffix}": stats["mean"], f"var{suffix}": stats["var"]}


def basic_block_forward(
    x: Tensor,
    params: Values,
    stride: int,
    running: Values,
    training: bool = True,
    shortcut: bool = True,
) -> tuple[Tensor, dict]:
    """Return what torchvision's BasicBlock does, and a cache with the running values after it."""
    branch, new1 = _conv_norm(x, params, running, "1", stride, training)
    branch, new2 = _conv_norm(F.relu(branch), params, running, "2", 1, training)
    skip, new_skip = x, {}
    if "w_skip" in params:
        skip, new_skip = _conv_norm(x, params, running, "_skip", stride, training)
    out = F.relu(branch + skip if shortcut else branch)
    arguments = (x, params, stride, running, training, shortcut)
    return out, {"arguments": arguments, "running": new1 | new2 | new_skip}


def basic_block_backward(dout: Tensor, cache: dict) -> tuple[Tensor, Values]:
    """Return the gradients of x and of all parameters."""
    x, params, *rest = cache["arguments"]
    x, params = _leaf(x), {name: _leaf(value) for name, value in params.items()}
    out, _ = basic_block_forward(x, params, *rest)
    dx, *grads = torch.autograd.grad(out, [x, *params.values()], dout)
    return dx, dict(zip(params, grads, strict=True))


def _cut(values: Values, prefix: str) -> Values:
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}


def resnet_forward(
    x: Tensor, params: Values, running: Values, training: bool = True, shortcut: bool = True
) -> tuple[Tensor, dict]:
    """Return the logits, and a cache with the running values after it."""
    arguments = (x, params, running, training, shortcut)
    x, new = _conv_norm(x, params, running, "_stem", 1, training)
    x, i = F.relu(x), 0
    while f"block{i}_w1" in params:
        block, stats = _cut(params, f"block{i}_"), _cut(running, f"block{i}_")
        stride = 1 if block["w1"].shape[0] == block["w1"].shape[1] else 2
        x, cache = basic_block_forward(x, block, stride, stats, training, shortcut)
        new |= {f"block{i}_{name}": value for name, value in cache["running"].items()}
        i += 1
    logits = F.linear(x.mean(dim=(2, 3)), params["w_head"].T, params["b_head"])
    return logits, {"arguments": arguments, "running": new}


def resnet_backward(dlogits: Tensor, cache: dict) -> Values:
    """Return the gradients of all parameters."""
    x, params, *rest = cache["arguments"]
    params = {name: _leaf(value) for name, value in params.items()}
    logits, _ = resnet_forward(x, params, *rest)
    return dict(zip(params, torch.autograd.grad(logits, list(params.values()), dlogits), strict=True))
