"""Hidden tests of the fused sum and ReLU: numbers, exact probes, safety."""

import numpy as np
import pytest

from gradschool.grading import expect_close, tolerance
from gradschool.grading.expect import expect

# One, then sizes on both sides of workgroups of 64 and 256, and one far past them.
CASES = [1, 2, 63, 64, 65, 257, 1003]


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.exercise("add_relu_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("n", CASES)
def test_add_relu_forward_kernel_numbers(kernel, n, rng):
    x, y = normal(rng, n), normal(rng, n)
    want = np.maximum(x.astype(np.float64) + y, 0)
    expect_close(kernel("add_relu_forward.wgsl", x=x, y=y), want, tolerance.elementwise(want, 2), what="out")


@pytest.mark.exercise("add_relu_forward.wgsl")
@pytest.mark.points(1)
def test_add_relu_forward_kernel_is_exact_on_whole_numbers(kernel, rng):
    x, y = (rng.integers(-8, 9, 131).astype(np.float32) for _ in range(2))
    want = np.maximum(x.astype(np.float64) + y, 0)
    expect_close(kernel("add_relu_forward.wgsl", x=x, y=y), want, tolerance.exact(), what="out")


@pytest.mark.exercise("add_relu_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("n", [5, 131])
def test_add_relu_forward_kernel_is_safe(kernel, rng, n):
    kernel.safety("add_relu_forward.wgsl", x=normal(rng, n), y=normal(rng, n))


@pytest.mark.exercise("add_relu_backward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("n", CASES)
def test_add_relu_backward_kernel_numbers(kernel, n, rng):
    dout, out = 3 * normal(rng, n), np.maximum(normal(rng, n), 0)
    want = np.where(out > 0, dout, 0).astype(np.float64)
    got = kernel("add_relu_backward.wgsl", dout=dout, out=out)
    expect_close(got, want, tolerance.exact(), what="dsum")


@pytest.mark.exercise("add_relu_backward.wgsl")
@pytest.mark.points(1)
def test_add_relu_backward_kernel_where_the_sum_was_zero_or_tiny(kernel, rng):
    out = np.repeat(np.float32([0, 1e-30, 0, 0.25, 1e6]), 27)
    dout = normal(rng, out.size) + np.float32(2)
    dout[::2] *= -1
    want = np.where(out > 0, dout, 0).astype(np.float64)
    got = kernel("add_relu_backward.wgsl", dout=dout, out=out)
    expect_close(got, want, tolerance.exact(), what="dsum")


@pytest.mark.exercise("add_relu_backward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("n", [5, 131])
def test_add_relu_backward_kernel_is_safe(kernel, rng, n):
    dout, out = 1 + rng.random(n).astype(np.float32), np.maximum(normal(rng, n), 0)
    got = kernel("add_relu_backward.wgsl", dout=dout, out=out)
    expect(
        bool(np.all((got > 0) == (out > 0))),
        "Gradients are lost, or come through where out is 0.",
        help="Copy dout where out > 0, write 0 elsewhere.",
    )
    kernel.safety("add_relu_backward.wgsl", dout=dout, out=out)
