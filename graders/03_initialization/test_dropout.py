"""Hidden graders of dropout: which elements stay, how large they become, and the same mask on the way back."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance
from gradschool.grading.expect import expect

CASES = [((7,), 0.5), ((5, 3), 0.2), ((2, 3, 5), 0.75), ((1, 1), 0.4), ((4, 1, 6), 0.0)]


def _away_from_zero(rng, shape, dtype=np.float64):
    """Numbers of both signs, none near 0: a 0 in the output was dropped."""
    return (rng.choice([-1, 1], shape) * (0.5 + rng.random(shape))).astype(dtype)


def _generator(rng):
    return np.random.default_rng(int(rng.integers(2**31)))


def _expect_masked(out, x, rate, what, u=tolerance.U64, dtype=None):
    """`out` is 0 or x / (1 - rate), wherever which is."""
    expect(
        isinstance(out, np.ndarray) and out.shape == x.shape,
        f"{what} does not have the shape of what went in.",
    )
    wide = x.astype(np.float64)
    want = np.where(out == 0, 0.0, wide / (1 - rate) if rate < 1 else 0.0)
    expect_close(
        out,
        want,
        tolerance.elementwise(want, 8, u=u),
        what=what,
        dtype=dtype,
        help="Kept elements are divided by 1 - rate.",
    )


@pytest.mark.exercise("dropout_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_survivors_are_scaled_up(submission, rng, case):
    shape, rate = case
    x = _away_from_zero(rng, shape)
    out, _ = submission.dropout_forward(x, rate, _generator(rng), True)
    _expect_masked(out, x, rate, "out")
    if rate == 0:
        expect(bool(np.all(out != 0)), "Something was dropped at rate 0.")


@pytest.mark.exercise("dropout_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize("rate", [0.1, 0.2, 0.5, 0.9], ids=str)
def test_the_rate_is_the_share_that_is_dropped(submission, rng, rate):
    x = _away_from_zero(rng, (300, 101))
    out, _ = submission.dropout_forward(x, rate, _generator(rng), True)
    _expect_masked(out, x, rate, "out")
    kept = out != 0
    bound = 6 * np.sqrt(rate * (1 - rate) / x.size)
    expect(abs(np.mean(~kept) - rate) < bound, "The share of dropped elements is not the rate.")
    for axis in (0, 1):
        # Each row and column has its own share of survivors, none is all or nothing.
        shares = kept.mean(axis=axis)
        loose = 7 * np.sqrt(rate * (1 - rate) / kept.shape[axis])
        expect(
            bool(np.all(np.abs(shares - (1 - rate)) < loose)),
            "Whole rows or columns share their fate.",
            help="Draw one number for every element: rng.random(x.shape).",
        )
    both = np.mean(kept[:-1] & kept[1:])
    expect(abs(both - (1 - rate) ** 2) < 8 * bound, "Neighbouring elements are not dropped independently.")


@pytest.mark.exercise("dropout_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("rate", [0.0, 0.3, 0.5, 1.0], ids=str)
def test_testing_changes_nothing(submission, rng, rate):
    x = _away_from_zero(rng, (6, 5))
    out, _ = submission.dropout_forward(x, rate, _generator(rng), False)
    expect_close(out, x, 0.0, what="out when not training")


@pytest.mark.exercise("dropout_forward")
@pytest.mark.points(1)
def test_at_rate_one_all_is_dropped(submission, rng):
    out, _ = submission.dropout_forward(_away_from_zero(rng, (4, 3)), 1.0, _generator(rng), True)
    expect_close(out, np.zeros((4, 3)), 0.0, what="out")


@pytest.mark.exercise("dropout_forward")
@pytest.mark.points(1)
def test_the_seed_decides_the_mask_and_float32_stays(submission, rng):
    x, seed = _away_from_zero(rng, (9, 11), np.float32), int(rng.integers(2**31))
    one, again, other = (
        submission.dropout_forward(x, 0.5, np.random.default_rng(s), True)[0] for s in (seed, seed, seed + 1)
    )
    _expect_masked(one, x, 0.5, "out", tolerance.U32, np.float32)
    expect(bool(np.array_equal(one, again)), "The same rng drops other elements the second time.")
    expect(
        not np.array_equal(one, other),
        "Another rng drops the same elements.",
        help="Draw from the given `rng`.",
    )
    counts = {
        int(np.count_nonzero(submission.dropout_forward(x, 0.5, _generator(rng), True)[0])) for _ in range(12)
    }
    # Twelve equal counts of 99 coins: less than once in 10^11.
    expect(
        len(counts) > 1,
        "Every mask drops exactly as many elements as the one before.",
        help="Each element decides for itself: compare one random number per element with the rate.",
    )


@pytest.mark.exercise("dropout_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("rate", [-0.1, 1.5], ids=str)
@pytest.mark.parametrize("training", [True, False], ids=["training", "testing"])
def test_a_rate_that_is_no_probability_is_refused(submission, rng, rate, training):
    expect_raises(submission.dropout_forward, ValueError, np.ones((2, 2)), rate, _generator(rng), training)


@pytest.mark.exercise("dropout_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", [*CASES, ((8, 9), 0.3)], ids=str)
def test_the_gradient_passes_where_the_forward_did(submission, rng, case):
    shape, rate = case
    x, dout = _away_from_zero(rng, shape), _away_from_zero(rng, shape)
    out, cache = submission.dropout_forward(x, rate, _generator(rng), True)
    want = np.where(out == 0, 0.0, dout / (1 - rate))
    for _ in range(2):  # a cache can be used again
        got = submission.dropout_backward(dout, cache)
        expect_close(got, want, tolerance.elementwise(want, 8, u=tolerance.U64), what="dx")


@pytest.mark.exercise("dropout_backward")
@pytest.mark.points(1)
def test_the_backward_of_testing_changes_nothing(submission, rng):
    dout = _away_from_zero(rng, (5, 4))
    _, cache = submission.dropout_forward(_away_from_zero(rng, (5, 4)), 0.4, _generator(rng), False)
    expect_close(submission.dropout_backward(dout, cache), dout, 0.0, what="dx when not training")


@pytest.mark.exercise("dropout_backward")
@pytest.mark.points(1)
def test_float32_gradients_and_rate_one(submission, rng):
    x, dout = _away_from_zero(rng, (6, 7), np.float32), _away_from_zero(rng, (6, 7), np.float32)
    for rate in (0.25, 1.0):
        out, cache = submission.dropout_forward(x, rate, _generator(rng), True)
        want = np.where(out == 0, 0.0, dout.astype(np.float64) / 0.75)
        got = submission.dropout_backward(dout, cache)
        expect_close(got, want, tolerance.elementwise(want, 8), what="dx", dtype=np.float32)


@pytest.mark.exercise("dropout_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(3,), (1, 3), (3, 4)], ids=str)
def test_a_gradient_of_another_shape_is_refused(submission, rng, shape):
    _, cache = submission.dropout_forward(_away_from_zero(rng, (4, 3)), 0.5, _generator(rng), True)
    expect_raises(submission.dropout_backward, ValueError, np.ones(shape), cache)
