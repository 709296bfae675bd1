"""Hidden tests of `histogram.wgsl`: counts, values without a bin, crowds at one bin, safety."""

import numpy as np
import pytest

from gradschool.grading import expect_close

# n, n_bins: fewer elements than bins and the reverse, around the usual workgroup sizes.
CASES = [(1, 1), (5, 3), (63, 7), (64, 10), (65, 11), (131, 1), (257, 300), (1000, 17), (19, 700)]


def counts_of(x, n_bins):
    """Count with NumPy, outside values left out."""
    return np.bincount(x[(x >= 0) & (x < n_bins)], minlength=n_bins).astype(np.uint32)


def expect_counts(got, x, n_bins):
    """Fail unless `got` are the exact counts of `x`."""
    expect_close(got, counts_of(x, n_bins), 0.0, what="counts", dtype=np.uint32)


@pytest.mark.exercise("histogram.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_histogram_kernel_numbers(kernel, rng, case):
    n, n_bins = case
    x = rng.integers(0, n_bins, n).astype(np.int32)
    expect_counts(kernel("histogram.wgsl", x=x, n_bins=n_bins), x, n_bins)


@pytest.mark.exercise("histogram.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(70, 5), (203, 13), (300, 260)], ids=str)
def test_histogram_kernel_ignores_values_without_a_bin(kernel, rng, case):
    n, n_bins = case
    x = rng.integers(-n_bins, 3 * n_bins, n).astype(np.int32)
    # The first value past either end, and the values farthest away.
    x[:4] = -1, n_bins, np.iinfo(np.int32).min, np.iinfo(np.int32).max
    expect_counts(kernel("histogram.wgsl", x=x, n_bins=n_bins), x, n_bins)


@pytest.mark.exercise("histogram.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("crowded", [0, 4, 8])
def test_histogram_kernel_counts_a_crowd_at_one_bin(kernel, rng, crowded):
    x = np.full(519, crowded, np.int32)
    x[rng.permutation(519)[:20]] = rng.integers(0, 9, 20)
    expect_counts(kernel("histogram.wgsl", x=x, n_bins=9), x, 9)


@pytest.mark.exercise("histogram.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(1, 1), (67, 3), (1021, 40)], ids=str)
def test_histogram_kernel_is_safe(kernel, rng, case):
    n, n_bins = case
    x = rng.integers(-2, n_bins + 2, n).astype(np.int32)
    x[0] = rng.integers(0, n_bins)  # never nothing to count
    # What lies past the end may look like a value, so reading it is a fault even if it was not counted here.
    kernel.safety("histogram.wgsl", guard_reads=True, x=x, n_bins=n_bins)
