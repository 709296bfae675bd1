"""Visible checks of the parts: small cases that you can work out by hand.

Read them, change them, add to them: they are yours. The grader has tests of its own, with
other sizes, other numbers and more of what the docstrings promise.
"""

import math

import numpy as np
import pytest

from gradschool.grading import expect_raises
from gradschool.grading.expect import expect


def expect_array(got, want, story):
    """Fail with both values written out; `story` says what went in."""
    got, want = np.asarray(got), np.asarray(want)
    expect(got.shape == want.shape, f"{story}: the shape is {got.shape}; it should be {want.shape}.")
    expect(
        np.allclose(got, want, rtol=1e-5, atol=1e-5),
        f"{story}: yours is {np.array2string(got, threshold=12, precision=5)}; "
        f"it should be {np.array2string(want, threshold=12, precision=5)}.",
    )


TABLE = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
ROOT = math.sqrt(5.0)


@pytest.mark.exercise("embedding_forward")
def test_two_sequences_of_two_tokens(submission):
    out, _ = submission.embedding_forward(np.array([[2, 0], [2, 1]]), TABLE)
    want = [[[5.0, 6.0], [1.0, 2.0]], [[5.0, 6.0], [3.0, 4.0]]]
    expect_array(out, want, "tokens [[2 0] [2 1]], rows [1 2], [3 4], [5 6]")


@pytest.mark.exercise("embedding_forward")
def test_a_token_that_is_not_in_the_table_is_refused(submission):
    expect_raises(submission.embedding_forward, ValueError, np.array([0, 3]), TABLE)
    expect_raises(submission.embedding_forward, ValueError, np.array([0, -1]), TABLE)


@pytest.mark.exercise("embedding_backward")
def test_a_token_that_occurs_twice_gets_two_gradients(submission):
    _, cache = submission.embedding_forward(np.array([2, 0, 2]), TABLE)
    dtable = submission.embedding_backward(np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]), cache)
    story = "tokens [2 0 2], dout = [1 10], [2 20], [3 30]"
    expect_array(dtable, [[2.0, 20.0], [0.0, 0.0], [4.0, 40.0]], story)


def vector():
    """One vector with the features 1, 3, 5, 7: mean 4, variance 5, mean square 21."""
    return np.array([[1.0, 3.0, 5.0, 7.0]]), np.array([2.0, 2.0, 1.0, 1.0]), np.array([0.0, 0.0, 10.0, 10.0])


STORY = "vector() in checks_components.py, eps = 0"


@pytest.mark.exercise("layer_norm_forward")
def test_one_vector_by_hand(submission):
    out, _ = submission.layer_norm_forward(*vector(), 0.0)
    expect_array(out, [[-6 / ROOT, -2 / ROOT, 10 + 1 / ROOT, 10 + 3 / ROOT]], STORY)


@pytest.mark.exercise("layer_norm_forward")
def test_two_vectors_are_measured_apart(submission):
    x = np.array([[-1.0, 1.0], [100.0, 300.0]])
    out, _ = submission.layer_norm_forward(x, np.ones(2), np.zeros(2), 0.0)
    expect_array(out, [[-1.0, 1.0], [-1.0, 1.0]], "x = [-1 1], [100 300], eps = 0")


@pytest.mark.exercise("layer_norm_forward")
def test_a_layer_norm_scale_that_does_not_fit_is_refused(submission):
    x, _, beta = vector()
    expect_raises(submission.layer_norm_forward, ValueError, x, np.ones(1), beta, 1e-5)


@pytest.mark.exercise("layer_norm_backward")
def test_the_gradients_of_one_vector_by_hand(submission):
    x, _, beta = vector()
    _, cache = submission.layer_norm_forward(x, np.full(4, 2.0), beta, 0.0)
    dx, dgamma, dbeta = submission.layer_norm_backward(np.array([[1.0, 0.0, 0.0, 0.0]]), cache)
    story = f"{STORY} with gamma = 2 everywhere, dout = [1 0 0 0]"
    expect_array(dbeta, [1.0, 0.0, 0.0, 0.0], f"{story}, dbeta")
    expect_array(dgamma, [-3 / ROOT, 0.0, 0.0, 0.0], f"{story}, dgamma")
    expect_array(dx, 2 / ROOT * np.array([[0.3, -0.4, -0.1, 0.2]]), f"{story}, dx")


@pytest.mark.exercise("layer_norm_backward")
def test_dx_has_no_part_that_layer_norm_cannot_feel(submission):
    rng = np.random.default_rng(0)
    x, dout = rng.standard_normal((2, 3, 4, 5))
    gamma = 1 + rng.random(5)
    _, cache = submission.layer_norm_forward(x, gamma, np.zeros(5), 0.0)
    dx, _, _ = submission.layer_norm_backward(dout, cache)
    expect_array(dx.sum(axis=-1), np.zeros((3, 4)), "random x and dout, the sum of dx over each vector")
    expect_array((dx * x).sum(axis=-1), np.zeros((3, 4)), "random x and dout, the sum of dx * x")


