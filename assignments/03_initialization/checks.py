"""Visible checks of stage 3: small cases that you can work out by hand.

Read them, change them, add to them: they are yours. The grader has tests of its own, with
other sizes, other numbers and more of what the docstrings promise.
"""

import numpy as np
import pytest

from gradschool.grading import expect_raises
from gradschool.grading.expect import expect


def expect_array(got, want, story):
    """Fail with both values written out; `story` says what went in."""
    got, want = np.asarray(got), np.asarray(want)
    expect(got.shape == want.shape, f"{story}: the shape is {got.shape}; it should be {want.shape}.")
    expect(
        np.allclose(got, want, rtol=1e-6, atol=1e-6),
        f"{story}: yours is {np.array2string(got, threshold=12, precision=5)}; "
        f"it should be {np.array2string(want, threshold=12, precision=5)}.",
    )


def expect_std(w, want, story):
    """Fail unless the standard deviation of many weights is `want`, within 3 percent."""
    expect(
        abs(np.std(w) / want - 1) < 0.03,
        f"{story}: the standard deviation is {np.std(w):.4f}; it should be {want:.4f}.",
    )


@pytest.mark.exercise("xavier_uniform")
def test_a_hundred_in_and_two_hundred_out(submission):
    w = submission.xavier_uniform(100, 200, np.random.default_rng(0))
    expect(np.shape(w) == (100, 200), f"The shape is {np.shape(w)}; it should be (100, 200).")
    limit = np.sqrt(6 / 300)
    expect(
        np.abs(w).max() <= limit, f"The largest weight is {np.abs(w).max():.4f}; the bound is {limit:.4f}."
    )
    expect_std(w, np.sqrt(2 / 300), "100 inputs, 200 outputs")


@pytest.mark.exercise("xavier_uniform")
def test_xavier_of_an_empty_layer_is_refused(submission):
    expect_raises(submission.xavier_uniform, ValueError, 0, 3, np.random.default_rng(0))


@pytest.mark.exercise("he_normal")
def test_the_inputs_decide(submission):
    w = submission.he_normal(50, 400, np.random.default_rng(0))
    expect(np.shape(w) == (50, 400), f"The shape is {np.shape(w)}; it should be (50, 400).")
    expect_std(w, 0.2, "50 inputs, 400 outputs")


@pytest.mark.exercise("he_normal")
def test_he_of_an_empty_layer_is_refused(submission):
    expect_raises(submission.he_normal, ValueError, 3, 0, np.random.default_rng(0))


@pytest.mark.exercise("activation_variances")
def test_he_is_flat_and_tiny_is_not(submission):
    flat = submission.activation_variances(3, 200, "he", np.random.default_rng(0))
    expect(np.shape(flat) == (3,), f"Three layers give shape {np.shape(flat)}; it should be (3,).")
    # After ReLU: the mean square stays 1, the squared mean is 1 / pi.
    expect(
        bool(np.all(np.abs(flat - (1 - 1 / np.pi)) < 0.2)),
        f'"he" gives {flat}; each should be near {1 - 1 / np.pi:.2f}.',
    )
    tiny = submission.activation_variances(3, 200, "tiny", np.random.default_rng(0))
    ratio = tiny[1:] / tiny[:-1]
    expect(
        bool(np.all((ratio > 0.005) & (ratio < 0.02))),
        f'"tiny" changes by the factors {ratio}; each should be near 200 * 0.01**2 / 2 = 0.01.',
    )


@pytest.mark.exercise("activation_variances")
def test_an_unknown_bend_is_refused(submission):
    expect_raises(
        submission.activation_variances, ValueError, 2, 4, "he", np.random.default_rng(0), "softmax"
    )


@pytest.mark.exercise("gradient_norms")
def test_the_gradient_of_he_arrives_and_that_of_tiny_does_not(submission):
    arrives = submission.gradient_norms(4, 200, "he", np.random.default_rng(0))
    expect(np.shape(arrives) == (4,), f"Four layers give shape {np.shape(arrives)}; it should be (4,).")
    expect(bool(np.all(np.abs(arrives - 1) < 0.3)), f'"he" gives {arrives}; each should be near 1.')
    tiny = submission.gradient_norms(4, 200, "tiny", np.random.default_rng(0))
    expect(
        tiny[0] < tiny[-1] / 100,
        f'"tiny" gives {tiny}; the first element, which has come the longest way, should be by far the smallest.',
    )


