"""Hidden graders of what learns and what measures: SGD, accuracy, the perceptron's rule."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_equal, expect_raises, tolerance

CASES = [((3,), 5), ((7,), 7), ((1,), 4), ((2, 3), 5), ((), 6)]


def _expect_params(got, want, u=tolerance.U64, dtype=None):
    expect_equal(sorted(got) if isinstance(got, dict) else got, sorted(want), what="the names in the result")
    for name, value in want.items():
        expect_close(got[name], value, tolerance.elementwise(value, 8, u=u) + 8 * u, what=name, dtype=dtype)


def _params(rng, dtype=np.float64):
    shapes = {"w": (3, 4), "b": (4,), "scale": (), "w2": (3, 4)}
    return {name: rng.standard_normal(shape).astype(dtype)[...] for name, shape in shapes.items()}


@pytest.mark.exercise("sgd_step")
@pytest.mark.points(2)
@pytest.mark.parametrize("lr", [0.1, 1.0, 3.0], ids=str)
def test_every_parameter_moves_against_its_gradient(submission, reference, rng, lr):
    params = _params(rng)
    # Three steps, three gradients: nothing may be carried from one to the next.
    for _ in range(3):
        # In another order: the names say which gradient belongs to which parameter.
        grads = {name: 2 * value for name, value in reversed(_params(rng).items())}
        got = submission.sgd_step(params, grads, lr)
        params = reference.sgd_step(params, grads, lr)
        _expect_params(got, params)


@pytest.mark.exercise("sgd_step")
@pytest.mark.points(1)
def test_float32_parameters_stay_float32(submission, reference, rng):
    params = {"w": rng.standard_normal((5, 2)).astype(np.float32), "b": np.ones(2, np.float32)}
    grads = {"w": rng.standard_normal((5, 2)).astype(np.float32), "b": np.full(2, 3, np.float32)}
    wide = [{name: value.astype(np.float64) for name, value in each.items()} for each in (params, grads)]
    got = submission.sgd_step(params, grads, 0.3)
    _expect_params(got, reference.sgd_step(*wide, 0.3), tolerance.U32, np.float32)


@pytest.mark.exercise("sgd_step")
@pytest.mark.points(1)
@pytest.mark.parametrize(
    "grads",
    [{"w": (3, 2)}, {"w": (3, 2), "c": (2,)}, {"w": (3, 2), "b": (2,), "c": (2,)}, {"w": (3, 2), "b": (1,)}],
    ids=["missing", "misspelt", "unknown", "another shape"],
)
def test_gradients_that_do_not_fit_are_refused(submission, rng, grads):
    params = {"w": rng.standard_normal((3, 2)), "b": rng.standard_normal(2)}
    grads = {name: rng.standard_normal(shape) for name, shape in grads.items()}
    expect_raises(submission.sgd_step, ValueError, params, grads, 0.1)


def _predictions(rng, shape, n_classes):
    """Scores all below zero, and labels of which about half are right."""
    logits = rng.standard_normal((*shape, n_classes)) - 10
    best = logits.argmax(axis=-1)
    wrong = rng.integers(1, max(n_classes, 2), shape)
    keep = rng.random(shape) < 0.5
    return logits, np.asarray(np.where(keep, best, (best + wrong) % n_classes))


@pytest.mark.exercise("accuracy")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", [*CASES, ((40,), 3), ((8, 5), 4), ((4, 3, 2), 3)], ids=str)
def test_accuracy_is_the_share_of_right_answers(submission, reference, rng, case):
    logits, labels = _predictions(rng, *case)
    got = submission.accuracy(logits, labels)
    expect_close(got, reference.accuracy(logits, labels), 1e-12, what="the accuracy")


@pytest.mark.exercise("accuracy")
@pytest.mark.points(1)
@pytest.mark.parametrize("right", [0, 1, 5], ids=str)
def test_of_equal_scores_the_first_counts(submission, right):
    logits = np.array([[2, 2, 0], [0, 2, 2], [1, 1, 1], [0, 1, 1], [2, 0, 2]], np.float32)
    labels = np.array([0, 1, 0, 1, 0])
    labels[right:] = 2
    got = submission.accuracy(logits, labels)
    expect_close(got, right / 5, 1e-12, what="the accuracy")


@pytest.mark.exercise("accuracy")
@pytest.mark.points(1)
@pytest.mark.parametrize(
    "shapes", [((3, 4), (3, 1)), ((3, 4), (1,)), ((3, 4), (3, 4)), ((0, 4), (0,))], ids=str
)
def test_labels_that_do_not_fit_are_refused(submission, rng, shapes):
    logits, labels = rng.standard_normal(shapes[0]), np.zeros(shapes[1], np.int64)
    expect_raises(submission.accuracy, ValueError, logits, labels)


def _expect_line(got, want, u=tolerance.U64, dtype=None):
    for value, expected, name in zip(got, want, ("w", "b"), strict=True):
        bound = 64 * u * (1 + np.abs(expected))
        expect_close(value, expected, bound, what=name, dtype=dtype if name == "w" else None)


# A little that float64 holds and float32 does not.
FINE = 2.0**-30


def _line(rng, n, d_in, dtype=np.float64):
    """Examples on a coarse grid, so that every margin is exact in every order of summation."""
    x = rng.integers(-16, 17, (n, d_in)) / 4
    w = rng.integers(-8, 9, d_in) / 4
    y = rng.choice([-1, 1], n)
    return x.astype(dtype), y, w.astype(dtype), 0.75 + (FINE if dtype == np.float64 else 0.0)


@pytest.mark.exercise("perceptron_step")
@pytest.mark.points(1)
@pytest.mark.parametrize("y", [-1, 1], ids=str)
@pytest.mark.parametrize("side", [-1, 1], ids=["below", "above"])
@pytest.mark.parametrize("distance", [1, 1 / 16], ids=["far", "near"])
def test_one_example_moves_the_line_only_when_it_is_wrong(submission, reference, rng, y, side, distance):
    # Far from the line no rounding decides, and the numbers may have all their digits.
    x = rng.uniform(0.25, 2.0, (1, 3)) if distance == 1 else rng.integers(1, 9, (1, 3)) / 4
    # Near means margins below 1: right is right, however narrowly.
    w, b = side * distance * np.array([0.5, 1.0, 2.0]), side * distance * 0.25
    args = (x, np.array([y]), w, b, 0.25)
    _expect_line(submission.perceptron_step(*args), reference.perceptron_step(*args))


@pytest.mark.exercise("perceptron_step")
@pytest.mark.points(2)
@pytest.mark.parametrize("n", [2, 3, 40], ids=str)
def test_each_example_meets_the_line_the_last_one_left(submission, reference, rng, n):
    x, y, w, b = _line(rng, n, 3)
    if n < 40:
        # The first example corrects the second one too; seen together, both would move the line.
        x[:], y[:], w[:], b = [4.0, 2.0, -4.0], 1, -0.25, 0.0
        x[1] += 1.0
        x[-1] *= 2.0 if n == 3 else 1.0
    args = (x, y, w, b, 0.5 + FINE)
    _expect_line(submission.perceptron_step(*args), reference.perceptron_step(*args))


@pytest.mark.exercise("perceptron_step")
@pytest.mark.points(1)
@pytest.mark.parametrize("y", [[1], [-1], [-1, 1], [1, -1, 1]], ids=str)
def test_an_example_on_the_line_is_a_mistake(submission, reference, rng, y):
    x = rng.integers(1, 9, (len(y), 2)) / 4
    args = (x, np.array(y), np.zeros(2), 0.0, 0.5)
    _expect_line(submission.perceptron_step(*args), reference.perceptron_step(*args))


@pytest.mark.exercise("perceptron_step")
@pytest.mark.points(1)
def test_float32_weights_stay_float32(submission, reference, rng):
    x, y, w, b = _line(rng, 20, 5, np.float32)
    got = submission.perceptron_step(x, y, w, b, 0.5)
    want = reference.perceptron_step(x.astype(np.float64), y, w.astype(np.float64), b, 0.5)
    _expect_line(got, want, tolerance.U32, np.float32)


@pytest.mark.exercise("perceptron_step")
@pytest.mark.points(1)
@pytest.mark.parametrize(
    ("y", "d_in"),
    [([0, 1, 1], 2), ([1, -1, 2], 2), ([1, -1], 2), ([-1, 1, 1], 3), ([], 3)],
    ids=["zero", "two", "too few", "too many features", "too many features of no examples"],
)
def test_examples_that_do_not_fit_are_refused(submission, rng, y, d_in):
    x, _, _, b = _line(rng, 3 if y else 0, d_in)
    w = rng.integers(-8, 9, 2) / 4
    expect_raises(submission.perceptron_step, ValueError, x, np.array(y, np.int64), w, b, 0.5)
