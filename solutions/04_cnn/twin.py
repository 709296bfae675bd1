"""The stage in PyTorch: functions of the same names, with autograd as the backward.

The tests compare every NumPy reference with these in float64. Nothing here repeats a
formula for a gradient: a backward rebuilds the forward and asks autograd.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Size = int | tuple[int, int]


def im2col(x: Tensor, kh: int, kw: int, stride: Size, padding: Size) -> Tensor:
    """Return every window as one row; `unfold` has them as columns, picture by picture."""
    columns = F.unfold(x, (kh, kw), stride=stride, padding=padding)
    return columns.transpose(1, 2).reshape(-1, columns.shape[1])


def col2im(
    cols: Tensor, x_shape: tuple[int, int, int, int], kh: int, kw: int, stride: Size, padding: Size
) -> Tensor:
    """Return the sum of all windows at their places."""
    columns = cols.reshape(x_shape[0], -1, cols.shape[1]).transpose(1, 2)
    return F.fold(columns, x_shape[2:], (kh, kw), stride=stride, padding=padding)


def conv2d_forward(x: Tensor, w: Tensor, b: Tensor, stride: Size, padding: Size) -> tuple[Tensor, tuple]:
    """Return `F.conv2d` and what the backward needs."""
    return F.conv2d(x, w, b, stride, padding), ((x, w, b), stride, padding)


def conv2d_backward(dout: Tensor, cache: tuple) -> tuple[Tensor, ...]:
    """Return the gradients of `x`, `w` and `b`."""
    arrays, stride, padding = cache
    leaves = [value.detach().requires_grad_() for value in arrays]
    out, _ = conv2d_forward(leaves[0], leaves[1], leaves[2], stride, padding)
    return torch.autograd.grad(out, leaves, dout)


def conv_as_affine(w: Tensor, h: int, w_in: int, stride: Size, padding: Size) -> Tensor:
    """Return the matrix of the convolution: its Jacobian at 0, transposed."""
    zero = torch.zeros(1, w.shape[1], h, w_in, dtype=w.dtype)
    jacobian = torch.autograd.functional.jacobian(lambda x: F.conv2d(x, w, None, stride, padding), zero)
    assert isinstance(jacobian, Tensor)
    return jacobian.reshape(-1, zero.numel()).T


def max_pool_forward(x: Tensor, size: Size, stride: Size) -> tuple[Tensor, tuple]:
    """Return `F.max_pool2d` and what the backward needs."""
    return F.max_pool2d(x, size, stride), (x, size, stride)


def max_pool_backward(dout: Tensor, cache: tuple) -> Tensor:
    """Return the gradient of `x`."""
    return _pool_backward(max_pool_forward, dout, cache)


def avg_pool_forward(x: Tensor, size: Size, stride: Size) -> tuple[Tensor, tuple]:
    """Return `F.avg_pool2d` and what the backward needs."""
    return F.avg_pool2d(x, size, stride), (x, size, stride)


def avg_pool_backward(dout: Tensor, cache: tuple) -> Tensor:
    """Return the gradient of `x`."""
    return _pool_backward(avg_pool_forward, dout, cache)


def global_avg_pool_forward(x: Tensor) -> tuple[Tensor, tuple]:
    """Return `F.adaptive_avg_pool2d` to one number per map, and what the backward needs."""
    return F.adaptive_avg_pool2d(x, 1).flatten(1), (x,)


def global_avg_pool_backward(dout: Tensor, cache: tuple) -> Tensor:
    """Return the gradient of `x`."""
    return _pool_backward(global_avg_pool_forward, dout, cache)


def _pool_backward(forward: Callable[..., tuple[Tensor, tuple]], dout: Tensor, cache: tuple) -> Tensor:
    """Rebuild the forward on a leaf and ask autograd."""
    x = cache[0].detach().requires_grad_()
    out, _ = forward(x, *cache[1:])
    return torch.autograd.grad(out, x, dout)[0]
