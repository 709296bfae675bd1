"""Hidden graders of what bends can build: collapsing without them, interpolating and counting with them."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance
from gradschool.grading.expect import expect

U32, U64 = tolerance.U32, tolerance.U64
# d_in, d_hidden, d_out: different, equal, single, narrow.
LAYERS = [(3, 5, 2), (4, 4, 4), (1, 1, 1), (6, 1, 3), (2, 7, 1), (1, 3, 4)]


def layers(rng, d_in, d_hidden, d_out, dtype=np.float64):
    shapes = ((d_in, d_hidden), (d_hidden,), (d_hidden, d_out), (d_out,))
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def collapse_tolerance(w1, b1, w2, b2, u):
    bound = 2 * tolerance.matmul(np.vstack([w1, b1]), w2, u=u, extra=3)
    return bound[:-1], bound[-1] + tolerance.elementwise(b2, 4, u=u)


@pytest.mark.exercise("collapse_affine")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", LAYERS, ids=str)
def test_two_layers_become_the_one_they_are(submission, reference, rng, case):
    args = layers(rng, *case)
    got, want = submission.collapse_affine(*args), reference.collapse_affine(*args)
    for value, expected, tol, name in zip(got, want, collapse_tolerance(*args, U64), "wb", strict=True):
        expect_close(value, expected, tol, what=name)


@pytest.mark.exercise("collapse_affine")
@pytest.mark.points(1)
def test_the_collapsed_layer_of_float32_is_float32(submission, reference, rng):
    args = layers(rng, 3, 5, 2, np.float32)
    wide = [value.astype(np.float64) for value in args]
    got, want = submission.collapse_affine(*args), reference.collapse_affine(*wide)
    for value, expected, tol, name in zip(got, want, collapse_tolerance(*wide, U32), "wb", strict=True):
        expect_close(value, expected, tol, what=name, dtype=np.float32)


@pytest.mark.exercise("collapse_affine")
@pytest.mark.points(1)
@pytest.mark.parametrize(
    "shapes",
    [
        ((3, 5), (5,), (4, 2), (2,)),
        ((3, 5), (5,), (3, 2), (2,)),
        ((3, 5), (2, 5), (5, 2), (2,)),
        ((3, 1), (4, 1), (1, 2), (2,)),
        ((3, 5), (5,), (5, 2), (1,)),
        ((3, 5), (5,), (5, 2), (3, 2)),
    ],
    ids=str,
)
def test_layers_that_do_not_fit_are_refused(submission, rng, shapes):
    expect_raises(submission.collapse_affine, ValueError, *(rng.standard_normal(shape) for shape in shapes))


def points(rng, n, dtype=np.float64):
    """Knots with steps of very different size, and values whose slopes differ."""
    knots = np.cumsum(rng.uniform(0.1, 2.0, n)) - 3.0
    return knots.astype(dtype), (3 * rng.standard_normal(n) + 1).astype(dtype)


def graph(params, x):
    """Evaluate the learner's network in float64, after a look at its layout."""
    expect(
        isinstance(params, dict) and set(params) == {"w0", "b0", "w1", "b1"},
        "The result is not a dict with the names w0, b0, w1 and b1.",
    )
    n_hidden = np.asarray(params["b0"]).size
    for name, shape in (("w0", (1, n_hidden)), ("b0", (n_hidden,)), ("w1", (n_hidden, 1)), ("b1", (1,))):
        got = np.shape(params[name])
        expect(got == shape, f"{name} has shape {got}; with {n_hidden} hidden neurons it is {shape}.")
    wide = {name: np.asarray(value, np.float64) for name, value in params.items()}
    hidden = np.maximum(x[:, None] @ wide["w0"] + wide["b0"], 0)
    return (hidden @ wide["w1"] + wide["b1"])[:, 0], np.abs(hidden) @ np.abs(wide["w1"])[:, 0]


def expect_through(params, knots, values, x, u, what):
    got, size = graph(params, x)
    knots, values = knots.astype(np.float64), values.astype(np.float64)
    steepest = np.abs(np.diff(values) / np.diff(knots)).max()
    tol = u * (64 * size + 64 * (1 + np.abs(values).max() + steepest * np.abs(knots).max()))
    expect_close(got, np.interp(x, knots, values), tol, what=what)


@pytest.mark.exercise("relu_interpolant")
@pytest.mark.points(2)
@pytest.mark.parametrize("n", [2, 3, 4, 9, 40], ids=str)
def test_the_graph_goes_through_every_point(submission, rng, n):
    knots, values = points(rng, n)
    params = submission.relu_interpolant(knots, values)
    expect_through(params, knots, values, knots, U64, "the network at the knots")


@pytest.mark.exercise("relu_interpolant")
@pytest.mark.points(1)
@pytest.mark.parametrize("n", [2, 3, 5, 20], ids=str)
def test_the_graph_is_straight_between_the_points(submission, rng, n):
    knots, values = points(rng, n)
    x = np.sort(rng.uniform(knots[0], knots[-1], 50))
    params = submission.relu_interpolant(knots, values)
    expect_through(params, knots, values, x, U64, "the network between the knots")


@pytest.mark.exercise("relu_interpolant")
@pytest.mark.points(1)
@pytest.mark.parametrize("knots_are", [np.float32, np.float64], ids=["float32 knots", "float64 knots"])
@pytest.mark.parametrize("values_are", [np.float32, np.float64], ids=["float32 values", "float64 values"])
def test_weights_have_the_dtype_of_the_values(submission, rng, knots_are, values_are):
    knots, values = points(rng, 6, np.float32)
    knots, values = knots.astype(knots_are), values.astype(values_are)
    params = submission.relu_interpolant(knots, values)
    expect_through(params, knots, values, knots.astype(np.float64), U32, "the network at the knots")
    for name, value in params.items():
        expect(value.dtype == values.dtype, f"{name} is {value.dtype}; the values were {values.dtype}.")


@pytest.mark.exercise("relu_interpolant")
@pytest.mark.points(1)
@pytest.mark.parametrize(
    ("knots", "values"),
    [
        ([0.0, 2.0, 1.0], [1.0, 2.0, 3.0]),
        ([0.0, 1.0, 1.0, 2.0], [1.0, 2.0, 3.0, 4.0]),
        ([3.0, 2.0, 1.0], [1.0, 2.0, 3.0]),
        ([0.0, 1.0, 2.0], [1.0, 2.0]),
        ([0.0, 1.0, 2.0], [5.0]),
        ([1.0], [1.0]),
        ([[0.0, 1.0]], [[1.0, 2.0]]),
    ],
    ids=["disorder", "twice", "backwards", "too few values", "one value", "one point", "two axes"],
)
def test_points_that_are_no_graph_are_refused(submission, knots, values):
    expect_raises(submission.relu_interpolant, ValueError, np.array(knots), np.array(values))
