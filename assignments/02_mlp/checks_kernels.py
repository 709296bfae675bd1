"""Visible checks of the kernels: small numbers worked out by hand, and the interpreter's verdict.

The hidden tests ask more: other sizes, extreme numbers, edges that no workgroup divides.
"""

import numpy as np
import pytest

from gradschool.grading import expect_at_most, expect_close

X = np.float32([-2, 0, 3, 0.5, -0.25, -7])
DOUT = np.float32([1, 2, -3, 4, -5, 6])


def numbers(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.exercise("relu_forward.wgsl")
def test_relu_forward_kernel_on_six_numbers(kernel):
    got = kernel("relu_forward.wgsl", x=X)
    expect_close(got, np.float32([0, 0, 3, 0.5, 0, 0]), 0.0, what="out")


@pytest.mark.exercise("relu_forward.wgsl")
def test_relu_forward_kernel_is_safe(kernel, rng):
    kernel.safety("relu_forward.wgsl", x=numbers(rng, 70))


@pytest.mark.exercise("relu_backward.wgsl")
def test_relu_backward_kernel_on_six_numbers(kernel):
    got = kernel("relu_backward.wgsl", dout=DOUT, x=X)
    expect_close(got, np.float32([0, 0, -3, 4, 0, 0]), 0.0, what="dx")


@pytest.mark.exercise("relu_backward.wgsl")
def test_relu_backward_kernel_is_safe(kernel, rng):
    kernel.safety("relu_backward.wgsl", dout=numbers(rng, 70), x=numbers(rng, 70))


@pytest.mark.exercise("affine_relu_forward.wgsl")
def test_affine_relu_forward_kernel_on_a_small_layer(kernel):
    x, w = np.float32([[1, 2, 3], [4, 5, 6]]), np.float32([[1, 0], [0, 1], [2, -1]])
    got = kernel("affine_relu_forward.wgsl", x=x, w=w, b=np.float32([-10, 2]))
    expect_close(got, np.float32([[0, 1], [6, 1]]), 1e-5, what="out")


@pytest.mark.exercise("affine_relu_forward.wgsl")
def test_affine_relu_forward_kernel_is_safe(kernel, rng):
    x, w, b = numbers(rng, 9, 5), numbers(rng, 5, 7), numbers(rng, 7)
    kernel.safety("affine_relu_forward.wgsl", x=x, w=w, b=b)


@pytest.mark.exercise("matmul_tiled.wgsl")
def test_matmul_tiled_kernel_on_a_small_product(kernel):
    got = kernel("matmul_tiled.wgsl", a=np.float32([[1, 2, 3]]), b=np.float32([[1, 0], [0, 1], [2, -1]]))
    expect_close(got, np.float32([[7, -1]]), 1e-5, what="out")


@pytest.mark.exercise("matmul_tiled.wgsl")
def test_matmul_tiled_kernel_over_several_tiles(kernel):
    # Row r of a holds r + 1 ones: with b full of ones, the product counts them.
    a = np.tril(np.ones((40, 40), np.float32))
    got = kernel("matmul_tiled.wgsl", a=a, b=np.ones((40, 3), np.float32))
    expect_close(got, np.tile(np.arange(1.0, 41.0)[:, None], (1, 3)), 1e-4, what="out")


@pytest.mark.exercise("matmul_tiled.wgsl")
def test_matmul_tiled_kernel_is_safe(kernel, rng):
    kernel.safety("matmul_tiled.wgsl", a=numbers(rng, 5, 19), b=numbers(rng, 19, 18))


@pytest.mark.exercise("matmul_tiled.wgsl")
def test_matmul_tiled_kernel_shares_what_it_loads(kernel, rng):
    _, cost = kernel.cost("matmul_tiled.wgsl", a=numbers(rng, 32, 32), b=numbers(rng, 32, 32))
    # Two numbers per product without tiles; a quarter of that is easily reached with tiles of 8.
    expect_at_most(
        cost.load_bytes,
        2 * 4 * 32**3 / 4,
        "bytes loaded from a and b",
        help="Load a tile of each into workgroup memory, and take the numbers from there.",
    )
