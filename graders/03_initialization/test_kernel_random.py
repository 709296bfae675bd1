"""Hidden tests of the kernels that make random numbers: the bits, the bell, the edges."""

import numpy as np
import pytest

from gradschool.grading import expect_close, tolerance
from gradschool.grading.expect import expect

# One, then sizes on both sides of workgroups of 64 and 256 (of pairs, too), and one far past them.
CASES = [1, 2, 3, 63, 64, 65, 127, 129, 257, 1003]
SEEDS = [0, 1, 2**31, 2**32 - 1]


@pytest.mark.exercise("random_uniform.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("n", CASES)
def test_random_uniform_kernel_gives_the_very_bits(kernel, reference, rng, n):
    seed = int(rng.integers(2**32))
    got = kernel("random_uniform.wgsl", n=n, seed=seed)
    expect_close(got, reference.random_uniform(n, seed), tolerance.exact(), what="out")


@pytest.mark.exercise("random_uniform.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("seed", SEEDS)
def test_random_uniform_kernel_takes_every_seed(kernel, reference, seed):
    got = kernel("random_uniform.wgsl", n=131, seed=seed)
    expect(bool(np.all((got >= 0) & (got < 1))), "Some numbers lie outside [0, 1).")
    expect_close(got, reference.random_uniform(131, seed), tolerance.exact(), what="out")


@pytest.mark.exercise("random_uniform.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("n", [5, 131])
def test_random_uniform_kernel_is_safe(kernel, n):
    kernel.safety("random_uniform.wgsl", n=n, seed=7)


def _bound(reference, n, seed):
    """WGSL lets sin and cos err by 2^-11 and log by 2^-21 near 1; r multiplies the first."""
    u = reference.random_uniform(n + n % 2, seed).astype(np.float64)
    r = np.repeat(np.sqrt(-2 * np.log(1 - u[0::2])), 2)[:n]
    return 2.0**-10 * (1 + r)


@pytest.mark.exercise("random_normal.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("n", CASES)
def test_random_normal_kernel_numbers(kernel, reference, rng, n):
    seed = int(rng.integers(2**32))
    got = kernel("random_normal.wgsl", n=n, seed=seed)
    expect_close(got, reference.random_normal(n, seed), _bound(reference, n, seed), what="out")


@pytest.mark.exercise("random_normal.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("seed", SEEDS)
def test_random_normal_kernel_takes_every_seed(kernel, reference, seed):
    got = kernel("random_normal.wgsl", n=131, seed=seed)
    expect_close(got, reference.random_normal(131, seed), _bound(reference, 131, seed), what="out")


@pytest.mark.exercise("random_normal.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("n", [4, 5, 131])
def test_random_normal_kernel_is_safe(kernel, n):
    kernel.safety("random_normal.wgsl", n=n, seed=7)
