"""Visible checks of stage 2: small cases that you can work out by hand.

Read them, change them, add to them: they are yours. The grader has tests of its own, with
other sizes, other numbers and more of what the docstrings promise.
"""

import numpy as np
import pytest

from gradschool.grading import expect_raises
from gradschool.grading.expect import expect
from gradschool.sandbox.functions import double, square_and_cache

X = np.array([[-2.0, 0.0, 3.0], [0.5, -0.25, -7.0]])
DOUT = np.array([[1.0, 2.0, -3.0], [4.0, -5.0, 6.0]])


def expect_array(got, want, story):
    """Fail with both values written out; `story` says what went in."""
    got, want = np.asarray(got), np.asarray(want)
    expect(got.shape == want.shape, f"{story}: the shape is {got.shape}; it should be {want.shape}.")
    expect(
        np.allclose(got, want, rtol=1e-6, atol=1e-6),
        f"{story}: yours is {np.array2string(got, threshold=12, precision=5)}; "
        f"it should be {np.array2string(want, threshold=12, precision=5)}.",
    )


def expect_float32(got, story):
    """Fail unless `got` kept the dtype that went in."""
    expect(
        np.asarray(got).dtype == np.float32,
        f"{story}: float32 goes in and {np.asarray(got).dtype} comes out.",
        help="Something on the way is float64, or a NumPy integer that float32 is multiplied with.",
    )


def lamp():
    """The network that solves XOR: two switches, two hidden neurons, one score."""
    return {
        "w0": np.array([[1.0, 1.0], [1.0, 1.0]]),
        "b0": np.array([0.0, -1.0]),
        "w1": np.array([[1.0], [-2.0]]),
        "b1": np.array([0.0]),
    }


@pytest.mark.exercise("collapse_affine")
def test_two_small_layers(submission):
    w1, b1 = np.array([[1.0, 2.0]]), np.array([3.0, 4.0])
    w2, b2 = np.array([[5.0], [6.0]]), np.array([7.0])
    w, b = submission.collapse_affine(w1, b1, w2, b2)
    expect_array(w, [[17.0]], "w1 = [[1 2]], w2 = [[5] [6]], the new w")
    expect_array(b, [46.0], "b1 = [3 4], w2 = [[5] [6]], b2 = [7], the new b")


@pytest.mark.exercise("collapse_affine")
def test_layers_that_do_not_meet_are_refused(submission):
    expect_raises(
        submission.collapse_affine, ValueError, np.ones((2, 3)), np.ones(3), np.ones((4, 2)), np.ones(2)
    )


@pytest.mark.exercise("relu_forward")
def test_relu_of_six_numbers(submission):
    out, _ = submission.relu_forward(X)
    expect_array(out, [[0.0, 0.0, 3.0], [0.5, 0.0, 0.0]], "x = X above")


@pytest.mark.exercise("relu_forward")
def test_relu_keeps_float32(submission):
    out, _ = submission.relu_forward(X.astype(np.float32))
    expect_float32(out, "x = X above")


@pytest.mark.exercise("relu_backward")
def test_the_gate_is_open_where_x_is_positive(submission):
    _, cache = submission.relu_forward(X)
    got = submission.relu_backward(DOUT, cache)
    expect_array(got, [[0.0, 0.0, -3.0], [4.0, 0.0, 0.0]], "x = X, dout = DOUT above")


@pytest.mark.exercise("relu_backward")
def test_another_shape_is_refused(submission):
    _, cache = submission.relu_forward(X)
    expect_raises(submission.relu_backward, ValueError, DOUT[:1], cache)


@pytest.mark.exercise("relu_interpolant")
def test_a_roof_with_three_points(submission):
    params = submission.relu_interpolant(np.array([0.0, 1.0, 3.0]), np.array([1.0, 3.0, -1.0]))
    expect(
        isinstance(params, dict) and set(params) == {"w0", "b0", "w1", "b1"}, "The names are w0, b0, w1, b1."
    )
    x = np.array([[0.0], [0.5], [1.0], [2.0], [3.0]])
    out = np.maximum(x @ params["w0"] + params["b0"], 0) @ params["w1"] + params["b1"]
    expect_array(
        out[:, 0], [1, 2, 3, 1, -1], "points (0, 1), (1, 3), (3, -1); the network at 0, 0.5, 1, 2, 3"
    )


@pytest.mark.exercise("relu_interpolant")
def test_knots_in_disorder_are_refused(submission):
    expect_raises(submission.relu_interpolant, ValueError, np.array([0.0, 2.0, 1.0]), np.zeros(3))


@pytest.mark.exercise("linear_regions")
def test_two_hinges_make_three_pieces(submission):
    params = {
        "w0": np.array([[1.0, 1.0]]),
        "b0": np.array([0.0, -1.0]),
        "w1": np.array([[1.0], [-2.0]]),
        "b1": np.array([0.0]),
    }
    for low, high, want in ((-1.0, 2.0, 3), (0.5, 2.0, 2), (1.5, 2.0, 1), (0.0, 1.0, 1)):
        got = submission.linear_regions(params, low, high)
        expect(got == want, f"corners at 0 and 1: from {low} to {high} you count {got} pieces, not {want}.")


@pytest.mark.exercise("linear_regions")
def test_two_tents_make_four_pieces(submission):
    params = {
        "w0": np.array([[1.0, 1.0]]),
        "b0": np.array([0.0, -0.5]),
        "w1": np.array([[2.0, 2.0], [-4.0, -4.0]]),
        "b1": np.array([0.0, -0.5]),
        "w2": np.array([[2.0], [-4.0]]),
        "b2": np.array([0.0]),
    }
    got = submission.linear_regions(params, 0.0, 1.0)
    expect(got == 4, f"two tents on top of each other, from 0 to 1: you count {got} pieces, not 4.")


