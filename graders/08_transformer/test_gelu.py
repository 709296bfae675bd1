"""Hidden graders of GELU: both forms, far out, backward."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance

FORMS = ["none", "tanh"]
SHAPES = [(2, 3, 5), (7,), (1, 1), (3, 4)]
U64 = tolerance.U64


def _grid(rng):
    """From -9 to 9: the bend, its far sides, and 0 itself."""
    return np.concatenate([np.linspace(-9, 9, 37), rng.uniform(-3, 3, 40)])


@pytest.mark.exercise("gelu_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_value_is_weighed_by_the_share_below_it(submission, reference, rng, shape, form):
    x = 2 * rng.standard_normal(shape)
    out, _ = submission.gelu_forward(x, form)
    want, _ = reference.gelu_forward(x, form)
    expect_close(out, want, 64 * U64 * np.maximum(np.abs(x), 1e-3), what="out")


@pytest.mark.exercise("gelu_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("form", FORMS)
def test_the_bend_is_right_from_one_side_to_the_other(submission, reference, rng, form):
    x = _grid(rng)
    out, _ = submission.gelu_forward(x, form)
    want, _ = reference.gelu_forward(x, form)
    expect_close(out, want, 64 * U64 * np.maximum(np.abs(x), 1e-3), what="out")


@pytest.mark.exercise("gelu_forward")
@pytest.mark.points(1)
def test_the_exact_form_is_the_default(submission, reference, rng):
    x = 2 * rng.standard_normal((3, 5))
    out, _ = submission.gelu_forward(x)
    want, _ = reference.gelu_forward(x)
    expect_close(out, want, 64 * U64 * np.maximum(np.abs(x), 1e-3), what="out")


@pytest.mark.exercise("gelu_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("form", FORMS)
def test_the_largest_numbers_pass_or_vanish(submission, form):
    large = np.array([30.0, 1e4, 1e104, 1e140])
    out, _ = submission.gelu_forward(np.concatenate([large, -large]), form)
    expect_close(out, np.concatenate([large, 0 * large]), np.tile(1e-15 * large, 2), what="out")


@pytest.mark.exercise("gelu_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("form", FORMS)
def test_float32_stays_float32_in_gelu(submission, reference, rng, form):
    x = _grid(rng).astype(np.float32)
    out, _ = submission.gelu_forward(x, form)
    want, _ = reference.gelu_forward(x.astype(np.float64), form)
    tol = 16 * tolerance.U32 * np.maximum(np.abs(x.astype(np.float64)), 1e-3)
    expect_close(out, want, tol, what="out", dtype=np.float32)


@pytest.mark.exercise("gelu_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("form", ["erf", "sigmoid", "Tanh"])
def test_an_unknown_form_is_refused(submission, rng, form):
    expect_raises(submission.gelu_forward, ValueError, rng.standard_normal(4), form)


def _backward(submission, reference, x, dout, form):
    _, cache = submission.gelu_forward(x, form)
    got = submission.gelu_backward(dout, cache)
    return got, reference.gelu_backward(dout, reference.gelu_forward(x, form)[1])


@pytest.mark.exercise("gelu_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_dx_has_both_terms_of_the_product_rule(submission, reference, rng, shape, form):
    x, dout = 2 * rng.standard_normal(shape), 0.5 + rng.standard_normal(shape)
    got, want = _backward(submission, reference, x, dout, form)
    expect_close(got, want, tolerance.gradient(want, 10), what="dx")


@pytest.mark.exercise("gelu_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("form", FORMS)
def test_the_slope_is_right_from_one_side_to_the_other(submission, reference, rng, form):
    x = _grid(rng)
    got, want = _backward(submission, reference, x, 1 + rng.random(x.shape), form)
    expect_close(got, want, tolerance.gradient(want, 10), what="dx")


@pytest.mark.exercise("gelu_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("form", FORMS)
def test_the_slope_of_the_largest_numbers_is_that_of_relu(submission, rng, form):
    large = np.array([30.0, 1e4, 1e150, 1e308])
    x, dout = np.concatenate([large, -large]), 1 + rng.random(8)
    _, cache = submission.gelu_forward(x, form)
    expect_close(submission.gelu_backward(dout, cache), np.where(x > 0, dout, 0), 1e-14, what="dx")


@pytest.mark.exercise("gelu_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("form", FORMS)
def test_the_slope_survives_a_finite_difference(submission, reference, rng, form):
    x, dout = 2 * rng.standard_normal((2, 9))
    _, cache = submission.gelu_forward(x, form)
    dx = submission.gelu_backward(dout, cache)
    step = 1e-5
    ahead, behind = (reference.gelu_forward(x + s, form)[0] for s in (step, -step))
    want = dout * (ahead - behind) / (2 * step)
    expect_close(dx, want, 1e-8 * (1 + np.abs(want)), what="dx")


@pytest.mark.exercise("gelu_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("form", FORMS)
def test_gradients_of_float32_are_float32_in_gelu(submission, reference, rng, form):
    x, dout = rng.standard_normal((2, 3, 5)).astype(np.float32)
    _, cache = submission.gelu_forward(x, form)
    dx = submission.gelu_backward(dout, cache)
    wide = reference.gelu_forward(x.astype(np.float64), form)[1]
    want = reference.gelu_backward(dout.astype(np.float64), wide)
    expect_close(dx, want, 1e-5 * (1 + np.abs(want)), what="dx", dtype=np.float32)


@pytest.mark.exercise("gelu_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(5,), (1, 5), (3, 1)], ids=str)
def test_a_gradient_of_another_shape_is_refused_in_gelu(submission, rng, shape):
    _, cache = submission.gelu_forward(rng.standard_normal((3, 5)), "tanh")
    expect_raises(submission.gelu_backward, ValueError, rng.standard_normal(shape), cache)
