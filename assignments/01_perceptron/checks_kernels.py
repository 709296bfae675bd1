"""Visible checks of the kernels: small numbers worked out by hand, and the interpreter's verdict.

The hidden tests ask more: other sizes, extreme numbers, whole rows that must be ignored.
"""

import numpy as np
import pytest

from gradschool.grading import expect_close
from gradschool.grading.expect import expect

X = np.float32([[1, 2, 3], [4, 5, 6]])
W = np.float32([[1, 0], [0, 1], [2, -1]])
B = np.float32([10, 20])
DOUT = np.float32([[1, 2], [3, -4]])
HALF = np.float32([[0.5, 0.25, 0.25]])
LOGITS = np.log(np.float32([[1, 3], [1, 1], [4, 1]]))
LABELS = np.int32([1, -1, 1])


def numbers(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.exercise("affine_forward.wgsl")
def test_affine_forward_kernel_on_a_small_layer(kernel):
    got = kernel("affine_forward.wgsl", x=X, w=W, b=B)
    expect_close(got, np.float32([[17, 19], [26, 19]]), 1e-5, what="out")


@pytest.mark.exercise("affine_forward.wgsl")
def test_affine_forward_kernel_is_safe(kernel, rng):
    kernel.safety("affine_forward.wgsl", x=numbers(rng, 9, 5), w=numbers(rng, 5, 7), b=numbers(rng, 7))


@pytest.mark.exercise("affine_backward_input.wgsl")
def test_affine_backward_input_kernel_on_a_small_layer(kernel):
    got = kernel("affine_backward_input.wgsl", dout=DOUT, w=W)
    expect_close(got, np.float32([[1, 2, 0], [3, -4, 10]]), 1e-5, what="dx")


@pytest.mark.exercise("affine_backward_input.wgsl")
def test_affine_backward_input_kernel_is_safe(kernel, rng):
    kernel.safety("affine_backward_input.wgsl", dout=numbers(rng, 9, 5), w=numbers(rng, 7, 5))


@pytest.mark.exercise("affine_backward_weight.wgsl")
def test_affine_backward_weight_kernel_on_a_small_layer(kernel):
    got = kernel("affine_backward_weight.wgsl", x=X, dout=DOUT)
    expect_close(got, np.float32([[13, -14], [17, -16], [21, -18]]), 1e-5, what="dw")


@pytest.mark.exercise("affine_backward_weight.wgsl")
def test_affine_backward_weight_kernel_is_safe(kernel, rng):
    kernel.safety("affine_backward_weight.wgsl", x=numbers(rng, 5, 9), dout=numbers(rng, 5, 7))


@pytest.mark.exercise("affine_backward_bias.wgsl")
def test_affine_backward_bias_kernel_adds_up_the_rows(kernel):
    got = kernel("affine_backward_bias.wgsl", dout=DOUT)
    expect_close(got, np.float32([4, -2]), 1e-5, what="db")


@pytest.mark.exercise("affine_backward_bias.wgsl")
def test_affine_backward_bias_kernel_is_safe(kernel, rng):
    kernel.safety("affine_backward_bias.wgsl", dout=numbers(rng, 3, 70))


@pytest.mark.exercise("softmax_forward.wgsl")
def test_softmax_forward_kernel_on_small_rows(kernel):
    got = kernel("softmax_forward.wgsl", x=np.log(np.float32([[2, 1, 1], [1, 1, 8]])))
    expect_close(got, np.float32([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]), 1e-6, what="out")


@pytest.mark.exercise("softmax_forward.wgsl")
def test_softmax_forward_kernel_rows_sum_to_one(kernel, rng):
    got = kernel("softmax_forward.wgsl", x=100 + numbers(rng, 3, 150))
    expect_close(got.sum(axis=1), np.ones(3), 1e-5, what="the sum of each row")


@pytest.mark.exercise("softmax_forward.wgsl")
def test_softmax_forward_kernel_is_safe(kernel, rng):
    kernel.safety("softmax_forward.wgsl", x=numbers(rng, 2, 70))


@pytest.mark.exercise("softmax_backward.wgsl")
def test_softmax_backward_kernel_on_a_small_row(kernel):
    got = kernel("softmax_backward.wgsl", dout=np.float32([[4, 0, 8]]), out=HALF)
    expect_close(got, np.float32([[0, -1, 1]]), 1e-6, what="dx")


@pytest.mark.exercise("softmax_backward.wgsl")
def test_softmax_backward_kernel_is_safe(kernel, rng):
    kernel.safety("softmax_backward.wgsl", dout=numbers(rng, 2, 70), out=np.full((2, 70), 1 / 70, np.float32))


@pytest.mark.exercise("cross_entropy_forward.wgsl")
def test_cross_entropy_forward_kernel_on_small_rows(kernel):
    got = kernel("cross_entropy_forward.wgsl", logits=LOGITS, labels=LABELS)
    # The labels have the probabilities 3/4 and 1/5; the row in the middle is ignored.
    expect_close(got, np.float32([np.log(4 / 3), 0, np.log(5)]), 1e-6, what="losses")


@pytest.mark.exercise("cross_entropy_forward.wgsl")
def test_cross_entropy_forward_kernel_is_safe(kernel, rng):
    kernel.safety("cross_entropy_forward.wgsl", logits=numbers(rng, 3, 70), labels=np.int32([69, -1, 0]))


@pytest.mark.exercise("cross_entropy_backward.wgsl")
def test_cross_entropy_backward_kernel_on_small_rows(kernel):
    got = kernel("cross_entropy_backward.wgsl", logits=LOGITS, labels=LABELS, scale=0.5)
    expect_close(got, np.float32([[0.125, -0.125], [0, 0], [0.4, -0.4]]), 1e-6, what="dlogits")


@pytest.mark.exercise("cross_entropy_backward.wgsl")
def test_cross_entropy_backward_kernel_is_safe(kernel, rng):
    logits, labels = numbers(rng, 3, 70), np.int32([69, -1, 0])
    kernel.safety("cross_entropy_backward.wgsl", logits=logits, labels=labels, scale=0.5)


@pytest.mark.exercise("sgd_step.wgsl")
def test_sgd_step_kernel_on_three_parameters(kernel):
    got = kernel("sgd_step.wgsl", w=np.float32([1, 2, 3]), grad=np.float32([4, 0, -2]), lr=0.5)
    expect_close(got, np.float32([-1, 2, 4]), 1e-6, what="w")


@pytest.mark.exercise("sgd_step.wgsl")
def test_sgd_step_kernel_is_safe(kernel, rng):
    w, grad = numbers(rng, 70), np.ones(70, np.float32)
    stepped = kernel("sgd_step.wgsl", w=w, grad=grad, lr=0.5)
    expect(
        bool(np.all(stepped != w)), "Some parameters did not move.", help="Every element of w takes a step."
    )
    kernel.safety("sgd_step.wgsl", w=w, grad=grad, lr=0.5)
