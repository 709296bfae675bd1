"""The stage in PyTorch: functions of the same names, with autograd as the backward.

The tests compare every NumPy reference with these in float64. Nothing here repeats a
formula for a gradient: a backward rebuilds the forward and asks autograd.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORED = -1


def affine_forward(x: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, tuple]:
    """Return `x @ w + b` and what the backward needs."""
    return F.linear(x, w.T, b), (x, w, b)


def affine_backward(dout: Tensor, cache: tuple) -> tuple[Tensor, ...]:
    """Return the gradients of `x`, `w` and `b`."""
    leaves = [value.detach().requires_grad_() for value in cache]
    out, _ = affine_forward(*leaves)
    return torch.autograd.grad(out, leaves, dout)


def softmax_forward(x: Tensor) -> Tensor:
    """Return the softmax over the last axis."""
    return torch.softmax(x, dim=-1)


def softmax_backward(dout: Tensor, out: Tensor) -> Tensor:
    """Return the gradient of the scores, given the probabilities they produced."""
    # Any scores with these probabilities will do; log(out) is one choice.
    x = out.log().detach().requires_grad_()
    return torch.autograd.grad(softmax_forward(x), x, dout)[0]


def cross_entropy_forward(logits: Tensor, labels: Tensor) -> tuple[Tensor, tuple]:
    """Return the mean loss over labels other than -1, in nats; 0 if there are none."""
    flat, targets = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)
    total = F.cross_entropy(flat, targets, ignore_index=IGNORED, reduction="sum")
    return total / max(int((targets != IGNORED).sum()), 1), (logits, labels)


def cross_entropy_backward(dloss: float, cache: tuple) -> Tensor:
    """Return the gradient of the logits."""
    logits = cache[0].detach().requires_grad_()
    loss, _ = cross_entropy_forward(logits, cache[1])
    return torch.autograd.grad(loss, logits, torch.as_tensor(dloss, dtype=loss.dtype))[0]


def sgd_step(params: dict[str, Tensor], grads: dict[str, Tensor], lr: float) -> dict[str, Tensor]:
    """Return the parameters after one step of `torch.optim.SGD`."""
    leaves = {name: value.detach().clone().requires_grad_() for name, value in params.items()}
    for name, leaf in leaves.items():
        leaf.grad = grads[name].clone()
    torch.optim.SGD(leaves.values(), lr=lr).step()
    return {name: leaf.detach() for name, leaf in leaves.items()}


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Return the share of rows whose largest logit is the label's."""
    return (logits.argmax(dim=-1) == labels).double().mean().item()


def perceptron_step(x: Tensor, y: Tensor, w: Tensor, b: float, lr: float) -> tuple[Tensor, Tensor]:
    """Return weights and bias after one online pass: SGD on max(0, -margin), one example a step.

    At margin 0 the hinge has no derivative; Rosenblatt's rule takes the side that moves.
    """
    w, bias = w.clone().requires_grad_(), torch.as_tensor(b, dtype=w.dtype).clone().requires_grad_()
    optimizer = torch.optim.SGD([w, bias], lr=lr)
    for x_i, y_i in zip(x, y, strict=True):
        margin = y_i * (x_i @ w + bias)
        if margin <= 0:
            optimizer.zero_grad()
            (-margin).backward()
            optimizer.step()
    return w.detach(), bias.detach()
