"""Hidden tests of `workgroups_for`: the count, its exactness, its errors."""

import numpy as np
import pytest

from gradschool.grading import expect_raises
from gradschool.grading.expect import expect

# n, workgroup_size: exact multiples, one less, one more, sizes that are no power of two, nothing at all.
CASES = [
    (n, size) for size in (1, 4, 7, 64, 256, 1000) for n in (0, 1, size - 1, size, size + 1, 3 * size, 1009)
]
# Floats have 53 binary digits; above that a quotient of floats is no longer exact.
BIG = [(65_535 * 64 + 1, 64), (10**12 + 39, 256), (2**53 + 1, 1), (2**60 + 1, 64), (2**61 + 3, 2)]
BAD = [(-1, 64), (-64, 64), (10, 0), (0, 0), (10, -4)]


def expect_count(got: object, n: int, size: int) -> None:
    """Fail unless `got` is the integer number of workgroups."""
    expect(
        isinstance(got, int | np.integer) and not isinstance(got, bool),
        f"workgroups_for returned a {type(got).__name__}; expected an int.",
        help="`//` of two ints is an int; `/`, np.ceil and round of a float are not.",
    )
    k = int(got)  # type: ignore[call-overload]
    expect(
        k * size >= n,
        "Some elements have no invocation: there are too few workgroups.",
        help="A remainder, however small, needs a workgroup of its own.",
    )
    expect(
        (k - 1) * size < n or k == 0,
        "A whole workgroup has nothing to do: there are too many workgroups.",
        help="Try an exact multiple of workgroup_size, and n = 0.",
    )


@pytest.mark.exercise("workgroups_for")
@pytest.mark.points(1)
@pytest.mark.parametrize(("n", "size"), CASES)
def test_the_workgroups_just_cover_the_elements(submission, n, size):
    expect_count(submission.workgroups_for(n, size), n, size)


@pytest.mark.exercise("workgroups_for")
@pytest.mark.points(1)
def test_random_sizes_are_covered(submission, rng):
    for n, size in zip(rng.integers(0, 100_000, 20).tolist(), rng.integers(1, 257, 20).tolist(), strict=True):
        expect_count(submission.workgroups_for(n, size), n, size)


@pytest.mark.exercise("workgroups_for")
@pytest.mark.points(1)
@pytest.mark.parametrize(("n", "size"), BIG)
def test_the_count_is_exact_for_large_n(submission, n, size):
    expect_count(submission.workgroups_for(n, size), n, size)


@pytest.mark.exercise("workgroups_for")
@pytest.mark.points(1)
@pytest.mark.parametrize(("n", "size"), BAD)
def test_impossible_sizes_are_refused(submission, n, size):
    expect_raises(submission.workgroups_for, ValueError, n, size)