@pytest.mark.exercise("gradient_norms")
def test_a_stack_without_layers_is_refused(submission):
    expect_raises(submission.gradient_norms, ValueError, 0, 4, "he", np.random.default_rng(0))


@pytest.mark.exercise("dropout_forward")
def test_ones_become_zeros_and_fours(submission):
    out, _ = submission.dropout_forward(np.ones((100, 100)), 0.75, np.random.default_rng(0), True)
    expect_array(np.unique(out), [0.0, 4.0], "x = ones, rate = 0.75, the values in out")
    share = np.mean(out == 0)
    expect(abs(share - 0.75) < 0.03, f"rate = 0.75 drops the share {share:.3f} of 10000 elements.")


@pytest.mark.exercise("dropout_forward")
def test_nothing_happens_when_testing(submission):
    out, _ = submission.dropout_forward(np.array([1.0, 2.0, 3.0]), 0.5, np.random.default_rng(0), False)
    expect_array(out, [1.0, 2.0, 3.0], "x = [1 2 3], rate = 0.5, training = False")


@pytest.mark.exercise("dropout_forward")
def test_a_rate_above_one_is_refused(submission):
    expect_raises(submission.dropout_forward, ValueError, np.ones(3), 1.1, np.random.default_rng(0), True)


@pytest.mark.exercise("dropout_backward")
def test_the_gradient_takes_the_way_of_the_signal(submission):
    out, cache = submission.dropout_forward(np.ones((4, 5)), 0.5, np.random.default_rng(0), True)
    dx = submission.dropout_backward(np.full((4, 5), 3.0), cache)
    expect_array(dx, 3.0 * np.asarray(out), "x = ones, dout = threes, rate = 0.5: dx is three times out")


@pytest.mark.exercise("momentum_step")
def test_two_equal_gradients(submission):
    params, grads = {"w": np.array([1.0, 2.0])}, {"w": np.array([10.0, -10.0])}
    one, state = submission.momentum_step(params, grads, {}, 0.1, 0.5)
    expect_array(one["w"], [0.0, 3.0], "w = [1 2], gradient [10 -10], lr = 0.1, momentum = 0.5")
    two, _ = submission.momentum_step(one, grads, state, 0.1, 0.5)
    expect_array(two["w"], [-1.5, 4.5], "the same gradient again: the velocity is [15 -15]")


@pytest.mark.exercise("momentum_step")
def test_momentum_needs_the_gradient_of_every_parameter(submission):
    expect_raises(submission.momentum_step, ValueError, {"w": np.ones(2)}, {"v": np.ones(2)}, {}, 0.1)


@pytest.mark.exercise("adam_step")
def test_the_first_step_is_as_long_as_the_rate(submission):
    params, grads = (
        {"w": np.array([1.0, 2.0]), "b": np.array([0.5])},
        {"w": np.array([1e3, -1e-3]), "b": np.array([7.0])},
    )
    got, _ = submission.adam_step(params, grads, {}, 0.1)
    expect_array(got["w"], [0.9, 2.0999990], "w = [1 2], gradient [1000 -0.001], lr = 0.1")
    expect_array(got["b"], [0.4], "b = [0.5], gradient [7], lr = 0.1")


@pytest.mark.exercise("adam_step")
def test_two_steps_by_hand(submission):
    one, state = submission.adam_step({"w": np.zeros(1)}, {"w": np.array([2.0])}, {}, 1.0, (0.5, 0.75), 0.0)
    expect_array(one["w"], [-1.0], "w = [0], gradient [2], lr = 1, betas = (0.5, 0.75), eps = 0")
    two, _ = submission.adam_step(one, {"w": np.array([0.0])}, state, 1.0, (0.5, 0.75), 0.0)
    # m = 0.5, corrected 2/3; v = 0.75, corrected 12/7.
    expect_array(two["w"], [-1 - 2 / 3 / np.sqrt(12 / 7)], "then the gradient [0]")


@pytest.mark.exercise("adam_step")
def test_adam_needs_the_gradient_of_every_parameter(submission):
    expect_raises(submission.adam_step, ValueError, {"w": np.ones(2)}, {}, {}, 0.1)
