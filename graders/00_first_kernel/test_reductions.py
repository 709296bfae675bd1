"""Hidden tests of the kernels with one workgroup per row: row_sum and row_max."""

import numpy as np
import pytest

from gradschool.grading import expect_close, tolerance

# n_rows, n_cols: shorter than a workgroup, around 32, 64 and 256, and many times as long.
SHAPES = [(1, 1), (5, 3), (3, 31), (7, 63), (2, 64), (3, 65), (4, 131), (2, 257), (3, 1000)]
HAZARD_SHAPES = [(1, 1), (3, 7), (2, 65), (3, 300)]


def normal(rng, shape):
    """Random float32 numbers of both signs."""
    return rng.normal(size=shape).astype(np.float32)


@pytest.mark.exercise("row_sum.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_row_sum_kernel_numbers(kernel, rng, shape):
    x = normal(rng, shape)
    got = kernel("row_sum.wgsl", x=x)
    x64 = x.astype(np.float64)
    expect_close(got, x64.sum(axis=1), tolerance.summation(x64), what="out")


@pytest.mark.exercise("row_sum.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(6, 11), (3, 70), (2, 1021), (67, 2)], ids=str)
def test_row_sum_kernel_is_exact_on_integers(kernel, rng, shape):
    # No partial sum reaches 2**24, so every order of additions gives the same exact result.
    x = rng.integers(-8191, 8192, shape).astype(np.float32)
    got = kernel("row_sum.wgsl", x=x)
    expect_close(got, x.astype(np.float64).sum(axis=1), tolerance.exact(), what="out")


@pytest.mark.exercise("row_sum.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("shape", HAZARD_SHAPES, ids=str)
def test_row_sum_kernel_is_safe(kernel, rng, shape):
    kernel.safety("row_sum.wgsl", x=normal(rng, shape))


@pytest.mark.exercise("row_max.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_row_max_kernel_numbers(kernel, rng, shape):
    x = 10 * normal(rng, shape)
    x[0] = np.abs(x[0])
    got = kernel("row_max.wgsl", x=x)
    expect_close(got, x.max(axis=1), tolerance.exact(), what="out")


@pytest.mark.exercise("row_max.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(3, 5), (2, 67), (2, 300)], ids=str)
@pytest.mark.parametrize("level", [200.0, 1e6, 1e12, 1e37], ids=str)
def test_row_max_kernel_is_right_for_negative_rows(kernel, rng, shape, level):
    x = (-level * rng.uniform(1, 2, shape)).astype(np.float32)
    got = kernel("row_max.wgsl", x=x)
    expect_close(got, x.max(axis=1), tolerance.exact(), what="out")


@pytest.mark.exercise("row_max.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("n_cols", [1, 9, 70])
def test_row_max_kernel_keeps_minus_infinity(kernel, rng, n_cols):
    x = (-rng.uniform(1, 2, (4, n_cols))).astype(np.float32)
    x[1] = -np.inf
    x[2, 1:] = -np.inf
    x[3, :-1] = -np.inf
    got = kernel("row_max.wgsl", x=x)
    expect_close(got, x.max(axis=1), tolerance.exact(), what="out")


@pytest.mark.exercise("row_max.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("n_cols", [66, 259, 1000])
def test_row_max_kernel_finds_the_maximum_anywhere(kernel, rng, n_cols):
    # One row per place: first, last, and on both sides of every usual workgroup size.
    places = [c for c in (0, 1, 31, 32, 63, 64, 65, 127, 128, 255, 256, n_cols - 1) if c < n_cols]
    x = rng.uniform(-300, -200, (len(places), n_cols)).astype(np.float32)
    x[np.arange(len(places)), places] = rng.uniform(-100, -50, len(places))
    got = kernel("row_max.wgsl", x=x)
    expect_close(got, x.max(axis=1), tolerance.exact(), what="out")


@pytest.mark.exercise("row_max.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", HAZARD_SHAPES, ids=str)
def test_row_max_kernel_is_safe(kernel, rng, shape):
    kernel.safety("row_max.wgsl", x=normal(rng, shape))
