"""Hidden tests of the sums on the residual stream: positions and residuals."""

import numpy as np
import pytest

from gradschool.grading import expect_close, tolerance

# n_batch, seq, d_model, n_positions: ones, all different, every row used, longer than a workgroup.
POSITIONS = [
    (1, 1, 1, 1),
    (2, 3, 5, 7),
    (5, 3, 2, 4),
    (3, 4, 4, 6),
    (2, 7, 1, 9),
    (3, 5, 9, 8),
    (2, 9, 37, 13),
]
SIZES = [1, 2, 63, 64, 65, 257, 1003]


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def expect_positions(kernel, x, positions, start):
    got = kernel("add_positions.wgsl", x=x, positions=positions, start=start)
    want = x.astype(np.float64) + positions[start : start + x.shape[1]]
    expect_close(got, want, tolerance.elementwise(want, 2), what="out")


@pytest.mark.exercise("add_positions.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", POSITIONS, ids=str)
def test_add_positions_kernel_from_the_first_row(kernel, rng, case):
    *shape, n_positions = case
    expect_positions(kernel, normal(rng, *shape), normal(rng, n_positions, shape[-1]), 0)


@pytest.mark.exercise("add_positions.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", POSITIONS, ids=str)
def test_add_positions_kernel_up_to_the_last_row(kernel, rng, case):
    *shape, n_positions = case
    start = n_positions - shape[1]
    expect_positions(kernel, normal(rng, *shape), normal(rng, n_positions, shape[-1]), start)


@pytest.mark.exercise("add_positions.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("start", [0, 5, 8])
def test_add_positions_kernel_while_decoding_one_token(kernel, rng, start):
    expect_positions(kernel, normal(rng, 4, 1, 3), normal(rng, 9, 3), start)


@pytest.mark.exercise("add_positions.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(2, 3, 1, 4), (3, 5, 9, 8)], ids=str)
def test_add_positions_kernel_is_safe(kernel, rng, case):
    *shape, n_positions = case
    x, positions = normal(rng, *shape), normal(rng, n_positions, shape[-1])
    kernel.safety("add_positions.wgsl", x=x, positions=positions, start=1)


@pytest.mark.exercise("residual_add.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("n", SIZES)
def test_residual_add_kernel_numbers(kernel, rng, n):
    x, residual = normal(rng, n), 3 * normal(rng, n)
    want = x.astype(np.float64) + residual
    got = kernel("residual_add.wgsl", x=x, residual=residual)
    expect_close(got, want, tolerance.elementwise(want, 2), what="out")


@pytest.mark.exercise("residual_add.wgsl")
@pytest.mark.points(1)
def test_residual_add_kernel_is_exact_on_whole_numbers(kernel, rng):
    x, residual = (rng.integers(-8, 9, 131).astype(np.float32) for _ in range(2))
    want = x.astype(np.float64) + residual
    got = kernel("residual_add.wgsl", x=x, residual=residual)
    expect_close(got, want, tolerance.exact(), what="out")


@pytest.mark.exercise("residual_add.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("n", [5, 131])
def test_residual_add_kernel_is_safe(kernel, rng, n):
    kernel.safety("residual_add.wgsl", x=normal(rng, n), residual=normal(rng, n))
