"""Hidden graders of the smooth bends: sigmoid and tanh, forwards and backwards."""

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


@pytest.mark.exercise("sigmoid_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sigmoid_values(submission, reference, rng, shape):
    x = numbers(rng, shape)
    want, _ = reference.sigmoid_forward(x)
    expect_close(submission.sigmoid_forward(x)[0], want, 64 * U64, what="out")


@pytest.mark.exercise("sigmoid_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("far", [10.0, 20.0, 45.0, 65.0], ids=str)
def test_sigmoid_keeps_its_digits_far_to_the_left(submission, reference, rng, far, dtype):
    """Relative to the value itself: out there the sigmoid is small, and not zero."""
    x = (-far * rng.uniform(0.8, 1.0, 5)).astype(dtype)
    want, _ = reference.sigmoid_forward(x.astype(np.float64))
    # exp turns an absolute error of its argument into a relative one of the result.
    tol = (U64 if dtype == np.float64 else U32) * (16 + 2 * np.abs(x)) * want
    expect_close(submission.sigmoid_forward(x)[0], want, tol, what="out", dtype=dtype)


@pytest.mark.exercise("sigmoid_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("far", [30.0, 100.0, 1000.0, 1e6], ids=str)
def test_sigmoid_reaches_0_and_1_without_overflow(submission, reference, rng, far, dtype):
    x = (np.array([-1, 1, -0.9, 0.8]) * far * rng.uniform(0.9, 1.0, 4)).astype(dtype)
    want, _ = reference.sigmoid_forward(x.astype(np.float64))
    u = U64 if dtype == np.float64 else U32
    expect_close(submission.sigmoid_forward(x)[0], want, 16 * u, what="out", dtype=dtype)


@pytest.mark.exercise("sigmoid_forward")
@pytest.mark.points(1)
def test_sigmoid_is_tiny_and_not_zero_where_exp_of_minus_x_overflows(submission, reference, rng):
    x = -rng.uniform(90, 97, 5).astype(np.float32)
    want, _ = reference.sigmoid_forward(x.astype(np.float64))
    # Down here float32 has few digits left: a twentieth of the value is fair, zero is not.
    got, _ = submission.sigmoid_forward(x)
    expect_close(got, want, 0.05 * want + 3e-45, what="out", dtype=np.float32)


@pytest.mark.exercise("sigmoid_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sigmoid_gradient(submission, reference, rng, shape):
    x, dout = numbers(rng, shape, 2.0), np.asarray(rng.standard_normal(shape))
    want = backward(reference, "sigmoid", x, dout)
    expect_close(backward(submission, "sigmoid", x, dout), want, 64 * U64 * np.abs(dout), what="dx")


@pytest.mark.exercise("sigmoid_backward")
@pytest.mark.points(1)
def test_sigmoid_gradient_vanishes_far_out_without_nan(submission, reference, rng):
    x = np.array([-1000.0, -60.0, -20.0, 0.0, 20.0, 60.0, 1000.0])
    dout = 5 * rng.standard_normal(7)
    want = backward(reference, "sigmoid", x, dout)
    expect_close(backward(submission, "sigmoid", x, dout), want, 64 * U64 * np.abs(dout), what="dx")


@pytest.mark.exercise("sigmoid_backward")
@pytest.mark.points(1)
def test_sigmoid_backward_belongs_to_its_own_forward(submission, reference, rng):
    expect_stateless(submission, reference, rng, "sigmoid")


@pytest.mark.exercise("sigmoid_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", WRONG_SHAPES, ids=str)
def test_sigmoid_refuses_an_upstream_gradient_of_another_shape(submission, rng, shape):
    _, cache = submission.sigmoid_forward(numbers(rng, (3, 4)))
    expect_raises(submission.sigmoid_backward, ValueError, rng.standard_normal(shape), cache)


@pytest.mark.exercise("tanh_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_tanh_values(submission, reference, rng, shape):
    x = numbers(rng, shape, 2.0)
    want, _ = reference.tanh_forward(x)
    tol = tolerance.elementwise(want, 64, u=U64)
    expect_close(submission.tanh_forward(x)[0], want, tol, what="out")


@pytest.mark.exercise("tanh_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("scale", [1e-17, 1e-9, 1e-4, 30.0, 1000.0, 1e5], ids=str)
def test_tanh_is_right_near_zero_and_far_out(submission, reference, rng, scale, dtype):
    x = (scale * np.array([-1.0, 1.0, -0.6, 0.3]) * rng.uniform(0.9, 1.0, 4)).astype(dtype)
    want, _ = reference.tanh_forward(x.astype(np.float64))
    u = U64 if dtype == np.float64 else U32
    expect_close(submission.tanh_forward(x)[0], want, 64 * u * np.abs(want), what="out", dtype=dtype)


@pytest.mark.exercise("tanh_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_tanh_gradient(submission, reference, rng, shape):
    x, dout = numbers(rng, shape, 1.0), np.asarray(rng.standard_normal(shape))
    want = backward(reference, "tanh", x, dout)
    expect_close(backward(submission, "tanh", x, dout), want, 64 * U64 * np.abs(dout), what="dx")


@pytest.mark.exercise("tanh_backward")
@pytest.mark.points(1)
def test_tanh_gradient_vanishes_far_out_without_nan(submission, reference, rng):
    x = np.array([-1000.0, -30.0, -3.0, 0.0, 3.0, 30.0, 1000.0])
    dout = 5 * rng.standard_normal(7)
    want = backward(reference, "tanh", x, dout)
    expect_close(backward(submission, "tanh", x, dout), want, 64 * U64 * np.abs(dout), what="dx")


@pytest.mark.exercise("tanh_backward")
@pytest.mark.points(1)
def test_tanh_backward_belongs_to_its_own_forward(submission, reference, rng):
    expect_stateless(submission, reference, rng, "tanh")


@pytest.mark.exercise("tanh_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", WRONG_SHAPES, ids=str)
def test_tanh_refuses_an_upstream_gradient_of_another_shape(submission, rng, shape):
    _, cache = submission.tanh_forward(numbers(rng, (3, 4)))
    expect_raises(submission.tanh_backward, ValueError, rng.standard_normal(shape), cache)
