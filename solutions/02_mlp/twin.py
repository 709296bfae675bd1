"""The stage in PyTorch: functions of the same names, with autograd as the backward.

The tests compare every NumPy reference with these in float64. Nothing here repeats a
formula for a gradient: a backward rebuilds the forward and asks autograd.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def _gradient(forward: Callable[..., Tensor], x: Tensor, dout: Tensor) -> Tensor:
    """Return the gradient of x by autograd."""
    leaf = x.detach().requires_grad_()
    return torch.autograd.grad(forward(leaf), leaf, dout)[0]


def relu_forward(x: Tensor) -> tuple[Tensor, tuple]:
    """Return max(x, 0) and what the backward needs."""
    return torch.relu(x), (x,)


def relu_backward(dout: Tensor, cache: tuple) -> Tensor:
    """Return the gradient of x; autograd takes 0 at 0, too."""
    return _gradient(torch.relu, cache[0], dout)


def sigmoid_forward(x: Tensor) -> tuple[Tensor, tuple]:
    """Return the sigmoid and what the backward needs."""
    return torch.sigmoid(x), (x,)


def sigmoid_backward(dout: Tensor, cache: tuple) -> Tensor:
    """Return the gradient of x."""
    return _gradient(torch.sigmoid, cache[0], dout)


def tanh_forward(x: Tensor) -> tuple[Tensor, tuple]:
    """Return tanh and what the backward needs."""
    return torch.tanh(x), (x,)


def tanh_backward(dout: Tensor, cache: tuple) -> Tensor:
    """Return the gradient of x."""
    return _gradient(torch.tanh, cache[0], dout)


def leaky_relu_forward(x: Tensor, slope: float = 0.01) -> tuple[Tensor, tuple]:
    """Return x where it is positive, slope * x elsewhere, and what the backward needs."""
    return F.leaky_relu(x, slope), (x, slope)


def leaky_relu_backward(dout: Tensor, cache: tuple) -> Tensor:
    """Return the gradient of x; at 0 it takes the left side."""
    x, slope = cache
    return _gradient(lambda leaf: F.leaky_relu(leaf, slope), x, dout)


def network(params: dict[str, Tensor]) -> torch.nn.Sequential:
    """Return the network of linear layers and ReLUs that has these weights."""
    layers: list[torch.nn.Module] = []
    for i in range(len(params) // 2):
        w, b = params[f"w{i}"], params[f"b{i}"]
        linear = torch.nn.Linear(*w.shape, dtype=w.dtype)
        linear.weight.data, linear.bias.data = w.T.clone(), b.clone()
        layers += [torch.nn.ReLU(), linear]
    return torch.nn.Sequential(*layers[1:])


def mlp_forward(x: Tensor, params: dict[str, Tensor]) -> tuple[Tensor, tuple]:
    """Return the logits of the network and what the backward needs."""
    return network(params)(x).detach(), (x, params)


def mlp_backward(dlogits: Tensor, cache: tuple) -> dict[str, Tensor]:
    """Return the gradients of all parameters, in the layout (d_in, d_out)."""
    x, params = cache
    net = network(params)
    net(x).backward(dlogits)
    grads = {}
    for i, linear in enumerate(layer for layer in net if isinstance(layer, torch.nn.Linear)):
        grads[f"w{i}"], grads[f"b{i}"] = linear.weight.grad.T, linear.bias.grad
    return grads


def collapse_affine(w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> tuple[Tensor, Tensor]:
    """Return the single layer, read off from what the two do to zero and to the unit vectors."""
    both = torch.nn.Sequential(
        *(m for m in network({"w0": w1, "b0": b1, "w1": w2, "b1": b2}) if isinstance(m, torch.nn.Linear))
    )
    with torch.no_grad():
        b = both(torch.zeros(w1.shape[0], dtype=w1.dtype))
        return both(torch.eye(w1.shape[0], dtype=w1.dtype)) - b, b


def relu_interpolant(knots: Tensor, values: Tensor) -> dict[str, Tensor]:
    """Return hinges at the knots, with weights from a linear system instead of from slopes."""
    hinges = torch.relu(knots[1:, None] - knots[None, :-1])
    weights = torch.linalg.solve_triangular(hinges, (values[1:] - values[0])[:, None], upper=False)
    return {
        "w0": torch.ones(1, len(weights), dtype=values.dtype),
        "b0": -knots[:-1],
        "w1": weights,
        "b1": values[:1],
    }


def linear_regions(params: dict[str, Tensor], low: float, high: float, n_samples: int = 100_001) -> int:
    """Count runs of equal slope on a fine grid; autograd gives the slopes.

    It misses pieces shorter than the grid, so tests use networks without any.
    """
    x = torch.linspace(low, high, n_samples, dtype=torch.float64)[1:-1, None].requires_grad_()
    slopes = torch.autograd.grad(network(params)(x).sum(), x)[0][:, 0]
    scale = slopes.abs().max().clamp_min(1e-300)
    return 1 + int(((slopes[1:] - slopes[:-1]).abs() > 1e-9 * scale).sum())


def check_gradient(f: Callable[[Tensor], Tensor], x: Tensor, dout: Tensor, rng: np.random.Generator) -> float:
    """Return the slope along the direction that rng gives: the gradient times that direction."""
    v = torch.from_numpy(np.asarray(rng.standard_normal(tuple(x.shape))))
    return float((_gradient(f, x, dout) * v).sum())


def affine_relu_forward(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """Return relu(x @ w + b)."""
    return torch.relu(F.linear(x, w.T, b))


def matmul_tiled(a: Tensor, b: Tensor) -> Tensor:
    """Return a @ b; tiles are the kernel's affair."""
    return a @ b
