"""Hidden tests of the kernels that move heads and multiply batches: exact places, numbers, safety."""

import numpy as np
import pytest

from gradschool.grading import expect_close, tolerance

# n_batch, seq, n_heads, d_head: one number, all different, batch equal to heads, 63 to 65 numbers, many.
CASES = [(1, 1, 1, 1), (2, 5, 3, 4), (3, 2, 3, 7), (1, 9, 7, 1), (2, 8, 2, 2), (1, 13, 1, 5), (3, 11, 5, 13)]
SAFE = [(2, 5, 3, 4), (1, 5, 13, 1)]


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.exercise("split_heads.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_split_heads_kernel_moves_every_number_to_its_place(kernel, reference, rng, case):
    n_batch, seq, n_heads, d_head = case
    x = normal(rng, n_batch, seq, n_heads * d_head)
    got = kernel("split_heads.wgsl", x=x, n_heads=n_heads, d_head=d_head)
    want = reference.split_heads(x.astype(np.float64), n_heads)
    expect_close(got, want, tolerance.exact(), what="out")


@pytest.mark.exercise("split_heads.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", SAFE, ids=str)
def test_split_heads_kernel_is_safe(kernel, rng, case):
    n_batch, seq, n_heads, d_head = case
    x = normal(rng, n_batch, seq, n_heads * d_head)
    kernel.safety("split_heads.wgsl", x=x, n_heads=n_heads, d_head=d_head)


@pytest.mark.exercise("merge_heads.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_merge_heads_kernel_moves_every_number_to_its_place(kernel, reference, rng, case):
    n_batch, seq, n_heads, d_head = case
    x = normal(rng, n_batch, n_heads, seq, d_head)
    want = reference.merge_heads(x.astype(np.float64))
    expect_close(kernel("merge_heads.wgsl", x=x), want, tolerance.exact(), what="out")


@pytest.mark.exercise("merge_heads.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", SAFE, ids=str)
def test_merge_heads_kernel_is_safe(kernel, rng, case):
    n_batch, seq, n_heads, d_head = case
    kernel.safety("merge_heads.wgsl", x=normal(rng, n_batch, n_heads, seq, d_head))


# n_batch, n_rows, n_inner, n_cols: one number, all different, around 8 and 16, long sums, many items.
PRODUCTS = [
    (1, 1, 1, 1),
    (3, 5, 7, 4),
    (2, 8, 3, 16),
    (5, 9, 17, 7),
    (2, 3, 130, 5),
    (17, 2, 3, 1),
    (1, 17, 2, 33),
]


def product(rng, case):
    n_batch, n_rows, n_inner, n_cols = case
    return normal(rng, n_batch, n_rows, n_inner), normal(rng, n_batch, n_inner, n_cols)


@pytest.mark.exercise("batched_matmul.wgsl")
@pytest.mark.points(3)
@pytest.mark.parametrize("case", PRODUCTS, ids=str)
def test_batched_matmul_kernel_numbers(kernel, rng, case):
    a, b = product(rng, case)
    got = kernel("batched_matmul.wgsl", a=a, b=b)
    a, b = a.astype(np.float64), b.astype(np.float64)
    expect_close(got, a @ b, tolerance.matmul(a, b), what="out")


@pytest.mark.exercise("batched_matmul.wgsl")
@pytest.mark.points(1)
def test_batched_matmul_kernel_is_exact_on_whole_numbers(kernel, rng):
    """Every order of a float32 sum is exact here; half precision is not."""
    a = rng.integers(-8191, 8192, (3, 6, 41)).astype(np.float32)
    b = rng.integers(-1, 2, (3, 41, 5)).astype(np.float32)
    want = a.astype(np.float64) @ b.astype(np.float64)
    expect_close(kernel("batched_matmul.wgsl", a=a, b=b), want, tolerance.exact(), what="out")


@pytest.mark.exercise("batched_matmul.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(3, 5, 7, 4), (2, 9, 3, 11), (1, 33, 34, 35)], ids=str)
def test_batched_matmul_kernel_is_safe(kernel, rng, case):
    a, b = product(rng, case)
    kernel.safety("batched_matmul.wgsl", a=a, b=b)
