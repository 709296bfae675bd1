"""Hidden tests of the ReLU kernels, alone and fused: numbers, exact probes, safety."""

import numpy as np
import pytest

from gradschool.grading import expect_close, tolerance

# One, then sizes on both sides of workgroups of 64 and 256, and one far past them.
LENGTHS = [1, 2, 63, 64, 65, 257, 1003]
# (n_rows, d_in, d_out): one, then odd and coprime sizes on both sides of 8, 16, 64 and 256.
CASES = [(1, 1, 1), (2, 3, 5), (9, 7, 8), (7, 9, 15), (17, 5, 65), (65, 31, 6), (3, 257, 63), (5, 63, 257)]


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def wide(*arrays):
    return [array.astype(np.float64) for array in arrays]


def with_zeros(rng, n, scale=3.0):
    """Numbers of both signs, some of them exactly zero."""
    x = scale * normal(rng, n)
    x[rng.random(n) < 0.2] = 0.0
    return x


@pytest.mark.exercise("relu_forward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("n", LENGTHS)
def test_relu_forward_kernel_numbers(kernel, reference, rng, n):
    x = with_zeros(rng, n, 20.0)
    got = kernel("relu_forward.wgsl", x=x)
    expect_close(got, reference.relu_forward(x)[0], tolerance.exact(), what="out")


@pytest.mark.exercise("relu_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("sign", [-1.0, 1.0], ids=["all negative", "all positive"])
@pytest.mark.parametrize("size", [1e-20, 1.0, 1e20], ids=str)
def test_relu_forward_kernel_writes_every_element(kernel, reference, rng, sign, size):
    x = (sign * size * (1 + rng.random(131))).astype(np.float32)
    got = kernel("relu_forward.wgsl", x=x)
    expect_close(got, reference.relu_forward(x)[0], tolerance.exact(), what="out")


@pytest.mark.exercise("relu_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("n", [5, 131])
def test_relu_forward_kernel_is_safe(kernel, rng, n):
    kernel.safety("relu_forward.wgsl", x=normal(rng, n))


@pytest.mark.exercise("relu_backward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("n", LENGTHS)
def test_relu_backward_kernel_numbers(kernel, reference, rng, n):
    x, dout = with_zeros(rng, n), 2 * normal(rng, n)
    got = kernel("relu_backward.wgsl", dout=dout, x=x)
    expect_close(got, reference.relu_backward(dout, (x,)), tolerance.exact(), what="dx")


@pytest.mark.exercise("relu_backward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("n", [7, 70])
def test_relu_backward_kernel_is_zero_at_zero_and_below(kernel, rng, n):
    dout = 1 + rng.random(n).astype(np.float32)
    for x in (np.zeros(n, np.float32), -dout):
        got = kernel("relu_backward.wgsl", dout=dout, x=x)
        expect_close(got, np.zeros(n), tolerance.exact(), what="dx")


@pytest.mark.exercise("relu_backward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("n", [5, 131])
def test_relu_backward_kernel_is_safe(kernel, rng, n):
    kernel.safety("relu_backward.wgsl", dout=normal(rng, n), x=normal(rng, n))


@pytest.mark.exercise("affine_relu_forward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_affine_relu_forward_kernel_numbers(kernel, reference, rng, case):
    n_rows, d_in, d_out = case
    x, w, b = normal(rng, n_rows, d_in), normal(rng, d_in, d_out), 2 * normal(rng, d_out)
    got = kernel("affine_relu_forward.wgsl", x=x, w=w, b=b)
    x, w, b = wide(x, w, b)
    want, _ = reference.relu_forward(reference.affine_forward(x, w, b)[0])
    # A bias is the weight of one more input that is always 1.
    tol = tolerance.matmul(np.hstack([x, np.ones((n_rows, 1))]), np.vstack([w, b]))
    expect_close(got, want, tol, what="out")


@pytest.mark.exercise("affine_relu_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(33, 17, 9), (5, 129, 67)], ids=str)
def test_affine_relu_forward_kernel_is_exact_on_whole_numbers(kernel, reference, rng, case):
    n_rows, d_in, d_out = case
    x = rng.integers(-8191, 8192, (n_rows, d_in)).astype(np.float32)
    w = rng.integers(-1, 2, (d_in, d_out)).astype(np.float32)
    b = rng.integers(-8191, 8192, d_out).astype(np.float32)
    got = kernel("affine_relu_forward.wgsl", x=x, w=w, b=b)
    want, _ = reference.relu_forward(reference.affine_forward(*wide(x, w, b))[0])
    expect_close(got, want, tolerance.exact(), what="out")


@pytest.mark.exercise("affine_relu_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("bias", [-1e4, 1e4], ids=["all closed", "all open"])
def test_affine_relu_forward_kernel_bends_after_the_bias(kernel, reference, rng, bias):
    x, w, b = normal(rng, 9, 5), normal(rng, 5, 11), np.full(11, bias, np.float32)
    got = kernel("affine_relu_forward.wgsl", x=x, w=w, b=b)
    want, _ = reference.relu_forward(reference.affine_forward(*wide(x, w, b))[0])
    expect_close(got, want, 16 * tolerance.U32 * abs(bias), what="out")


@pytest.mark.exercise("affine_relu_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(3, 5, 7), (19, 6, 35)], ids=str)
def test_affine_relu_forward_kernel_is_safe(kernel, rng, case):
    n_rows, d_in, d_out = case
    x, w, b = normal(rng, n_rows, d_in), normal(rng, d_in, d_out), normal(rng, d_out)
    kernel.safety("affine_relu_forward.wgsl", x=x, w=w, b=b)
