"""Hidden tests of the kernels with one invocation per element: add_forward, scale_shift, transpose."""

import numpy as np
import pytest

from gradschool.grading import expect_close, tolerance

# Around the usual workgroup sizes, far from them, and multiples of neither 4 nor 64.
LENGTHS = [1, 2, 63, 64, 65, 131, 257, 1000]
# (alpha, beta): neither 0 nor 1 nor each other's negative, so that nothing cancels or repeats.
SCALES = [(0.75, -1.5), (-2.5, 0.375), (3.25, 40.0)]
# Rows and columns differ and share no factor; both straddle 8, 16 and 32.
SHAPES = [(3, 5), (5, 3), (7, 9), (9, 16), (33, 17), (13, 70), (65, 2)]
THIN = [(1, 1), (1, 67), (67, 1), (8, 8)]


def normal(rng, shape):
    """Random float32 numbers of both signs."""
    return rng.normal(size=shape).astype(np.float32)


@pytest.mark.exercise("add_forward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("n", LENGTHS)
def test_add_kernel_numbers(kernel, rng, n):
    a, b = normal(rng, n), normal(rng, n)
    got = kernel("add_forward.wgsl", a=a, b=b)
    want = a.astype(np.float64) + b.astype(np.float64)
    expect_close(got, want, tolerance.elementwise(want, 2), what="out")


@pytest.mark.exercise("add_forward.wgsl")
@pytest.mark.points(1)
def test_add_kernel_is_exact_on_integers(kernel, rng):
    a, b = (rng.integers(-(2**22), 2**22, 1003).astype(np.float32) for _ in range(2))
    got = kernel("add_forward.wgsl", a=a, b=b)
    expect_close(got, a.astype(np.float64) + b, tolerance.exact(), what="out")


@pytest.mark.exercise("add_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("n", [1, 67, 1021])
def test_add_kernel_is_safe(kernel, rng, n):
    kernel.safety("add_forward.wgsl", a=normal(rng, n), b=normal(rng, n))


@pytest.mark.exercise("scale_shift.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("scale", SCALES, ids=str)
@pytest.mark.parametrize("n", LENGTHS)
def test_scale_shift_kernel_numbers(kernel, rng, n, scale):
    alpha, beta = scale
    x = normal(rng, n)
    got = kernel("scale_shift.wgsl", x=x, alpha=alpha, beta=beta)
    expect_close(got, alpha * x.astype(np.float64) + beta, scale_shift_bound(x, alpha, beta), what="out")


@pytest.mark.exercise("scale_shift.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("scale", [(0.0, 2.5), (-1.25, 0.0), (1.0, 0.0), (0.0, 0.0)], ids=str)
def test_scale_shift_kernel_takes_zero_for_what_it_is(kernel, rng, scale):
    alpha, beta = scale
    x = normal(rng, 203)
    x[::5] = 0.0
    got = kernel("scale_shift.wgsl", x=x, alpha=alpha, beta=beta)
    expect_close(got, alpha * x.astype(np.float64) + beta, scale_shift_bound(x, alpha, beta), what="out")


@pytest.mark.exercise("scale_shift.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("n", [1, 67, 1021])
def test_scale_shift_kernel_is_safe(kernel, rng, n):
    kernel.safety("scale_shift.wgsl", x=normal(rng, n), alpha=1.5, beta=-0.5)


def scale_shift_bound(x, alpha, beta):
    """Bound a product that is rounded and a sum that is rounded, or one fused rounding.

    The product's error is not relative to the sum, which may cancel, but to the product.
    """
    product = np.abs(alpha * x.astype(np.float64))
    return tolerance.elementwise(2 * product + abs(beta), 1.5)


@pytest.mark.exercise("transpose.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_transpose_kernel_numbers(kernel, rng, shape):
    x = normal(rng, shape)
    got = kernel("transpose.wgsl", x=x)
    expect_close(got, x.T, tolerance.exact(), what="out")


@pytest.mark.exercise("transpose.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", THIN, ids=str)
def test_transpose_kernel_handles_single_rows_columns_and_squares(kernel, rng, shape):
    x = normal(rng, shape)
    got = kernel("transpose.wgsl", x=x)
    expect_close(got, x.T, tolerance.exact(), what="out")


@pytest.mark.exercise("transpose.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(1, 1), (9, 5), (5, 9), (31, 11)], ids=str)
def test_transpose_kernel_is_safe(kernel, rng, shape):
    kernel.safety("transpose.wgsl", x=normal(rng, shape))
