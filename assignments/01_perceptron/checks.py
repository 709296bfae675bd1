"""Visible checks of stage 1: small cases that you can work out by hand.

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


def expect_float32(got, story):
    """Fail unless `got` kept the dtype that went in."""
    expect(
        np.asarray(got).dtype == np.float32,
        f"{story}: float32 goes in and {np.asarray(got).dtype} comes out.",
        help="Something on the way is float64, or a NumPy integer that float32 is multiplied with.",
    )


def layer():
    """Two examples with three features each, two neurons."""
    x = np.array([[1.0, 2.0, 3.0], [0.0, -1.0, 1.0]])
    w = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, -1.0]])
    return x, w, np.array([10.0, 20.0])


@pytest.mark.exercise("perceptron_step")
def test_a_mistake_moves_the_line(submission):
    w, b = submission.perceptron_step(np.array([[2.0, -1.0]]), np.array([-1]), np.array([1.0, 1.0]), 0.5, 0.5)
    story = "x = [[2 -1]], y = [-1], w = [1 1], b = 0.5, lr = 0.5"
    expect_array(w, [0.0, 1.5], f"{story}, the new w")
    expect_array(b, 0.0, f"{story}, the new b")


@pytest.mark.exercise("perceptron_step")
def test_a_right_answer_leaves_the_line_alone(submission):
    w, b = submission.perceptron_step(np.array([[2.0, -1.0]]), np.array([1]), np.array([1.0, 1.0]), 0.5, 0.5)
    story = "x = [[2 -1]], y = [1], w = [1 1], b = 0.5, lr = 0.5: margin 1.5"
    expect_array(w, [1.0, 1.0], f"{story}, the new w")
    expect_array(b, 0.5, f"{story}, the new b")


@pytest.mark.exercise("perceptron_step")
def test_margin_zero_is_a_mistake_and_the_second_example_sees_the_new_line(submission):
    x, y = np.array([[1.0, 0.0], [2.0, 0.0]]), np.array([1, 1])
    w, b = submission.perceptron_step(x, y, np.zeros(2), 0.0, 1.0)
    story = "x = [[1 0] [2 0]], y = [1 1], starting from zero with lr = 1"
    expect_array(w, [1.0, 0.0], f"{story}, the new w")
    expect_array(b, 1.0, f"{story}, the new b")


@pytest.mark.exercise("perceptron_step")
def test_labels_are_minus_one_and_plus_one(submission):
    expect_raises(
        submission.perceptron_step, ValueError, np.ones((2, 2)), np.array([0, 1]), np.zeros(2), 0.0, 1.0
    )


@pytest.mark.exercise("affine_forward")
def test_two_examples_through_two_neurons(submission):
    out, _ = submission.affine_forward(*layer())
    expect_array(out, [[17.0, 19.0], [12.0, 18.0]], "x, w, b from layer() in checks.py")


@pytest.mark.exercise("affine_forward")
def test_leading_axes_stay(submission):
    x, w, b = layer()
    out, _ = submission.affine_forward(x.reshape(2, 1, 3), w, b)
    expect_array(out, [[[17.0, 19.0]], [[12.0, 18.0]]], "the same x with shape (2, 1, 3)")


@pytest.mark.exercise("affine_forward")
def test_a_bias_that_does_not_fit_is_refused(submission):
    x, w, _ = layer()
    expect_raises(submission.affine_forward, ValueError, x, w, np.zeros(1))


@pytest.mark.exercise("affine_backward")
def test_the_three_gradients_of_two_examples(submission):
    _, cache = submission.affine_forward(*layer())
    dx, dw, db = submission.affine_backward(np.array([[1.0, 0.0], [2.0, -1.0]]), cache)
    story = "layer() in checks.py with dout = [[1 0] [2 -1]]"
    expect_array(dx, [[1.0, 0.0, 2.0], [2.0, -1.0, 5.0]], f"{story}, dx")
    expect_array(dw, [[1.0, 0.0], [0.0, 1.0], [5.0, -1.0]], f"{story}, dw")
    expect_array(db, [3.0, -1.0], f"{story}, db")


@pytest.mark.exercise("affine_backward")
def test_gradients_have_the_shapes_of_what_they_belong_to(submission):
    _, cache = submission.affine_forward(np.ones((2, 3, 4)), np.ones((4, 5)), np.ones(5))
    got = submission.affine_backward(np.ones((2, 3, 5)), cache)
    for name, value, shape in zip(("dx", "dw", "db"), got, ((2, 3, 4), (4, 5), (5,)), strict=True):
        expect(np.shape(value) == shape, f"{name} has shape {np.shape(value)}; it should be {shape}.")


@pytest.mark.exercise("softmax_forward")
def test_scores_of_zero_and_log_three(submission):
    out = submission.softmax_forward(np.array([[0.0, np.log(3.0)], [5.0, 5.0]]))
    expect_array(out, [[0.25, 0.75], [0.5, 0.5]], "x = [[0 log(3)] [5 5]]")


@pytest.mark.exercise("softmax_forward")
def test_large_scores_do_not_overflow(submission):
    x = np.array([[1000.0, 1000.0], [-1000.0, -1000.0]], np.float32)
    out = submission.softmax_forward(x)
    expect_array(out, [[0.5, 0.5], [0.5, 0.5]], "x = [[1000 1000] [-1000 -1000]]")
    expect_float32(out, "x = [[1000 1000] [-1000 -1000]]")


@pytest.mark.exercise("softmax_forward")
def test_an_impossible_column_gets_nothing(submission):
    out = submission.softmax_forward(np.array([[2.0, -np.inf, 2.0]]))
    expect_array(out, [[0.5, 0.0, 0.5]], "x = [[2 -inf 2]]")


@pytest.mark.exercise("softmax_backward")
def test_one_row_by_hand(submission):
    dx = submission.softmax_backward(np.array([[4.0, 0.0]]), np.array([[0.25, 0.75]]))
    expect_array(dx, [[0.75, -0.75]], "dout = [[4 0]], out = [[0.25 0.75]]")


@pytest.mark.exercise("softmax_backward")
def test_equal_wishes_change_nothing(submission):
    dx = submission.softmax_backward(np.full((1, 3), 7.0), np.array([[0.5, 0.25, 0.25]]))
    expect_array(dx, [[0.0, 0.0, 0.0]], "dout = [[7 7 7]], out = [[0.5 0.25 0.25]]")


@pytest.mark.exercise("cross_entropy_forward")
def test_a_blind_guess_costs_the_log_of_the_classes(submission):
    loss, _ = submission.cross_entropy_forward(np.zeros((3, 10)), np.array([0, 5, 9]))
    expect_array(loss, np.log(10), "three examples, ten equal logits each")


@pytest.mark.exercise("cross_entropy_forward")
def test_ignored_examples_do_not_count(submission):
    loss, _ = submission.cross_entropy_forward(np.array([[0.0, np.log(3.0)], [9.0, 1.0]]), np.array([1, -1]))
    expect_array(loss, np.log(4 / 3), "logits = [[0 log(3)] [9 1]], labels = [1 -1]: only -log(3/4) counts")


@pytest.mark.exercise("cross_entropy_forward")
def test_an_improbable_label_is_an_ordinary_number(submission):
    loss, _ = submission.cross_entropy_forward(np.array([[0.0, 2000.0]]), np.array([0]))
    expect_array(loss, 2000.0, "logits = [[0 2000]], label 0")


@pytest.mark.exercise("cross_entropy_forward")
def test_a_label_outside_the_classes_is_refused(submission):
    expect_raises(submission.cross_entropy_forward, ValueError, np.zeros((1, 3)), np.array([3]))


@pytest.mark.exercise("cross_entropy_backward")
def test_belief_minus_truth(submission):
    logits = np.array([[0.0, np.log(3.0)], [1.0, 1.0]])
    _, cache = submission.cross_entropy_forward(logits, np.array([1, 0]))
    got = submission.cross_entropy_backward(1.0, cache)
    expect_array(
        got, [[0.125, -0.125], [-0.25, 0.25]], "logits = [[0 log(3)] [1 1]], labels = [1 0], dloss = 1"
    )


@pytest.mark.exercise("cross_entropy_backward")
def test_ignored_rows_have_no_gradient(submission):
    _, cache = submission.cross_entropy_forward(np.zeros((2, 2)), np.array([-1, 0]))
    got = submission.cross_entropy_backward(2.0, cache)
    expect_array(got, [[0.0, 0.0], [-1.0, 1.0]], "logits = zeros (2, 2), labels = [-1 0], dloss = 2")


@pytest.mark.exercise("sgd_step")
def test_one_step_down(submission):
    params = {"w": np.array([[1.0, 2.0]]), "b": np.array([3.0])}
    grads = {"w": np.array([[10.0, -10.0]]), "b": np.array([5.0])}
    got = submission.sgd_step(params, grads, 0.1)
    expect(isinstance(got, dict) and set(got) == {"w", "b"}, "The result is a dict with the names w and b.")
    expect_array(got["w"], [[0.0, 3.0]], "w = [[1 2]], its gradient [[10 -10]], lr = 0.1")
    expect_array(got["b"], [2.5], "b = [3], its gradient [5], lr = 0.1")


@pytest.mark.exercise("sgd_step")
def test_every_parameter_needs_its_gradient(submission):
    params = {"w": np.ones(2), "b": np.ones(1)}
    expect_raises(submission.sgd_step, ValueError, params, {"w": np.ones(2)}, 0.1)


@pytest.mark.exercise("accuracy")
def test_two_of_three_are_right(submission):
    logits = np.array([[-1.0, -2.0], [0.0, 5.0], [3.0, 2.0]])
    expect_array(
        submission.accuracy(logits, np.array([0, 1, 1])),
        2 / 3,
        "logits [[-1 -2] [0 5] [3 2]], labels [0 1 1]",
    )


@pytest.mark.exercise("accuracy")
def test_the_accuracy_of_nothing_is_refused(submission):
    expect_raises(submission.accuracy, ValueError, np.zeros((0, 3)), np.zeros(0, np.int64))
