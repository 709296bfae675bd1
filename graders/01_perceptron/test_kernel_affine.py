"""Hidden tests of the four affine kernels: numbers, exact probes, safety."""

import numpy as np
import pytest

from gradschool.grading import expect_close, tolerance

# (n_rows, d_in, d_out): one, then odd and coprime sizes on both sides of 8, 16, 64 and 256,
# so that every axis has a last workgroup that is not full.
CASES = [(1, 1, 1), (2, 3, 5), (9, 7, 8), (7, 9, 15), (17, 5, 65), (65, 31, 6), (3, 257, 63), (5, 63, 257)]


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def wide(*arrays):
    return [array.astype(np.float64) for array in arrays]


def integers(rng, *shape, limit=8191):
    """Whole numbers whose products with -1, 0 and 1 add up exactly in every order; half precision cannot."""
    return rng.integers(-limit, limit + 1, shape).astype(np.float32)


def signs(rng, *shape):
    return rng.integers(-1, 2, shape).astype(np.float32)


@pytest.mark.exercise("affine_forward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_affine_forward_kernel_numbers(kernel, reference, rng, case):
    n_rows, d_in, d_out = case
    x, w, b = normal(rng, n_rows, d_in), normal(rng, d_in, d_out), 10 * normal(rng, d_out)
    got = kernel("affine_forward.wgsl", x=x, w=w, b=b)
    x, w, b = wide(x, w, b)
    want, _ = reference.affine_forward(x, w, b)
    # A bias is the weight of one more input that is always 1.
    tol = tolerance.matmul(np.hstack([x, np.ones((n_rows, 1))]), np.vstack([w, b]))
    expect_close(got, want, tol, what="out")


@pytest.mark.exercise("affine_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(33, 17, 9), (5, 129, 67)], ids=str)
def test_affine_forward_kernel_is_exact_on_whole_numbers(kernel, reference, rng, case):
    n_rows, d_in, d_out = case
    x, w, b = integers(rng, n_rows, d_in), signs(rng, d_in, d_out), integers(rng, d_out)
    got = kernel("affine_forward.wgsl", x=x, w=w, b=b)
    want, _ = reference.affine_forward(*wide(x, w, b))
    expect_close(got, want, tolerance.exact(), what="out")


@pytest.mark.exercise("affine_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(3, 5, 7), (19, 6, 35)], ids=str)
def test_affine_forward_kernel_is_safe(kernel, rng, case):
    n_rows, d_in, d_out = case
    kernel.safety(
        "affine_forward.wgsl", x=normal(rng, n_rows, d_in), w=normal(rng, d_in, d_out), b=normal(rng, d_out)
    )


@pytest.mark.exercise("affine_backward_input.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_affine_backward_input_kernel_numbers(kernel, reference, rng, case):
    n_rows, d_in, d_out = case
    dout, w = normal(rng, n_rows, d_out), normal(rng, d_in, d_out)
    got = kernel("affine_backward_input.wgsl", dout=dout, w=w)
    dout, w = wide(dout, w)
    want, _, _ = affine_gradients(reference, np.zeros((n_rows, d_in)), w, dout)
    expect_close(got, want, tolerance.matmul(dout, w.T), what="dx")


@pytest.mark.exercise("affine_backward_input.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(33, 17, 9), (5, 67, 129)], ids=str)
def test_affine_backward_input_kernel_is_exact_on_whole_numbers(kernel, reference, rng, case):
    n_rows, d_in, d_out = case
    dout, w = integers(rng, n_rows, d_out), signs(rng, d_in, d_out)
    got = kernel("affine_backward_input.wgsl", dout=dout, w=w)
    want, _, _ = affine_gradients(reference, np.zeros((n_rows, d_in)), *wide(w, dout))
    expect_close(got, want, tolerance.exact(), what="dx")


@pytest.mark.exercise("affine_backward_input.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(3, 5, 7), (19, 35, 6)], ids=str)
def test_affine_backward_input_kernel_is_safe(kernel, rng, case):
    n_rows, d_in, d_out = case
    kernel.safety("affine_backward_input.wgsl", dout=normal(rng, n_rows, d_out), w=normal(rng, d_in, d_out))


@pytest.mark.exercise("affine_backward_weight.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", [*CASES, (257, 6, 11)], ids=str)
def test_affine_backward_weight_kernel_numbers(kernel, reference, rng, case):
    n_rows, d_in, d_out = case
    x, dout = normal(rng, n_rows, d_in), normal(rng, n_rows, d_out)
    got = kernel("affine_backward_weight.wgsl", x=x, dout=dout)
    x, dout = wide(x, dout)
    _, want, _ = affine_gradients(reference, x, np.zeros((d_in, d_out)), dout)
    expect_close(got, want, tolerance.matmul(x.T, dout), what="dw")


@pytest.mark.exercise("affine_backward_weight.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(9, 33, 17), (129, 5, 67)], ids=str)
def test_affine_backward_weight_kernel_is_exact_on_whole_numbers(kernel, reference, rng, case):
    n_rows, d_in, d_out = case
    x, dout = integers(rng, n_rows, d_in), signs(rng, n_rows, d_out)
    got = kernel("affine_backward_weight.wgsl", x=x, dout=dout)
    x, dout = wide(x, dout)
    _, want, _ = affine_gradients(reference, x, np.zeros((d_in, d_out)), dout)
    expect_close(got, want, tolerance.exact(), what="dw")


@pytest.mark.exercise("affine_backward_weight.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(3, 5, 7), (6, 19, 35)], ids=str)
def test_affine_backward_weight_kernel_is_safe(kernel, rng, case):
    n_rows, d_in, d_out = case
    kernel.safety("affine_backward_weight.wgsl", x=normal(rng, n_rows, d_in), dout=normal(rng, n_rows, d_out))


# (n_rows, d_out): the sum runs along the first axis, the invocations along the second.
BIAS_CASES = [(1, 1), (3, 2), (2, 63), (5, 65), (65, 7), (257, 3), (7, 257)]


@pytest.mark.exercise("affine_backward_bias.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", BIAS_CASES, ids=str)
def test_affine_backward_bias_kernel_numbers(kernel, reference, rng, case):
    dout = normal(rng, *case)
    got = kernel("affine_backward_bias.wgsl", dout=dout)
    (dout,) = wide(dout)
    _, _, want = affine_gradients(reference, np.zeros((case[0], 1)), np.zeros((1, case[1])), dout)
    expect_close(got, want, tolerance.summation(dout, axis=0), what="db")


@pytest.mark.exercise("affine_backward_bias.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(129, 5), (6, 131)], ids=str)
def test_affine_backward_bias_kernel_is_exact_on_whole_numbers(kernel, reference, rng, case):
    dout = integers(rng, *case)
    got = kernel("affine_backward_bias.wgsl", dout=dout)
    _, _, want = affine_gradients(reference, np.zeros((case[0], 1)), np.zeros((1, case[1])), *wide(dout))
    expect_close(got, want, tolerance.exact(), what="db")


@pytest.mark.exercise("affine_backward_bias.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(3, 5), (4, 131)], ids=str)
def test_affine_backward_bias_kernel_is_safe(kernel, rng, case):
    kernel.safety("affine_backward_bias.wgsl", dout=normal(rng, *case))


def affine_gradients(reference, x, w, dout):
    _, cache = reference.affine_forward(x, w, np.zeros(w.shape[1]))
    return reference.affine_backward(dout, cache)
