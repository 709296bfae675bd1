"""Hidden graders of the test for permutation equivariance: it must believe and disbelieve rightly."""

import numpy as np
import pytest

from gradschool.grading import expect_raises
from gradschool.grading.expect import expect
from gradschool.sandbox.functions import cumulative_mean, identity, relu, reverse_rows, square_and_cache, zero

SHAPES = [(5, 4), (3, 6, 4), (2, 3, 7, 2), (2, 1)]


def _expect_verdict(submission, f, x, seed, want, story):
    got = submission.is_permutation_equivariant(f, x, np.random.default_rng(seed))
    expect(
        isinstance(got, bool | np.bool_), f"The answer is {type(got).__name__}; it should be True or False."
    )
    expect(
        bool(got) is want,
        f"{story}: it {'is' if want else 'is not'} equivariant, and you say it {'is not' if want else 'is'}.",
    )


def _seed(rng):
    return int(rng.integers(2**31))


@pytest.mark.exercise("is_permutation_equivariant")
@pytest.mark.points(2)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("f", [identity, relu, np.tanh, zero], ids=["identity", "relu", "tanh", "zero"])
def test_what_treats_every_row_alike_is_equivariant(submission, rng, shape, f):
    _expect_verdict(submission, f, rng.standard_normal(shape), _seed(rng), True, "A function of each entry")


@pytest.mark.exercise("is_permutation_equivariant")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_what_mixes_features_is_equivariant(submission, rng, shape):
    x = rng.standard_normal(shape)
    _expect_verdict(
        submission, submission.features_backwards, x, _seed(rng), True, "Every row read backwards"
    )


def _large(rng):
    return 1e6 * _around_ten(rng)


def _around_ten(rng):
    return 10 + rng.standard_normal((2, 60, 5))


def _whole(rng):
    """Sums of these are exact in any order."""
    return rng.integers(-9, 10, (2, 8, 5)).astype(float)


@pytest.mark.exercise("is_permutation_equivariant")
@pytest.mark.points(1)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("make", [_around_ten, _large, _whole])
def test_rounding_makes_no_difference(submission, rng, dtype, make):
    """A mean over many rows rounds otherwise when they come in another order."""
    x = make(rng).astype(dtype)
    _expect_verdict(
        submission, submission.distance_from_mean, x, _seed(rng), True, "The distance from the mean"
    )


@pytest.mark.exercise("is_permutation_equivariant")
@pytest.mark.points(1)
def test_a_cache_beside_the_output_is_ignored(submission, rng):
    x = rng.standard_normal((3, 5, 4))
    _expect_verdict(submission, square_and_cache, x, _seed(rng), True, "The square, with a cache")


@pytest.mark.exercise("is_permutation_equivariant")
@pytest.mark.points(2)
@pytest.mark.parametrize("shape", SHAPES[:3], ids=str)
def test_a_running_mean_is_not_equivariant(submission, rng, shape):
    _expect_verdict(
        submission, cumulative_mean, rng.standard_normal(shape), _seed(rng), False, "A running mean"
    )


@pytest.mark.exercise("is_permutation_equivariant")
@pytest.mark.points(2)
@pytest.mark.parametrize("shape", SHAPES[:3], ids=str)
@pytest.mark.parametrize("name", ["backwards", "shifted"])
def test_what_moves_rows_is_not_equivariant(submission, rng, shape, name):
    f = reverse_rows if name == "backwards" else submission.shifted_on
    _expect_verdict(submission, f, rng.standard_normal(shape), _seed(rng), False, f"The rows {name}")


def _idle_seed():
    """A seed with which eight orders of two positions in a row leave both where they are."""
    for seed in range(100_000):
        rng = np.random.default_rng(seed)
        if all(rng.permutation(2)[0] == 0 for _ in range(8)):
            return seed
    raise AssertionError("no such seed")


@pytest.mark.exercise("is_permutation_equivariant")
@pytest.mark.points(1)
@pytest.mark.parametrize("n_equal", [0, 2])
def test_an_order_that_changes_nothing_proves_nothing(submission, rng, n_equal):
    """Of two rows one order changes nothing, and exchanging two that are equal does not either."""
    for seed in (_idle_seed(), *rng.integers(2**31, size=12)):
        x = rng.standard_normal((3, 5 if n_equal else 2, 4))
        x[:, :n_equal] = x[:, :1]
        _expect_verdict(submission, cumulative_mean, x, int(seed), False, "A running mean")


def _tiny(rng):
    return 1e-12 * rng.standard_normal((3, 5, 4))


def _nearly_equal(rng):
    """Rows that differ by less than the root of float32's precision, and a column in which they do not."""
    x = 1 + 2e-5 * rng.permutation(5)[:, None] * np.array([1.0, -1.0, 0.0])
    return np.stack([x, 2 - x])


def _falling(rng):
    """Each row lies below the one before: every difference has the same sign."""
    return -np.sort(rng.random((3, 2, 4)), axis=1)


@pytest.mark.exercise("is_permutation_equivariant")
@pytest.mark.points(1)
@pytest.mark.parametrize("make", [_tiny, _nearly_equal, _falling])
def test_a_small_difference_counts(submission, rng, make):
    """What is rounding is measured by the size of f(x), and by the size of nothing else."""
    _expect_verdict(submission, cumulative_mean, make(rng), _seed(rng), False, "A running mean")


@pytest.mark.exercise("is_permutation_equivariant")
@pytest.mark.points(1)
@pytest.mark.parametrize("wrong", ["one axis", "one position", "a sum", "a mean"])
def test_what_cannot_be_shuffled_is_refused(submission, rng, wrong):
    shape = {"one axis": (5,), "one position": (3, 1, 4)}.get(wrong, (3, 5, 4))
    f = {"a sum": np.sum, "a mean": np.mean}.get(wrong, np.tanh)
    args = f, rng.standard_normal(shape), np.random.default_rng(_seed(rng))
    expect_raises(submission.is_permutation_equivariant, ValueError, *args)
