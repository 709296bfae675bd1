"""Hidden tests of the tiled matrix product: numbers, exact probes, safety."""

import numpy as np
import pytest

from gradschool.grading import expect_at_most, expect_close, tolerance

# (n_rows, n_inner, n_cols): one, then odd and coprime sizes on both sides of tiles of 8 and 16, and many tiles long.
CASES = [
    (1, 1, 1),
    (2, 3, 5),
    (7, 9, 8),
    (16, 16, 16),
    (17, 15, 16),
    (15, 17, 33),
    (5, 33, 17),
    (33, 18, 7),
    (3, 257, 2),
    (1, 7, 67),
    (67, 5, 1),
]


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def wide(*arrays):
    return [array.astype(np.float64) for array in arrays]


@pytest.mark.exercise("matmul_tiled.wgsl")
@pytest.mark.points(3)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_matmul_tiled_kernel_numbers(kernel, rng, case):
    n_rows, n_inner, n_cols = case
    a, b = normal(rng, n_rows, n_inner), normal(rng, n_inner, n_cols)
    got = kernel("matmul_tiled.wgsl", a=a, b=b)
    a, b = wide(a, b)
    expect_close(got, a @ b, tolerance.matmul(a, b), what="out")


@pytest.mark.exercise("matmul_tiled.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", [(9, 33, 17), (20, 130, 5), (35, 16, 19)], ids=str)
def test_matmul_tiled_kernel_is_exact_on_whole_numbers(kernel, rng, case):
    n_rows, n_inner, n_cols = case
    # Products with -1, 0 and 1 add up exactly in every order; half precision cannot hold them.
    a = rng.integers(-8191, 8192, (n_rows, n_inner)).astype(np.float32)
    b = rng.integers(-1, 2, (n_inner, n_cols)).astype(np.float32)
    got = kernel("matmul_tiled.wgsl", a=a, b=b)
    a, b = wide(a, b)
    expect_close(got, a @ b, tolerance.exact(), what="out")


@pytest.mark.exercise("matmul_tiled.wgsl")
@pytest.mark.points(3)
@pytest.mark.parametrize("case", [(3, 5, 7), (16, 32, 16), (19, 35, 6), (5, 49, 18)], ids=str)
def test_matmul_tiled_kernel_is_safe(kernel, rng, case):
    n_rows, n_inner, n_cols = case
    kernel.safety("matmul_tiled.wgsl", a=normal(rng, n_rows, n_inner), b=normal(rng, n_inner, n_cols))


@pytest.mark.exercise("matmul_tiled.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", [(48, 64, 32), (32, 48, 80)], ids=str)
def test_matmul_tiled_kernel_loads_each_number_once_per_tile(kernel, rng, case):
    n_rows, n_inner, n_cols = case
    a, b = normal(rng, n_rows, n_inner), normal(rng, n_inner, n_cols)
    got, cost = kernel.cost("matmul_tiled.wgsl", a=a, b=b)
    wide_a, wide_b = wide(a, b)
    expect_close(got, wide_a @ wide_b, tolerance.matmul(wide_a, wide_b), what="out")
    # Without tiles each product loads two numbers. Tiles of 8 bring it down to an eighth, tiles of 16 to a sixteenth.
    expect_at_most(
        cost.load_bytes,
        2 * 4 * n_rows * n_inner * n_cols / 4,
        "bytes loaded from a and b",
        help="Each number of a tile is loaded once, into workgroup memory, and used by the whole workgroup.",
    )
