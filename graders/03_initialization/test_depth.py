"""Hidden graders of the two measurements. The docstrings fix the order of the draws, so numbers compare."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises

# Under tanh, unit weights are chaotic: rounding grows with depth. Those stacks stay shallow.
CASES = [
    (1, 5, "he", "relu"),
    (2, 7, "unit", "relu"),
    (3, 20, "unit", "tanh"),
    (6, 13, "xavier", "tanh"),
    (4, 3, "tiny", "tanh"),
    (5, 24, "tiny", "relu"),
    (12, 31, "xavier", "relu"),
    (30, 40, "he", "relu"),
    (3, 1, "unit", "tanh"),
]
BAD = [
    (0, 5, "he", "relu"),
    (-2, 5, "he", "relu"),
    (3, 0, "he", "relu"),
    (3, -1, "he", "tanh"),
    (3, 4, "large", "relu"),
    (3, 4, "he", "sigmoid"),
    (3, 4, "he", "ReLU"),
]


def _compare(submission, reference, name, rng, case):
    depth, width, init, activation = case
    seed = int(rng.integers(2**31))
    got = getattr(submission, name)(depth, width, init, np.random.default_rng(seed), activation)
    want = getattr(reference, name)(depth, width, init, np.random.default_rng(seed), activation)
    expect_close(
        got,
        want,
        1e-12 * np.abs(want),
        what="the result",
        help="Draw in the order of the docstring, with draw_examples and draw_weights.",
    )


@pytest.mark.exercise("activation_variances")
@pytest.mark.points(3)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_variance_after_each_layer(submission, reference, rng, case):
    _compare(submission, reference, "activation_variances", rng, case)


@pytest.mark.exercise("activation_variances")
@pytest.mark.points(1)
def test_relu_is_the_default_bend_of_the_forward(submission, reference, rng):
    seed = int(rng.integers(2**31))
    got = submission.activation_variances(4, 9, "he", np.random.default_rng(seed))
    want = reference.activation_variances(4, 9, "he", np.random.default_rng(seed))
    expect_close(got, want, 1e-12 * np.abs(want), what="the variances")


@pytest.mark.exercise("activation_variances")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", BAD, ids=str)
def test_the_forward_refuses_what_it_cannot_build(submission, case):
    expect_raises(submission.activation_variances, ValueError, *case[:3], np.random.default_rng(1), case[3])


@pytest.mark.exercise("gradient_norms")
@pytest.mark.points(3)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_gradient_at_each_layer(submission, reference, rng, case):
    _compare(submission, reference, "gradient_norms", rng, case)


@pytest.mark.exercise("gradient_norms")
@pytest.mark.points(1)
def test_relu_is_the_default_bend_of_the_backward(submission, reference, rng):
    seed = int(rng.integers(2**31))
    got = submission.gradient_norms(4, 9, "he", np.random.default_rng(seed))
    want = reference.gradient_norms(4, 9, "he", np.random.default_rng(seed))
    expect_close(got, want, 1e-12 * np.abs(want), what="the lengths")


@pytest.mark.exercise("gradient_norms")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", BAD, ids=str)
def test_the_backward_refuses_what_it_cannot_build(submission, case):
    expect_raises(submission.gradient_norms, ValueError, *case[:3], np.random.default_rng(1), case[3])
