"""Hidden graders of the judge: directional central differences."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises
from gradschool.grading.expect import expect
from gradschool.sandbox.functions import cumulative_mean, reverse_rows, square_and_cache, total

# Functions that the worker knows, and their derivatives where the slope is the same for all nudges.
SLOPES = {np.sin: np.cos, np.exp: np.exp, np.tanh: lambda x: 1 - np.tanh(x) ** 2, np.square: lambda x: 2 * x}
SHAPES = [(5,), (3, 4), (2, 1, 3), (1,), ()]


def seeded(seed):
    return np.random.default_rng(seed)


def slope_of(derivative, x, dout, seed):
    """The exact slope along the direction that the seed gives."""
    v = seeded(seed).standard_normal(x.shape)
    terms = dout * derivative(x.astype(np.float64)) * v
    return np.sum(terms), np.sum(np.abs(terms)) + np.sum(np.abs(dout))


@pytest.mark.exercise("check_gradient")
@pytest.mark.points(2)
@pytest.mark.parametrize("function", SLOPES, ids=lambda function: function.__name__)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_slope_along_the_direction_drawn(submission, rng, function, shape):
    x, dout, seed = rng.standard_normal(shape)[...], rng.standard_normal(shape)[...], int(rng.integers(1000))
    want, size = slope_of(SLOPES[function], x, dout, seed)
    got = submission.check_gradient(function, x, dout, seeded(seed))
    # Nudges from 1e-7 to 1e-4 stay far below this; a difference on one side, or in float32, does not.
    expect_close(got, want, 1e-6 * size, what="the slope")


@pytest.mark.exercise("check_gradient")
@pytest.mark.points(2)
@pytest.mark.parametrize("function", [np.absolute, np.square], ids=["a corner", "a bottom"])
def test_both_sides_of_a_symmetric_place_cancel(submission, rng, function):
    dout, seed = 1 + rng.random((3, 4)), int(rng.integers(1000))
    got = submission.check_gradient(function, np.zeros((3, 4)), dout, seeded(seed))
    expect_close(
        got, 0.0, 1e-12, what="the slope", help="Nudge as far to the one side as to the other, and subtract."
    )


@pytest.mark.exercise("check_gradient")
@pytest.mark.points(1)
def test_outputs_may_have_another_shape_than_inputs(submission, reference, rng):
    """A sum of all numbers, and functions that move numbers to other places."""
    x = rng.standard_normal((4, 5))
    # A direction along which a sum does change.
    seeds = iter(rng.integers(1000, size=100))
    seed = next(int(s) for s in seeds if abs(seeded(s).standard_normal(x.shape).sum()) > 2)
    v = seeded(seed).standard_normal(x.shape)
    # At 0 the difference of a sum is exact, so the weight must be too.
    weight = 1 + 2.0**-25
    got = submission.check_gradient(total, 0 * x, np.array(weight), seeded(seed))
    expect_close(got, weight * v.sum(), 1e-14 * np.abs(v).sum(), what="the slope of a sum at 0")
    got = submission.check_gradient(total, x, np.array(-1.5), seeded(seed))
    expect_close(got, -1.5 * v.sum(), 1e-6 * np.abs(v).sum(), what="the slope of a sum")
    for function in (reverse_rows, cumulative_mean):
        dout = rng.standard_normal((4, 5))
        got = submission.check_gradient(function, x, dout, seeded(seed))
        size = np.sum(np.abs(dout)) * np.abs(v).max()
        expect_close(got, np.sum(dout * function(v)), 1e-6 * size, what="the slope")


@pytest.mark.exercise("check_gradient")
@pytest.mark.points(1)
def test_a_cache_beside_the_output_is_put_aside(submission, rng):
    x, dout, seed = rng.standard_normal((3, 4)), rng.standard_normal((3, 4)), int(rng.integers(1000))
    want, size = slope_of(lambda x: 2 * x, x, dout, seed)
    got = submission.check_gradient(square_and_cache, x, dout, seeded(seed))
    expect_close(got, want, 1e-6 * size, what="the slope")


@pytest.mark.exercise("check_gradient")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(6, 7), ()], ids=str)
def test_all_arithmetic_is_in_float64(submission, rng, shape):
    x, dout = (np.asarray(rng.standard_normal(shape), np.float32) for _ in range(2))
    seed = int(rng.integers(1000))
    want, size = slope_of(np.cos, x, dout.astype(np.float64), seed)
    got = submission.check_gradient(np.sin, x, dout, seeded(seed))
    expect(isinstance(got, float), f"The slope is a {type(got).__name__}; expected a Python float.")
    expect_close(
        got, want, 1e-6 * size, what="the slope", help="float32 has too few digits for a difference."
    )
    # Just less than half a unit in the last place of a float32, and exp makes it count.
    x, dout = rng.integers(33, 63, 1) + 0.98 * 2.0**-19, np.ones(1)
    want, size = slope_of(np.exp, x, dout, seed)
    got = submission.check_gradient(np.exp, x, dout, seeded(seed))
    expect_close(got, want, 1e-6 * size, what="the slope at a number with many digits")


@pytest.mark.exercise("check_gradient")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(4, 3), (3,), (3, 1), (1, 4), (4,)], ids=str)
def test_weights_of_another_shape_are_refused(submission, rng, shape):
    x = rng.standard_normal((3, 4))
    expect_raises(submission.check_gradient, ValueError, np.sin, x, rng.standard_normal(shape), seeded(0))
