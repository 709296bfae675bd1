"""Visible checks of the kernels: small numbers worked out by hand, and the interpreter's verdict.

The hidden tests ask more: other sizes, far-off values, rows and columns longer than a workgroup.
"""

import numpy as np
import pytest

from gradschool.grading import expect_close

ROOT = np.sqrt(5.0)
# Row 0 holds 1, 3, 5, 7 (mean 4, variance 5), row 1 holds 0, 0, 4, 4 (mean 2, variance 4).
X = np.float32([[1, 3, 5, 7], [0, 0, 4, 4]])
GAMMA, BETA = np.float32([2, 2, 2, 2]), np.float32([0, 0, 10, 10])
TABLE = np.float32([[1, 2], [3, 4], [5, 6]])


def numbers(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.exercise("layer_norm_forward.wgsl")
def test_layer_norm_forward_kernel_on_two_rows(kernel):
    got = kernel("layer_norm_forward.wgsl", x=X, gamma=GAMMA, beta=BETA, eps=1e-9)
    want = [[-6 / ROOT, -2 / ROOT, 10 + 2 / ROOT, 10 + 6 / ROOT], [-2, -2, 12, 12]]
    expect_close(got["mean"], np.float32([4, 2]), 1e-5, what="mean")
    expect_close(got["rstd"], np.float32([1 / ROOT, 0.5]), 1e-5, what="rstd")
    expect_close(got["out"], np.float32(want), 1e-5, what="out")


@pytest.mark.exercise("layer_norm_forward.wgsl")
def test_layer_norm_forward_kernel_keeps_the_rules(kernel, rng):
    kernel.safety(
        "layer_norm_forward.wgsl",
        x=numbers(rng, 3, 70),
        gamma=numbers(rng, 70),
        beta=numbers(rng, 70),
        eps=1e-5,
    )


@pytest.mark.exercise("layer_norm_backward.wgsl")
def test_layer_norm_backward_kernel_on_two_rows(kernel):
    dout, mean, rstd = np.zeros_like(X), np.float32([4, 2]), np.float32([1 / ROOT, 0.5])
    dout[:, 0] = 1
    got = kernel("layer_norm_backward.wgsl", dout=dout, x=X, gamma=GAMMA, mean=mean, rstd=rstd)
    expect_close(got["dbeta"], np.float32([2, 0, 0, 0]), 1e-5, what="dbeta")
    expect_close(got["dgamma"], np.float32([-3 / ROOT - 1, 0, 0, 0]), 1e-5, what="dgamma")
    want = [[0.6 / ROOT, -0.8 / ROOT, -0.2 / ROOT, 0.4 / ROOT], [0.5, -0.5, 0, 0]]
    expect_close(got["dx"], np.float32(want), 1e-5, what="dx")


@pytest.mark.exercise("layer_norm_backward.wgsl")
def test_layer_norm_backward_kernel_keeps_the_rules(kernel, rng):
    dout, x, gamma = numbers(rng, 3, 70), numbers(rng, 3, 70), numbers(rng, 70)
    mean, rstd = np.zeros(3, np.float32), np.ones(3, np.float32)
    kernel.safety("layer_norm_backward.wgsl", dout=dout, x=x, gamma=gamma, mean=mean, rstd=rstd)


@pytest.mark.exercise("gelu_forward.wgsl")
def test_gelu_forward_kernel_at_a_few_places(kernel):
    got = kernel("gelu_forward.wgsl", x=np.float32([-2, -1, 0, 1, 2]))
    want = np.float32([-0.0454023, -0.1588080, 0, 0.8411920, 1.9545977])
    expect_close(got, want, 1e-5, what="out")


@pytest.mark.exercise("gelu_forward.wgsl")
def test_gelu_forward_kernel_keeps_the_rules(kernel, rng):
    kernel.safety("gelu_forward.wgsl", x=numbers(rng, 70))


@pytest.mark.exercise("gelu_backward.wgsl")
def test_gelu_backward_kernel_at_a_few_places(kernel):
    got = kernel("gelu_backward.wgsl", dout=np.float32([1, 10, 2]), x=np.float32([-1, 0, 1]))
    expect_close(got, np.float32([-0.0829641, 5, 2.1659282]), 1e-5, what="dx")


@pytest.mark.exercise("gelu_backward.wgsl")
def test_gelu_backward_kernel_keeps_the_rules(kernel, rng):
    kernel.safety("gelu_backward.wgsl", dout=numbers(rng, 70), x=numbers(rng, 70))


@pytest.mark.exercise("embedding_forward.wgsl")
def test_embedding_forward_kernel_on_four_tokens(kernel):
    got = kernel("embedding_forward.wgsl", tokens=np.int32([2, 0, 2, -1]), table=TABLE)
    expect_close(got, np.float32([[5, 6], [1, 2], [5, 6], [0, 0]]), 1e-6, what="out")


@pytest.mark.exercise("embedding_forward.wgsl")
def test_embedding_forward_kernel_keeps_the_rules(kernel, rng):
    tokens = rng.integers(0, 5, 30).astype(np.int32)
    kernel.safety("embedding_forward.wgsl", tokens=tokens, table=numbers(rng, 5, 3))


@pytest.mark.exercise("embedding_backward.wgsl")
def test_embedding_backward_kernel_on_three_tokens(kernel):
    dout = np.float32([[1, 10], [2, 20], [3, 30]])
    got = kernel("embedding_backward.wgsl", tokens=np.int32([2, 0, 2]), dout=dout, n_vocab=3)
    expect_close(got, np.float32([[2, 20], [0, 0], [4, 40]]), 1e-6, what="dtable")


@pytest.mark.exercise("embedding_backward.wgsl")
def test_embedding_backward_kernel_keeps_the_rules(kernel, rng):
    tokens = rng.integers(0, 5, 30).astype(np.int32)
    kernel.safety("embedding_backward.wgsl", tokens=tokens, dout=numbers(rng, 30, 3), n_vocab=25)


@pytest.mark.exercise("add_positions.wgsl")
def test_add_positions_kernel_on_two_sequences(kernel):
    x = np.float32([[[10, 10], [20, 20]], [[30, 30], [40, 40]]])
    got = kernel("add_positions.wgsl", x=x, positions=TABLE, start=0)
    expect_close(got, np.float32([[[11, 12], [23, 24]], [[31, 32], [43, 44]]]), 1e-6, what="out")
    got = kernel("add_positions.wgsl", x=x, positions=TABLE, start=1)
    expect_close(got, np.float32([[[13, 14], [25, 26]], [[33, 34], [45, 46]]]), 1e-6, what="out")


@pytest.mark.exercise("add_positions.wgsl")
def test_add_positions_kernel_keeps_the_rules(kernel, rng):
    kernel.safety("add_positions.wgsl", x=numbers(rng, 3, 5, 5), positions=numbers(rng, 7, 5), start=2)


@pytest.mark.exercise("residual_add.wgsl")
def test_residual_add_kernel_on_three_sums(kernel):
    got = kernel("residual_add.wgsl", x=np.float32([1, -2, 3]), residual=np.float32([10, 20, -30]))
    expect_close(got, np.float32([11, 18, -27]), 1e-6, what="out")


@pytest.mark.exercise("residual_add.wgsl")
def test_residual_add_kernel_keeps_the_rules(kernel, rng):
    kernel.safety("residual_add.wgsl", x=numbers(rng, 70), residual=numbers(rng, 70))
