"""Hidden graders of the residual connection: x + f(x), and its backward."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance

SHAPES = [(3, 5), (7,), (2, 3, 4, 5), (1, 1)]


@pytest.mark.exercise("residual_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("f", [np.tanh, np.square, np.negative], ids=lambda f: f.__name__)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_what_a_plain_function_makes_is_added(submission, reference, rng, f, shape):
    x = 2 * rng.standard_normal(shape)
    out, _ = submission.residual_forward(x, f)
    want, _ = reference.residual_forward(x, f)
    expect_close(out, want, tolerance.elementwise(want, 8, u=tolerance.U64) + 1e-15, what="out")


@pytest.mark.exercise("residual_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_layer_that_returns_a_cache_is_added(submission, reference, rng, shape):
    x = rng.standard_normal(shape)
    out, _ = submission.residual_forward(x, submission.relu_forward)
    want, _ = reference.residual_forward(x, reference.relu_forward)
    expect_close(out, want, tolerance.elementwise(want, 8, u=tolerance.U64), what="out")


@pytest.mark.exercise("residual_forward")
@pytest.mark.points(1)
def test_float32_stays_float32(submission, reference, rng):
    x = rng.standard_normal((4, 5)).astype(np.float32)
    out, _ = submission.residual_forward(x, submission.relu_forward)
    want, _ = reference.residual_forward(x.astype(np.float64), reference.relu_forward)
    expect_close(out, want, tolerance.elementwise(want, 4), what="out", dtype=np.float32)


@pytest.mark.exercise("residual_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("f", [np.sum, np.mean], ids=lambda f: f.__name__)
def test_another_shape_cannot_be_added(submission, rng, f):
    expect_raises(submission.residual_forward, ValueError, rng.standard_normal((3, 5)), f)


@pytest.mark.exercise("residual_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_gradient_comes_through_f_and_past_it(submission, reference, rng, shape):
    x, dout = rng.standard_normal(shape), rng.standard_normal(shape)
    _, cache = submission.residual_forward(x, submission.relu_forward)
    got = submission.residual_backward(dout, cache, submission.relu_backward)
    _, want_cache = reference.residual_forward(x, reference.relu_forward)
    want = reference.residual_backward(dout, want_cache, reference.relu_backward)
    expect_close(got, want, tolerance.gradient(want), what="dx")


@pytest.mark.exercise("residual_backward")
@pytest.mark.points(1)
def test_what_f_blocks_still_passes_by(submission, reference, rng):
    """ReLU is flat everywhere here, so the upstream gradient arrives alone; float32, twice."""
    x, dout = -1 - rng.random((4, 5)), rng.standard_normal((4, 5)).astype(np.float32)
    _, cache = submission.residual_forward(x.astype(np.float32), submission.relu_forward)
    want = reference.residual_backward(dout, x, reference.relu_backward)
    for _ in range(2):
        got = submission.residual_backward(dout, cache, submission.relu_backward)
        expect_close(got, want, tolerance.elementwise(want, 4), what="dx", dtype=np.float32)


@pytest.mark.exercise("residual_backward")
@pytest.mark.points(1)
def test_a_cache_still_works_after_other_calls(submission, reference, rng):
    """Two inputs go forward; the gradients are asked for afterwards, the first one's last."""
    inputs, dout = rng.standard_normal((2, 4, 5)), rng.standard_normal((4, 5))
    caches = [submission.residual_forward(x, submission.relu_forward)[1] for x in inputs]
    for x, cache in reversed(list(zip(inputs, caches, strict=True))):
        got = submission.residual_backward(dout, cache, submission.relu_backward)
        want = reference.residual_backward(dout, x, reference.relu_backward)
        expect_close(got, want, tolerance.gradient(want), what="dx")
    # np.modf gives the fraction and, as its cache, the whole part, which is not x.
    _, cache = submission.residual_forward(3 * inputs[0], np.modf)
    got = submission.residual_backward(dout, cache, np.multiply)
    want = dout + dout * np.trunc(3 * inputs[0])
    expect_close(got, want, tolerance.gradient(want), what="dx, with the cache that f returned")


@pytest.mark.exercise("residual_backward")
@pytest.mark.points(1)
def test_a_gradient_of_another_shape_is_refused(submission, rng):
    x, dout = rng.standard_normal((3, 5)), rng.standard_normal(5)
    _, cache = submission.residual_forward(x, submission.relu_forward)
    expect_raises(submission.residual_backward, ValueError, dout, cache, submission.relu_backward)
