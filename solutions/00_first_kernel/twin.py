"""PyTorch twin of stage 00: the same six operations, under the same names, in one line each."""

from __future__ import annotations

import torch


def add_forward(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """out[i] = a[i] + b[i]."""
    return a + b


def scale_shift(x: torch.Tensor, alpha: float, beta: float) -> torch.Tensor:
    """out[i] = alpha * x[i] + beta."""
    return alpha * x + beta


def transpose(x: torch.Tensor) -> torch.Tensor:
    """out[j, i] = x[i, j], in memory of its own."""
    return x.T.contiguous()


def row_sum(x: torch.Tensor) -> torch.Tensor:
    """out[r] = sum_c x[r, c]."""
    return x.sum(dim=1)


def row_max(x: torch.Tensor) -> torch.Tensor:
    """out[r] = max_c x[r, c]."""
    return x.amax(dim=1)


def histogram(x: torch.Tensor, n_bins: int) -> torch.Tensor:
    """counts[k] = how many i have x[i] == k; other values are not counted."""
    return torch.bincount(x[(x >= 0) & (x < n_bins)], minlength=n_bins)


def workgroups_for(n: int, workgroup_size: int) -> int:
    """The smallest k with k * workgroup_size >= n."""
    return -(-n // workgroup_size)