@pytest.mark.exercise("mlp_forward")
def test_the_lamp(submission):
    x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    logits, _ = submission.mlp_forward(x, lamp())
    expect_array(logits, [[0.0], [1.0], [1.0], [0.0]], "the four switches of XOR, lamp() above")


@pytest.mark.exercise("mlp_forward")
def test_one_layer_has_no_bend(submission):
    logits, _ = submission.mlp_forward(np.array([[1.0]]), {"w0": np.array([[-2.0]]), "b0": np.array([0.5])})
    expect_array(logits, [[-1.5]], "x = [[1]], w0 = [[-2]], b0 = [0.5]")


@pytest.mark.exercise("mlp_forward")
def test_a_missing_bias_is_refused(submission):
    params = lamp()
    del params["b0"]
    expect_raises(submission.mlp_forward, ValueError, np.ones((1, 2)), params)


@pytest.mark.exercise("mlp_backward")
def test_gradients_of_the_lamp(submission):
    _, cache = submission.mlp_forward(np.array([[1.0, 0.5], [-1.0, 0.25]]), lamp())
    grads = submission.mlp_backward(np.array([[1.0], [10.0]]), cache)
    expect(isinstance(grads, dict) and set(grads) == set(lamp()), "The names are w0, b0, w1, b1.")
    story = "lamp() above, x = [[1 0.5] [-1 0.25]], dlogits = [[1] [10]]"
    expect_array(grads["w1"], [[1.5], [0.5]], f"{story}, the gradient of w1")
    expect_array(grads["b1"], [11.0], f"{story}, the gradient of b1")
    expect_array(grads["w0"], [[1.0, -2.0], [0.5, -1.0]], f"{story}, the gradient of w0")
    expect_array(grads["b0"], [1.0, -2.0], f"{story}, the gradient of b0")


@pytest.mark.exercise("check_gradient")
def test_the_slope_of_a_straight_line(submission):
    # double(x) is 2 * x, whose slope is 2 everywhere; v is what the seed gives.
    v = np.random.default_rng(0).standard_normal(1)[0]
    got = submission.check_gradient(double, np.array([5.0]), np.array([10.0]), np.random.default_rng(0))
    expect_array(got, 20 * v, "f(x) = 2 x at [5], dout = [10], seed 0")


@pytest.mark.exercise("check_gradient")
def test_the_tuple_of_a_forward_is_understood(submission):
    # square_and_cache(x) is (x * x, (x,)), as a forward returns it; the slope at 3 is 6.
    v = np.random.default_rng(0).standard_normal(1)[0]
    got = submission.check_gradient(square_and_cache, np.array([3.0]), np.ones(1), np.random.default_rng(0))
    expect_array(got, 6 * v, "f(x) = (x * x, cache) at [3], dout = [1], seed 0")


@pytest.mark.exercise("sigmoid_forward")
def test_sigmoid_of_log_three(submission):
    out, _ = submission.sigmoid_forward(np.array([0.0, np.log(3.0), -np.log(3.0)]))
    expect_array(out, [0.5, 0.75, 0.25], "x = [0 log(3) -log(3)]")


@pytest.mark.exercise("sigmoid_forward")
def test_sigmoid_of_large_numbers(submission):
    out, _ = submission.sigmoid_forward(np.array([1000.0, -1000.0], np.float32))
    expect_array(out, [1.0, 0.0], "x = [1000 -1000]")
    expect_float32(out, "x = [1000 -1000]")


@pytest.mark.exercise("sigmoid_backward")
def test_sigmoid_slope_at_log_three(submission):
    _, cache = submission.sigmoid_forward(np.array([0.0, np.log(3.0)]))
    got = submission.sigmoid_backward(np.array([4.0, -16.0]), cache)
    expect_array(got, [1.0, -3.0], "x = [0 log(3)], dout = [4 -16]")


@pytest.mark.exercise("tanh_forward")
def test_tanh_of_half_log_three(submission):
    out, _ = submission.tanh_forward(np.array([0.0, 0.5 * np.log(3.0), -1000.0]))
    expect_array(out, [0.0, 0.5, -1.0], "x = [0 log(3)/2 -1000]")


@pytest.mark.exercise("tanh_backward")
def test_tanh_slope_at_half_log_three(submission):
    _, cache = submission.tanh_forward(np.array([0.0, 0.5 * np.log(3.0)]))
    got = submission.tanh_backward(np.array([2.0, -4.0]), cache)
    expect_array(got, [2.0, -3.0], "x = [0 log(3)/2], dout = [2 -4]")


@pytest.mark.exercise("leaky_relu_forward")
def test_leaky_relu_of_six_numbers(submission):
    out, _ = submission.leaky_relu_forward(X, 0.5)
    expect_array(out, [[-1.0, 0.0, 3.0], [0.5, -0.125, -3.5]], "x = X above, slope = 0.5")


@pytest.mark.exercise("leaky_relu_forward")
def test_a_negative_slope_is_refused(submission):
    expect_raises(submission.leaky_relu_forward, ValueError, X, -0.5)


@pytest.mark.exercise("leaky_relu_backward")
def test_a_little_gradient_leaks_through(submission):
    _, cache = submission.leaky_relu_forward(X, 0.5)
    got = submission.leaky_relu_backward(DOUT, cache)
    expect_array(got, [[0.5, 1.0, -3.0], [4.0, -2.5, 3.0]], "x = X, dout = DOUT above, slope = 0.5")
