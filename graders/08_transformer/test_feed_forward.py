"""Hidden graders of the feed-forward part: widen, bend, narrow, at every position alike."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance
from gradschool.grading.expect import expect

# The shape of x, d_ff: wider, one, narrower, square.
CASES = [((2, 3, 4), 7), ((1, 1, 3), 1), ((5, 4), 2), ((4,), 6), ((2, 3, 5), 5), ((2, 2, 3, 4), 3)]
NAMES = ("w1", "b1", "w2", "b2")


def _part(rng, shape, d_ff, dtype=np.float64):
    d_model = shape[-1]
    shapes = {"w1": (d_model, d_ff), "b1": (d_ff,), "w2": (d_ff, d_model), "b2": (d_model,)}
    params = {name: rng.standard_normal(size).astype(dtype) for name, size in shapes.items()}
    return rng.standard_normal(shape).astype(dtype), params


@pytest.mark.exercise("feed_forward_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_position_goes_through_the_same_two_layers(submission, reference, rng, case):
    x, params = _part(rng, *case)
    out, _ = submission.feed_forward_forward(x, params)
    want, _ = reference.feed_forward_forward(x, params)
    expect_close(out, want, 1e-11 * np.abs(want).max(), what="out")


@pytest.mark.exercise("feed_forward_forward")
@pytest.mark.points(1)
def test_a_position_does_not_feel_its_neighbours(submission, reference, rng):
    x, params = _part(rng, (2, 4, 3), 5)
    want, _ = reference.feed_forward_forward(x[:, :1], params)
    x[:, 1:] = 100
    out, _ = submission.feed_forward_forward(x, params)
    expect_close(out[:, :1], want, 1e-12 * np.abs(want).max(), what="out at the first position")


@pytest.mark.exercise("feed_forward_forward")
@pytest.mark.points(1)
def test_biases_alone_make_an_answer(submission, reference, rng):
    x, params = _part(rng, (2, 3, 4), 5)
    out, _ = submission.feed_forward_forward(0 * x, params)
    want, _ = reference.feed_forward_forward(0 * x, params)
    expect_close(out, want, 1e-11 * np.abs(want).max(), what="out")


@pytest.mark.exercise("feed_forward_forward")
@pytest.mark.points(1)
def test_float32_stays_float32_in_feed_forward(submission, reference, rng):
    x, params = _part(rng, (2, 3, 4), 7, np.float32)
    out, _ = submission.feed_forward_forward(x, params)
    wide = {name: value.astype(np.float64) for name, value in params.items()}
    want, _ = reference.feed_forward_forward(x.astype(np.float64), wide)
    # The tanh form differs from the exact one by up to 5e-4 for each of the seven hidden features.
    expect_close(out, want, 2e-5, what="out", dtype=np.float32)


@pytest.mark.exercise("feed_forward_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("wrong", ["x", "b1", "w2 rows", "w2 columns", "b2"])
def test_what_does_not_fit_is_refused_in_feed_forward(submission, rng, wrong):
    x, params = _part(rng, (2, 3, 4), 5)
    if wrong == "x":
        x = x[..., :3]
    elif wrong in ("b1", "b2"):
        params[wrong] = params[wrong][:1]
    else:
        params["w2"] = params["w2"][:4] if wrong == "w2 rows" else params["w2"][:, :1]
    expect_raises(submission.feed_forward_forward, ValueError, x, params)


def _backward(submission, reference, rng, shape, d_ff):
    x, params = _part(rng, shape, d_ff)
    dout = 0.5 + rng.standard_normal(shape)
    _, cache = submission.feed_forward_forward(x, params)
    got = submission.feed_forward_backward(dout, cache)
    return got, reference.feed_forward_backward(dout, reference.feed_forward_forward(x, params)[1])


@pytest.mark.exercise("feed_forward_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_dx_comes_back_through_both_layers(submission, reference, rng, case):
    (dx, _), (want, _) = _backward(submission, reference, rng, *case)
    expect_close(dx, want, tolerance.gradient(want, 10), what="dx")


@pytest.mark.exercise("feed_forward_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_parameter_gathers_from_all_positions(submission, reference, rng, case):
    (_, grads), (_, want) = _backward(submission, reference, rng, *case)
    expect(set(grads) == set(NAMES), f"grads has the names {sorted(grads)}; it should have {sorted(NAMES)}.")
    for name in NAMES:
        expect_close(
            grads[name], want[name], tolerance.gradient(want[name], 10), what=f"the gradient of {name}"
        )


@pytest.mark.exercise("feed_forward_backward")
@pytest.mark.points(1)
def test_the_gradients_survive_a_finite_difference(submission, reference, rng):
    x, params = _part(rng, (2, 3, 4), 5)
    dout = rng.standard_normal(x.shape)
    _, cache = submission.feed_forward_forward(x, params)
    dx, grads = submission.feed_forward_backward(dout, cache)
    along = {name: rng.standard_normal(value.shape) for name, value in params.items()}
    along_x = rng.standard_normal(x.shape)

    def loss(t):
        moved = {name: value + t * along[name] for name, value in params.items()}
        return (dout * reference.feed_forward_forward(x + t * along_x, moved)[0]).sum()

    slope = np.array((loss(1e-6) - loss(-1e-6)) / 2e-6)
    got = np.sum(dx * along_x) + sum(np.sum(grads[name] * along[name]) for name in NAMES)
    expect_close(np.asarray(got), slope, 1e-6 * (1 + np.abs(slope)), what="the slope along one direction")


@pytest.mark.exercise("feed_forward_backward")
@pytest.mark.points(1)
def test_gradients_of_float32_are_float32_in_feed_forward(submission, reference, rng):
    x, params = _part(rng, (2, 3, 4), 5, np.float32)
    dout = rng.standard_normal(x.shape).astype(np.float32)
    _, cache = submission.feed_forward_forward(x, params)
    dx, grads = submission.feed_forward_backward(dout, cache)
    wide = {name: value.astype(np.float64) for name, value in params.items()}
    _, wide_cache = reference.feed_forward_forward(x.astype(np.float64), wide)
    want, want_grads = reference.feed_forward_backward(dout.astype(np.float64), wide_cache)
    for name, value, expected in [("dx", dx, want), *((n, grads[n], want_grads[n]) for n in NAMES)]:
        expect_close(value, expected, 1e-4 * (1 + np.abs(expected).max()), what=name, dtype=np.float32)


@pytest.mark.exercise("feed_forward_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(3, 4), (1, 3, 4), (2, 3, 1), ()], ids=str)
def test_a_gradient_of_another_shape_is_refused_in_feed_forward(submission, rng, shape):
    _, cache = submission.feed_forward_forward(*_part(rng, (2, 3, 4), 5))
    expect_raises(submission.feed_forward_backward, ValueError, rng.standard_normal(shape), cache)