@pytest.mark.exercise("rms_norm_forward")
def test_one_vector_by_its_root_mean_square(submission):
    x, gamma = np.array([[1.0, 7.0], [-2.0, 14.0]]), np.array([1.0, 10.0])
    out, _ = submission.rms_norm_forward(x, gamma, 0.0)
    expect_array(out, [[0.2, 14.0], [-0.2, 14.0]], "x = [1 7], [-2 14], gamma = [1 10], eps = 0")


@pytest.mark.exercise("rms_norm_forward")
def test_an_rms_norm_scale_that_does_not_fit_is_refused(submission):
    expect_raises(submission.rms_norm_forward, ValueError, np.ones((2, 3)), np.ones(1), 1e-5)


@pytest.mark.exercise("rms_norm_backward")
def test_the_gradients_of_one_rms_norm_by_hand(submission):
    _, cache = submission.rms_norm_forward(np.array([[1.0, 7.0]]), np.array([1.0, 1.0]), 0.0)
    dx, dgamma = submission.rms_norm_backward(np.array([[1.0, 0.0]]), cache)
    story = "x = [1 7], gamma = [1 1], eps = 0, dout = [1 0]"
    expect_array(dgamma, [0.2, 0.0], f"{story}, dgamma")
    expect_array(dx, [[0.2 * 0.98, 0.2 * -0.14]], f"{story}, dx")


@pytest.mark.exercise("gelu_forward")
def test_gelu_at_a_few_places(submission):
    x = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    exact, _ = submission.gelu_forward(x)
    expect_array(exact, [-0.0455003, -0.1586553, 0.0, 0.8413447, 1.9544997], "x = [-2 -1 0 1 2]")
    near, _ = submission.gelu_forward(x, "tanh")
    expect_array(near, [-0.0454023, -0.1588080, 0.0, 0.8411920, 1.9545977], 'the same x, "tanh"')


@pytest.mark.exercise("gelu_forward")
def test_a_form_that_does_not_exist_is_refused(submission):
    expect_raises(submission.gelu_forward, ValueError, np.ones(3), "sigmoid")


@pytest.mark.exercise("gelu_backward")
def test_the_slope_at_a_few_places(submission):
    x = np.array([-1.0, 0.0, 1.0])
    for form, want in (("none", [-0.0833155, 0.5, 1.0833155]), ("tanh", [-0.0829641, 0.5, 1.0829641])):
        _, cache = submission.gelu_forward(x, form)
        dx = submission.gelu_backward(np.array([1.0, 10.0, 2.0]), cache)
        expect_array(dx, np.array(want) * [1, 10, 2], f'x = [-1 0 1], "{form}", dout = [1 10 2]')


def two_hidden_features():
    """One feature in and out; the hidden ones are x and -x, and their difference is x again."""
    params = {"w1": [[1.0, -1.0]], "b1": [0.0, 0.0], "w2": [[1.0], [-1.0]], "b2": [5.0]}
    return {name: np.array(value) for name, value in params.items()}


@pytest.mark.exercise("feed_forward_forward")
def test_two_bends_make_a_straight_line(submission):
    x = np.array([[[-2.0], [0.0], [3.0]]])
    out, _ = submission.feed_forward_forward(x, two_hidden_features())
    expect_array(
        out, x + 5, "two_hidden_features() in checks_components.py: gelu(x) - gelu(-x) is x, b2 is 5"
    )


@pytest.mark.exercise("feed_forward_forward")
def test_a_layer_that_does_not_fit_is_refused(submission):
    expect_raises(submission.feed_forward_forward, ValueError, np.ones((2, 3)), two_hidden_features())


@pytest.mark.exercise("feed_forward_backward")
def test_the_gradients_of_a_straight_line(submission):
    x = np.array([[[-2.0], [0.0], [3.0]]])
    _, cache = submission.feed_forward_forward(x, two_hidden_features())
    dx, grads = submission.feed_forward_backward(np.array([[[1.0], [10.0], [100.0]]]), cache)
    story = "two_hidden_features() in checks_components.py, dout = 1, 10, 100"
    expect(
        set(grads) == {"w1", "b1", "w2", "b2"},
        f"grads has the names {sorted(grads)}; w1 b1 w2 b2 are needed.",
    )
    expect_array(dx, [[[1.0], [10.0], [100.0]]], f"{story}, dx")
    expect_array(grads["b2"], [111.0], f"{story}, the gradient of b2")
    expect(grads["w1"].shape == (1, 2), f"{story}: w1's gradient has shape {grads['w1'].shape}, not (1, 2).")
