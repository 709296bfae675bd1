"""Hidden graders of the softmax: its values, its stability, its backward."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance

SHAPES = [(3, 5), (4, 4), (6, 1), (7,), (2, 3, 5), (3, 3, 3), (1, 130)]
# Each lies far outside what `exp` can take, in its own way. Scores of 2,000 need the shift
# in float64 too, where exp overflows above 709.
EXTREMES = [
    "high",
    "low",
    "below any constant",
    "rows far apart",
    "one far above",
    "one far below",
    "constant",
]
MASKS = ["some", "all but one", "below every score"]
U64 = tolerance.U64


def _extreme(name, rng):
    x = rng.standard_normal((4, 7))
    if name == "high":
        return x + 2000
    if name == "low":
        return x - 2000
    if name == "below any constant":
        # Masks are often written as -1e9; a real score may lie below that.
        return -1e12 * rng.uniform(1, 2, (4, 7))
    if name == "rows far apart":
        return x + np.array([[-3000.0], [0.0], [1000.0], [5000.0]])
    if name == "one far above":
        x[np.arange(4), [0, 6, 3, 3]] = 9000.0
        return x
    if name == "one far below":
        x[np.arange(4), [0, 6, 3, 3]] = -3000.0
        return x
    return np.full((4, 7), 777.0)


def _masked(name, rng):
    x = rng.standard_normal((3, 6))
    if name == "some":
        x[0, 2] = x[1, 0] = x[1, 5] = -np.inf
    elif name == "all but one":
        x[:] = -np.inf
        x[np.arange(3), [0, 3, 5]] = [2.0, 0.0, -4.0]
    else:
        x -= 1e5
        x[0, 2] = x[2, 4] = x[2, 5] = -np.inf
    return x


def _tolerance(x, u=U64):
    """Rounding of a softmax; exp(x - log-sum-exp) is correct too, and rounds relative to the scores."""
    finite = np.abs(np.where(np.isinf(x), 0, x)).max()
    return 2 * tolerance.softmax(x, u=u) * (1 + finite)


@pytest.mark.exercise("softmax_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_each_row_becomes_a_distribution(submission, reference, rng, shape):
    x = 3 * rng.standard_normal(shape)
    out = submission.softmax_forward(x)
    expect_close(out, reference.softmax_forward(x), _tolerance(x), what="out")


@pytest.mark.exercise("softmax_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize("name", EXTREMES)
def test_any_finite_scores_are_survived(submission, reference, rng, name):
    x = _extreme(name, rng)
    out = submission.softmax_forward(x)
    expect_close(out, reference.softmax_forward(x), _tolerance(x), what="out")


@pytest.mark.exercise("softmax_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("name", MASKS)
def test_minus_infinity_gets_no_probability(submission, reference, rng, name):
    x = _masked(name, rng)
    out = submission.softmax_forward(x)
    expect_close(out, reference.softmax_forward(x), _tolerance(x), what="out")


@pytest.mark.exercise("softmax_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(5, 3), (2, 4, 3)], ids=str)
def test_float32_scores_give_float32_probabilities(submission, reference, rng, shape):
    x = (3 * rng.standard_normal(shape)).astype(np.float32)
    want = reference.softmax_forward(x.astype(np.float64))
    expect_close(
        submission.softmax_forward(x), want, _tolerance(x, tolerance.U32), what="out", dtype=np.float32
    )


@pytest.mark.exercise("softmax_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(3, 0), (0,)], ids=str)
def test_scores_without_columns_are_refused_and_without_rows_are_not(submission, shape):
    expect_raises(submission.softmax_forward, ValueError, np.zeros(shape))
    out = submission.softmax_forward(np.zeros((0, 3)))
    expect_close(out, np.zeros((0, 3)), tolerance.exact(), what="out of no rows")


def _probabilities(reference, rng, shape):
    return reference.softmax_forward(2 * rng.standard_normal(shape))


@pytest.mark.exercise("softmax_backward")
@pytest.mark.points(3)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_gradient_of_the_scores(submission, reference, rng, shape):
    out, dout = _probabilities(reference, rng, shape), rng.standard_normal(shape) + 0.5
    dx = submission.softmax_backward(dout, out)
    scale = out * (np.abs(dout) + (out * np.abs(dout)).sum(axis=-1, keepdims=True))
    expect_close(dx, reference.softmax_backward(dout, out), 1e-14 * shape[-1] * scale + 1e-300, what="dx")


@pytest.mark.exercise("softmax_backward")
@pytest.mark.points(1)
def test_the_gradient_keeps_float32_and_its_inputs(submission, reference, rng):
    out = _probabilities(reference, rng, (4, 9)).astype(np.float32)
    dout = rng.standard_normal((4, 9)).astype(np.float32)
    want = reference.softmax_backward(dout.astype(np.float64), out.astype(np.float64))
    for _ in range(2):
        got = submission.softmax_backward(dout, out)
        expect_close(got, want, 1e-6, what="dx", dtype=np.float32)


@pytest.mark.exercise("softmax_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("dout_shape", [(1, 5), (5,), (3, 1), (5, 3)], ids=str)
def test_gradient_and_probabilities_must_fit(submission, reference, rng, dout_shape):
    out = _probabilities(reference, rng, (3, 5))
    expect_raises(submission.softmax_backward, ValueError, rng.standard_normal(dout_shape), out)
