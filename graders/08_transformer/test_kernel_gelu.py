"""Hidden tests of the GELU kernels: numbers, the largest values, safety."""

import numpy as np
import pytest

from gradschool.grading import expect_close, tolerance

# One, then sizes on both sides of workgroups of 64 and 256, and one far past them.
CASES = [1, 2, 63, 64, 65, 257, 1003]
U = tolerance.U32


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def wide_normal(rng, n):
    """Numbers from both bends, one of them 1: where all results are tiny, two drivers' tanh may differ in every digit."""
    x = 2 * normal(rng, n)
    x[0] = 1
    return x


def expect_forward(kernel, reference, x):
    want, _ = reference.gelu_forward(x.astype(np.float64), "tanh")
    # A driver's tanh is right to a few units of 1, not of its own size; x multiplies that.
    tol = 8 * U * np.abs(want) + 24 * U * np.minimum(np.abs(x), 8) + tolerance.TINY32
    expect_close(kernel("gelu_forward.wgsl", x=x), want, tol, what="out")


@pytest.mark.exercise("gelu_forward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("n", CASES)
def test_gelu_forward_kernel_numbers(kernel, reference, rng, n):
    expect_forward(kernel, reference, wide_normal(rng, n))


@pytest.mark.exercise("gelu_forward.wgsl")
@pytest.mark.points(1)
def test_gelu_forward_kernel_from_one_side_to_the_other(kernel, reference):
    expect_forward(kernel, reference, np.linspace(-9, 9, 131, dtype=np.float32))


@pytest.mark.exercise("gelu_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("size", [60.0, 1e4, 1e15, 1e37])
def test_gelu_forward_kernel_on_large_numbers(kernel, rng, size):
    x = np.float32(size) * (1 + rng.random(70).astype(np.float32))
    x[::2] *= -1
    want = np.maximum(x, 0).astype(np.float64)
    expect_close(kernel("gelu_forward.wgsl", x=x), want, tolerance.elementwise(x, 8), what="out")


@pytest.mark.exercise("gelu_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("n", [5, 131])
def test_gelu_forward_kernel_is_safe(kernel, rng, n):
    kernel.safety("gelu_forward.wgsl", x=normal(rng, n))


def expect_backward(kernel, reference, dout, x):
    wide = x.astype(np.float64)
    want = reference.gelu_backward(dout.astype(np.float64), reference.gelu_forward(wide, "tanh")[1])
    # An error in tanh goes into 1 - tanh^2 twice, and there x and the inner slope multiply it.
    near = np.minimum(np.abs(wide), 8)
    tol = 24 * U * np.abs(dout) * (1 + near * (1 + 0.134 * near**2)) + tolerance.TINY32
    expect_close(kernel("gelu_backward.wgsl", dout=dout, x=x), want, tol, what="dx")


@pytest.mark.exercise("gelu_backward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("n", CASES)
def test_gelu_backward_kernel_numbers(kernel, reference, rng, n):
    dout = np.float32(0.5) + normal(rng, n)
    dout[0] = 1
    expect_backward(kernel, reference, dout, wide_normal(rng, n))


@pytest.mark.exercise("gelu_backward.wgsl")
@pytest.mark.points(1)
def test_gelu_backward_kernel_from_one_side_to_the_other(kernel, reference, rng):
    expect_backward(kernel, reference, 1 + normal(rng, 131), np.linspace(-9, 9, 131, dtype=np.float32))


@pytest.mark.exercise("gelu_backward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("size", [60.0, 1e4, 1e15, 1e37])
def test_gelu_backward_kernel_on_large_numbers(kernel, rng, size):
    x = np.float32(size) * (1 + rng.random(70).astype(np.float32))
    x[::2] *= -1
    dout = 2 + normal(rng, 70)
    want = np.where(x > 0, dout, 0).astype(np.float64)
    expect_close(kernel("gelu_backward.wgsl", dout=dout, x=x), want, 1e-5 * np.abs(dout), what="dx")


@pytest.mark.exercise("gelu_backward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("n", [5, 131])
def test_gelu_backward_kernel_is_safe(kernel, rng, n):
    kernel.safety("gelu_backward.wgsl", dout=normal(rng, n), x=normal(rng, n))
