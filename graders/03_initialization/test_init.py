"""Hidden graders of the two initializations: size, shape of the distribution, independence, seeds."""

import numpy as np
import pytest

from gradschool.grading import expect_raises
from gradschool.grading.expect import expect

# 100,000 weights or more: the measured standard deviation is known to 0.3 % of itself.
SIZES = [(250, 470), (10, 11000), (11000, 10), (1, 120000), (120000, 1)]


def _draw(submission, name, d_in, d_out, seed):
    w = getattr(submission, name)(d_in, d_out, np.random.default_rng(seed))
    expect(
        isinstance(w, np.ndarray) and w.dtype == np.float64,
        "The weights are no array of float64 numbers.",
        help="A generator draws float64 by itself; leave it at that.",
    )
    expect(
        w.shape == (d_in, d_out), f"The weights have shape {w.shape}; expected {(d_in, d_out)}: inputs first."
    )
    expect(bool(np.all(np.isfinite(w))), "Some weights are NaN or infinite.")
    return w


def _expect_std(w, variance):
    expect(
        abs(w.mean()) < 6 * np.sqrt(variance / w.size),
        "The mean of the weights is not 0.",
        help="Both signs must be equally likely.",
    )
    expect(
        abs(w.std() / np.sqrt(variance) - 1) < 0.02,
        f"The standard deviation of the weights is {'too large' if w.var() > variance else 'too small'}.",
        help="Compare the formula in the docstring: which sizes stand in it, and is it the variance or its root?",
    )


@pytest.mark.exercise("xavier_uniform")
@pytest.mark.points(2)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_xavier_has_the_variance_of_both_directions(submission, rng, size):
    w = _draw(submission, "xavier_uniform", *size, int(rng.integers(2**31)))
    _expect_std(w, 2 / sum(size))


@pytest.mark.exercise("xavier_uniform")
@pytest.mark.points(1)
@pytest.mark.parametrize("size", [(300, 400), (7, 20000)], ids=str)
def test_xavier_is_uniform(submission, rng, size):
    w = _draw(submission, "xavier_uniform", *size, int(rng.integers(2**31)))
    limit = np.sqrt(6 / sum(size))
    expect(
        bool(np.all(np.abs(w) <= limit)),
        "Some weights lie outside [-a, a).",
        help="a = sqrt(6 / (d_in + d_out)).",
    )
    counts, _ = np.histogram(w, bins=20, range=(-limit, limit))
    # Each of 20 equal bins holds a twentieth, to 6 standard deviations.
    spread = 6 * np.sqrt(w.size / 20)
    expect(bool(np.all(np.abs(counts - w.size / 20) < spread)), "The weights are not uniform on [-a, a).")


@pytest.mark.exercise("he_normal")
@pytest.mark.points(2)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_he_has_the_variance_of_the_way_in(submission, rng, size):
    w = _draw(submission, "he_normal", *size, int(rng.integers(2**31)))
    _expect_std(w, 2 / size[0])


@pytest.mark.exercise("he_normal")
@pytest.mark.points(1)
@pytest.mark.parametrize("size", [(300, 400), (7, 20000)], ids=str)
def test_he_is_normal(submission, rng, size):
    w = _draw(submission, "he_normal", *size, int(rng.integers(2**31)))
    std = np.sqrt(2 / size[0])
    # Shares of a normal distribution within one, two and three standard deviations.
    for n_stds, share in ((1, 0.682689), (2, 0.954500), (3, 0.997300)):
        spread = 6 * np.sqrt(share * (1 - share) / w.size)
        got = np.mean(np.abs(w) < n_stds * std)
        expect(
            bool(abs(got - share) < spread),
            "The weights are not normally distributed with variance 2 / d_in.",
        )


def _seeds(submission, name, rng):
    first = int(rng.integers(2**31))
    one, again = (_draw(submission, name, 5, 7, first) for _ in range(2))
    other = _draw(submission, name, 5, 7, first + 1)
    expect(
        bool(np.array_equal(one, again)),
        "The same rng gives other weights the second time.",
        help="Draw from `rng`, not from np.random.",
    )
    expect(
        not np.any(one == other),
        "Another rng gives the same weights.",
        help="Draw from the `rng` that is given, not from a generator of your own.",
    )


def _independent(submission, name, rng):
    w = _draw(submission, name, 23, 31, int(rng.integers(2**31)))
    expect(
        np.unique(w).size == w.size,
        "Some weights are equal.",
        help="Draw one number for every weight: neurons that start equal stay equal.",
    )


@pytest.mark.exercise("xavier_uniform")
@pytest.mark.points(1)
def test_the_seed_decides_xavier_weights(submission, rng):
    _seeds(submission, "xavier_uniform", rng)
    _independent(submission, "xavier_uniform", rng)


@pytest.mark.exercise("he_normal")
@pytest.mark.points(1)
def test_the_seed_decides_he_weights(submission, rng):
    _seeds(submission, "he_normal", rng)
    _independent(submission, "he_normal", rng)


@pytest.mark.exercise("xavier_uniform")
@pytest.mark.points(1)
@pytest.mark.parametrize("size", [(0, 3), (3, 0), (-1, 4), (4, -2)], ids=str)
def test_xavier_refuses_empty_layers(submission, size):
    expect_raises(submission.xavier_uniform, ValueError, *size, np.random.default_rng(1))


@pytest.mark.exercise("he_normal")
@pytest.mark.points(1)
@pytest.mark.parametrize("size", [(0, 3), (3, 0), (-1, 4), (4, -2)], ids=str)
def test_he_refuses_empty_layers(submission, size):
    expect_raises(submission.he_normal, ValueError, *size, np.random.default_rng(1))
