"""Visible checks of the kernels: small numbers worked out by hand, and the interpreter's verdict.

The hidden tests ask more: other sizes, extreme channels, sums that are exactly 0.
"""

import numpy as np
import pytest

from gradschool.grading import expect_close

ROOT = np.sqrt(5.0)
# Two pictures, two channels of 1x2. Channel 0 holds 1, 3, 5, 7; channel 1 holds 0, 0, 4, 4.
X = np.float32([[[[1, 3]], [[0, 0]]], [[[5, 7]], [[4, 4]]]])
GAMMA = np.float32([2, 1])


def numbers(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.exercise("batch_norm_forward.wgsl")
def test_batch_norm_forward_kernel_on_two_channels(kernel):
    got = kernel("batch_norm_forward.wgsl", x=X, gamma=GAMMA, beta=np.float32([10, 0]), eps=1e-9)
    want = [[[[10 - 6 / ROOT, 10 - 2 / ROOT]], [[-1, -1]]], [[[10 + 2 / ROOT, 10 + 6 / ROOT]], [[1, 1]]]]
    expect_close(got["mean"], np.float32([4, 2]), 1e-5, what="mean")
    expect_close(got["variance"], np.float32([5, 4]), 1e-5, what="variance")
    expect_close(got["out"], np.float32(want), 1e-5, what="out")


@pytest.mark.exercise("batch_norm_forward.wgsl")
def test_batch_norm_forward_kernel_is_safe(kernel, rng):
    x, gamma, beta = numbers(rng, 3, 2, 5, 5), numbers(rng, 2), numbers(rng, 2)
    kernel.safety("batch_norm_forward.wgsl", x=x, gamma=gamma, beta=beta, eps=1e-5)


@pytest.mark.exercise("batch_norm_backward.wgsl")
def test_batch_norm_backward_kernel_on_two_channels(kernel):
    dout = np.float32([[[[1, 0]], [[1, 0]]], [[[0, 0]], [[0, 0]]]])
    mean, variance = np.float32([4, 2]), np.float32([5, 4])
    got = kernel(
        "batch_norm_backward.wgsl", dout=dout, x=X, gamma=GAMMA, mean=mean, variance=variance, eps=1e-9
    )
    expect_close(got["dbeta"], np.float32([1, 1]), 1e-5, what="dbeta")
    expect_close(got["dgamma"], np.float32([-3 / ROOT, -1]), 1e-5, what="dgamma")
    want = [[[[0.6 / ROOT, -0.8 / ROOT]], [[0.25, -0.25]]], [[[-0.2 / ROOT, 0.4 / ROOT]], [[0, 0]]]]
    expect_close(got["dx"], np.float32(want), 1e-5, what="dx")


@pytest.mark.exercise("batch_norm_backward.wgsl")
def test_batch_norm_backward_kernel_is_safe(kernel, rng):
    x, dout = numbers(rng, 3, 2, 5, 5), numbers(rng, 3, 2, 5, 5)
    mean, variance = np.zeros(2, np.float32), np.ones(2, np.float32)
    kernel.safety(
        "batch_norm_backward.wgsl", dout=dout, x=x, gamma=GAMMA, mean=mean, variance=variance, eps=1e-5
    )


@pytest.mark.exercise("add_relu_forward.wgsl")
def test_add_relu_forward_kernel_on_four_sums(kernel):
    got = kernel("add_relu_forward.wgsl", x=np.float32([1, -2, 3, -4]), y=np.float32([1, 5, -3, -1]))
    expect_close(got, np.float32([2, 3, 0, 0]), 1e-6, what="out")


@pytest.mark.exercise("add_relu_forward.wgsl")
def test_add_relu_forward_kernel_is_safe(kernel, rng):
    kernel.safety("add_relu_forward.wgsl", x=numbers(rng, 70), y=numbers(rng, 70))


@pytest.mark.exercise("add_relu_backward.wgsl")
def test_add_relu_backward_kernel_on_four_gradients(kernel):
    got = kernel("add_relu_backward.wgsl", dout=np.float32([1, -2, 3, -4]), out=np.float32([2, 3, 0, 0]))
    expect_close(got, np.float32([1, -2, 0, 0]), 1e-6, what="dsum")


@pytest.mark.exercise("add_relu_backward.wgsl")
def test_add_relu_backward_kernel_is_safe(kernel, rng):
    kernel.safety("add_relu_backward.wgsl", dout=numbers(rng, 70), out=np.abs(numbers(rng, 70)))
