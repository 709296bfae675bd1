"""The stage in PyTorch: functions of the same names, with autograd and torch's own optimizers.

The tests compare every NumPy reference with these in float64. Random draws come from the same
NumPy generator, so that what is compared is the arithmetic.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

STDS = {
    "unit": lambda n: 1.0,
    "tiny": lambda n: 0.01,
    "xavier": lambda n: n**-0.5,
    "he": lambda n: (2 / n) ** 0.5,
}


def xavier_uniform(d_in: int, d_out: int, rng: np.random.Generator) -> Tensor:
    """Return weights (d_in, d_out) from `torch.nn.init`, seeded by `rng`."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    weight = torch.empty(d_out, d_in, dtype=torch.float64)
    return torch.nn.init.xavier_uniform_(weight, generator=generator).T


def he_normal(d_in: int, d_out: int, rng: np.random.Generator) -> Tensor:
    """Return weights (d_in, d_out) from `torch.nn.init`, seeded by `rng`."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    weight = torch.empty(d_out, d_in, dtype=torch.float64)
    return torch.nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator).T


def _stack(
    depth: int, width: int, init: str, rng: np.random.Generator, activation: str, n_examples: int
) -> list[Tensor]:
    """Return the input of a stack and the output of each layer, joined by autograd."""
    bend = {"relu": torch.relu, "tanh": torch.tanh}[activation]
    outs = [torch.from_numpy(rng.standard_normal((n_examples, width))).requires_grad_()]
    for _ in range(depth):
        w = torch.from_numpy(rng.standard_normal((width, width))) * STDS[init](width)
        outs.append(bend(outs[-1] @ w))
    return outs


def activation_variances(
    depth: int,
    width: int,
    init: str,
    rng: np.random.Generator,
    activation: str = "relu",
    n_examples: int = 200,
) -> Tensor:
    """Return the variance of the output of each layer."""
    outs = _stack(depth, width, init, rng, activation, n_examples)
    return torch.stack([out.detach().var(correction=0) for out in outs[1:]])


def gradient_norms(
    depth: int,
    width: int,
    init: str,
    rng: np.random.Generator,
    activation: str = "relu",
    n_examples: int = 200,
) -> Tensor:
    """Return the length of the gradient at the input of each layer, by autograd."""
    outs = _stack(depth, width, init, rng, activation, n_examples)
    g = torch.from_numpy(rng.standard_normal((n_examples, width)))
    grads = torch.autograd.grad(outs[-1], outs[:-1], g / g.norm())
    return torch.stack([grad.norm() for grad in grads])


def dropout_forward(x: Tensor, rate: float, rng: np.random.Generator, training: bool) -> tuple[Tensor, tuple]:
    """Return `F.dropout` of ones times `x`; torch draws the mask, seeded by `rng`."""
    torch.manual_seed(int(rng.integers(2**31)))
    mask = F.dropout(torch.ones_like(x), rate, training)
    return x * mask, (x, mask)


def dropout_backward(dout: Tensor, cache: tuple) -> Tensor:
    """Return the gradient of `x`."""
    x, mask = cache[0].detach().requires_grad_(), cache[1]
    return torch.autograd.grad(x * mask, x, dout)[0]


def _optimize(optimizer_class: type, steps: list[tuple[dict, dict, float]], **options: object) -> list[dict]:
    """Take one step of a torch optimizer for each (params, grads, lr); return the params after each.

    The parameters are set before each step, so that only the optimizer's memory is carried along.
    """
    leaves = {name: value.clone().requires_grad_() for name, value in steps[0][0].items()}
    optimizer = optimizer_class(leaves.values(), lr=steps[0][2], **options)
    after = []
    for params, grads, lr in steps:
        optimizer.param_groups[0]["lr"] = lr
        for name, leaf in leaves.items():
            leaf.data.copy_(params[name])
            leaf.grad = grads[name].clone()
        optimizer.step()
        after.append({name: leaf.detach().clone() for name, leaf in leaves.items()})
    return after


def momentum_step(steps: list[tuple[dict, dict, float]], momentum: float = 0.9) -> list[dict]:
    """Return the parameters after each step of `torch.optim.SGD` with momentum."""
    return _optimize(torch.optim.SGD, steps, momentum=momentum)


def adam_step(
    steps: list[tuple[dict, dict, float]], betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
) -> list[dict]:
    """Return the parameters after each step of `torch.optim.Adam`."""
    return _optimize(torch.optim.Adam, steps, betas=betas, eps=eps)
