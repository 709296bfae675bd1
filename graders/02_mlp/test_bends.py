"""Hidden graders of the bends with a corner: ReLU and leaky ReLU, forwards and backwards."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance

SHAPES = [(), (1,), (7,), (3, 5), (4, 4), (2, 1, 3), (1, 6)]
WRONG_SHAPES = [(3, 1), (4,), (1, 4), (4, 3), (3, 4, 1)]
U32, U64 = tolerance.U32, tolerance.U64


def numbers(rng, shape, scale=4.0, dtype=np.float64):
    """Numbers of both signs; in larger arrays some are exactly zero, as the paper of a picture is."""
    x = np.asarray(scale * rng.standard_normal(shape))
    if x.size > 4:
        x[np.asarray(rng.random(shape)) < 0.2] = 0.0
    return x.astype(dtype)[...]


def wide(*arrays):
    return [np.asarray(array, np.float64) for array in arrays]


def backward(module, name, x, dout, *args):
    """Gradient of a bend by its own forward's cache."""
    _, cache = getattr(module, f"{name}_forward")(x, *args)
    return getattr(module, f"{name}_backward")(dout, cache)


def expect_stateless(submission, reference, rng, name, *args):
    """Float32, twice, and with another forward in between: nothing is kept but the cache."""
    x, other, dout = (numbers(rng, (4, 5), 2.0, np.float32) for _ in range(3))
    _, cache = getattr(submission, f"{name}_forward")(x, *args)
    getattr(submission, f"{name}_forward")(other, *args)
    want = backward(reference, name, *wide(x, dout), *args)
    for _ in range(2):
        got = getattr(submission, f"{name}_backward")(dout, cache)
        expect_close(got, want, 16 * U32 * np.abs(dout), what="dx", dtype=np.float32)


@pytest.mark.exercise("relu_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_relu_keeps_what_is_positive(submission, reference, rng, shape):
    x = numbers(rng, shape)
    out, _ = submission.relu_forward(x)
    expect_close(out, reference.relu_forward(x)[0], tolerance.exact(), what="out")


@pytest.mark.exercise("relu_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("scale", [1e-30, 1.0, 300.0, 1e30], ids=str)
def test_relu_of_float32_stays_float32_at_any_size(submission, reference, rng, scale):
    x = numbers(rng, (5, 6), scale, np.float32)
    out, _ = submission.relu_forward(x)
    expect_close(out, reference.relu_forward(x)[0], tolerance.exact(), what="out", dtype=np.float32)


@pytest.mark.exercise("relu_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_relu_passes_gradients_of_both_signs(submission, reference, rng, shape):
    x, dout = numbers(rng, shape), rng.standard_normal(shape) - 0.3
    dout = np.asarray(dout)
    got = backward(submission, "relu", x, dout)
    expect_close(got, backward(reference, "relu", x, dout), tolerance.exact(), what="dx")


@pytest.mark.exercise("relu_backward")
@pytest.mark.points(1)
def test_relu_gradient_is_zero_at_zero(submission, reference, rng):
    x, dout = np.zeros((3, 4)), 1 + rng.random((3, 4))
    x[1, 2], x[2] = 3.0, -0.0
    got = backward(submission, "relu", x, dout)
    expect_close(got, backward(reference, "relu", x, dout), tolerance.exact(), what="dx")


@pytest.mark.exercise("relu_backward")
@pytest.mark.points(1)
def test_relu_backward_belongs_to_its_own_forward(submission, reference, rng):
    expect_stateless(submission, reference, rng, "relu")


@pytest.mark.exercise("relu_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", WRONG_SHAPES, ids=str)
def test_relu_refuses_an_upstream_gradient_of_another_shape(submission, rng, shape):
    _, cache = submission.relu_forward(numbers(rng, (3, 4)))
    expect_raises(submission.relu_backward, ValueError, rng.standard_normal(shape), cache)


@pytest.mark.exercise("leaky_relu_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("slope", [0.0, 0.01, 0.3, 1.0], ids=str)
@pytest.mark.parametrize("shape", [(), (7,), (3, 5), (2, 1, 3)], ids=str)
def test_leaky_relu_shrinks_the_left_side(submission, reference, rng, shape, slope):
    x = numbers(rng, shape)
    want, _ = reference.leaky_relu_forward(x, slope)
    tol = tolerance.elementwise(want, 4, u=U64)
    expect_close(submission.leaky_relu_forward(x, slope)[0], want, tol, what="out")


@pytest.mark.exercise("leaky_relu_forward")
@pytest.mark.points(1)
def test_leaky_relu_of_float32_has_slope_one_hundredth_unless_told(submission, reference, rng):
    x = numbers(rng, (5, 6), 10.0, np.float32)
    want, _ = reference.leaky_relu_forward(x.astype(np.float64))
    tol = tolerance.elementwise(want, 4)
    expect_close(submission.leaky_relu_forward(x)[0], want, tol, what="out", dtype=np.float32)


@pytest.mark.exercise("leaky_relu_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("slope", [-0.01, -1.0, 1.5, 100.0], ids=str)
def test_leaky_relu_refuses_slopes_outside_0_to_1(submission, rng, slope):
    expect_raises(submission.leaky_relu_forward, ValueError, numbers(rng, (3, 4)), slope)


@pytest.mark.exercise("leaky_relu_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("slope", [0.0, 0.01, 0.3, 1.0], ids=str)
@pytest.mark.parametrize("shape", [(), (7,), (3, 5), (2, 1, 3)], ids=str)
def test_leaky_relu_gradient(submission, reference, rng, shape, slope):
    x, dout = numbers(rng, shape), np.asarray(rng.standard_normal(shape))
    got = backward(submission, "leaky_relu", x, dout, slope)
    want = backward(reference, "leaky_relu", x, dout, slope)
    expect_close(got, want, tolerance.elementwise(want, 4, u=U64), what="dx")


@pytest.mark.exercise("leaky_relu_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("slope", [0.1, 0.25], ids=str)
def test_leaky_relu_gradient_at_zero_is_that_of_the_left_side(submission, reference, rng, slope):
    x, dout = np.zeros((3, 4)), 1 + rng.random((3, 4))
    x[1, 2], x[2] = 3.0, -0.0
    got = backward(submission, "leaky_relu", x, dout, slope)
    want = backward(reference, "leaky_relu", x, dout, slope)
    expect_close(got, want, tolerance.elementwise(want, 4, u=U64), what="dx")


@pytest.mark.exercise("leaky_relu_backward")
@pytest.mark.points(1)
def test_leaky_relu_backward_belongs_to_its_own_forward(submission, reference, rng):
    expect_stateless(submission, reference, rng, "leaky_relu", 0.2)


@pytest.mark.exercise("leaky_relu_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", WRONG_SHAPES, ids=str)
def test_leaky_relu_refuses_an_upstream_gradient_of_another_shape(submission, rng, shape):
    _, cache = submission.leaky_relu_forward(numbers(rng, (3, 4)), 0.1)
    expect_raises(submission.leaky_relu_backward, ValueError, rng.standard_normal(shape), cache)
