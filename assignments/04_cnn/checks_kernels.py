"""Visible checks of the kernels: small numbers worked out by hand, and the interpreter's verdict.

The hidden tests ask more: other sizes, pictures and filters that are not square, other strides.
"""

import numpy as np
import pytest

from gradschool.grading import expect_close

SMALL = np.float32([[[[1, 2, 3], [4, 5, 6]]]])
FILTER = np.float32([[[[1, 0], [0, -2]]]])
DOUT = np.float32([[[[1, 3]]]])
PLAIN = {"stride_h": 1, "stride_w": 1, "pad_h": 0, "pad_w": 0}
UNEVEN = {"stride_h": 2, "stride_w": 1, "pad_h": 1, "pad_w": 0}
HALVES = {"size_h": 2, "size_w": 2, "stride_h": 2, "stride_w": 2}
OVERLAP = {"size_h": 1, "size_w": 2, "stride_h": 1, "stride_w": 1}


def numbers(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.exercise("conv2d_forward.wgsl")
def test_conv2d_forward_kernel_on_a_small_picture(kernel):
    got = kernel("conv2d_forward.wgsl", x=SMALL, w=FILTER, b=np.float32([10]), h_out=1, w_out=2, **PLAIN)
    expect_close(got, np.float32([[[[1, 0]]]]), 1e-5, what="out")


@pytest.mark.exercise("conv2d_forward.wgsl")
def test_conv2d_forward_kernel_sees_zeros_around_the_picture(kernel):
    w = np.float32([[[[1], [10]]]])
    got = kernel("conv2d_forward.wgsl", x=SMALL, w=w, b=np.zeros(1, np.float32), h_out=2, w_out=3, **UNEVEN)
    expect_close(got, np.float32([[[[10, 20, 30], [4, 5, 6]]]]), 1e-5, what="out")


@pytest.mark.exercise("conv2d_forward.wgsl")
def test_conv2d_forward_kernel_is_safe(kernel, rng):
    x, w, b = numbers(rng, 2, 2, 5, 9), numbers(rng, 3, 2, 3, 2), numbers(rng, 3)
    kernel.safety("conv2d_forward.wgsl", x=x, w=w, b=b, h_out=3, w_out=8, **UNEVEN)


@pytest.mark.exercise("conv2d_backward_input.wgsl")
def test_conv2d_backward_input_kernel_on_a_small_picture(kernel):
    got = kernel("conv2d_backward_input.wgsl", dout=DOUT, w=FILTER, h_in=2, w_in=3, **PLAIN)
    expect_close(got, np.float32([[[[1, 3, 0], [0, -2, -6]]]]), 1e-5, what="dx")


@pytest.mark.exercise("conv2d_backward_input.wgsl")
def test_conv2d_backward_input_kernel_is_safe(kernel, rng):
    dout, w = numbers(rng, 2, 3, 3, 8), numbers(rng, 3, 2, 3, 2)
    kernel.safety("conv2d_backward_input.wgsl", dout=dout, w=w, h_in=5, w_in=9, **UNEVEN)


@pytest.mark.exercise("conv2d_backward_weight.wgsl")
def test_conv2d_backward_weight_kernel_on_a_small_picture(kernel):
    got = kernel("conv2d_backward_weight.wgsl", x=SMALL, dout=DOUT, kh=2, kw=2, **PLAIN)
    expect_close(got, np.float32([[[[7, 11], [19, 23]]]]), 1e-5, what="dw")


@pytest.mark.exercise("conv2d_backward_weight.wgsl")
def test_conv2d_backward_weight_kernel_is_safe(kernel, rng):
    x, dout = numbers(rng, 2, 2, 5, 9), numbers(rng, 2, 3, 3, 8)
    kernel.safety("conv2d_backward_weight.wgsl", x=x, dout=dout, kh=3, kw=2, **UNEVEN)


@pytest.mark.exercise("max_pool_forward.wgsl")
def test_max_pool_forward_kernel_on_four_quarters(kernel):
    x = -np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    got = kernel("max_pool_forward.wgsl", x=x, h_out=2, w_out=2, **HALVES)
    expect_close(got["out"], np.float32([[[[0, -2], [-8, -10]]]]), 0.0, what="out")
    expect_close(got["winner"], np.uint32([[[[0, 2], [8, 10]]]]), 0.0, what="winner", dtype=np.uint32)


@pytest.mark.exercise("max_pool_forward.wgsl")
def test_max_pool_forward_kernel_is_safe(kernel, rng):
    kernel.safety("max_pool_forward.wgsl", x=numbers(rng, 2, 3, 7, 19), h_out=3, w_out=9, **HALVES)


@pytest.mark.exercise("max_pool_backward.wgsl")
def test_max_pool_backward_kernel_adds_up_what_a_pixel_won(kernel):
    dout, winner = np.float32([[[[3, 10]]]]), np.uint32([[[[1, 1]]]])
    got = kernel("max_pool_backward.wgsl", dout=dout, winner=winner, h_in=1, w_in=3, **OVERLAP)
    expect_close(got, np.float32([[[[0, 13, 0]]]]), 1e-5, what="dx")


@pytest.mark.exercise("max_pool_backward.wgsl")
def test_max_pool_backward_kernel_is_safe(kernel, rng):
    winner = np.zeros((2, 3, 3, 9), np.uint32)
    dout = numbers(rng, *winner.shape)
    kernel.safety("max_pool_backward.wgsl", dout=dout, winner=winner, h_in=7, w_in=19, **HALVES)


@pytest.mark.exercise("avg_pool_forward.wgsl")
def test_avg_pool_forward_kernel_on_four_quarters(kernel):
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    got = kernel("avg_pool_forward.wgsl", x=x, h_out=2, w_out=2, **HALVES)
    expect_close(got, np.float32([[[[2.5, 4.5], [10.5, 12.5]]]]), 1e-5, what="out")


@pytest.mark.exercise("avg_pool_forward.wgsl")
def test_avg_pool_forward_kernel_is_safe(kernel, rng):
    kernel.safety("avg_pool_forward.wgsl", x=numbers(rng, 2, 3, 7, 19), h_out=3, w_out=9, **HALVES)
