"""Hidden tests of the SGD kernel: numbers, exact probes, safety."""

import numpy as np
import pytest

from gradschool.grading import expect_close, tolerance
from gradschool.grading.expect import expect

# One, then sizes on both sides of workgroups of 64 and 256, and one far past them.
CASES = [1, 2, 63, 64, 65, 257, 1003]


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.exercise("sgd_step.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("n", CASES)
def test_sgd_step_kernel_numbers(kernel, reference, rng, n):
    w, grad, lr = normal(rng, n), 3 * normal(rng, n), float(np.float32(0.1 + rng.random()))
    got = kernel("sgd_step.wgsl", w=w, grad=grad, lr=lr)
    w, grad = w.astype(np.float64), grad.astype(np.float64)
    want = reference.sgd_step({"w": w}, {"w": grad}, lr)["w"]
    # One product and one difference: each rounds by u times its own size; half as much again for slack.
    tol = 1.5 * tolerance.U32 * (np.abs(lr * grad) + np.abs(want)) + tolerance.TINY32
    expect_close(got, want, tol, what="w")


@pytest.mark.exercise("sgd_step.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("lr", [0.0, 0.5, 1.0, 4.0])
def test_sgd_step_kernel_is_exact_on_whole_numbers(kernel, reference, rng, lr):
    w, grad = (rng.integers(-8191, 8192, 131).astype(np.float32) for _ in range(2))
    got = kernel("sgd_step.wgsl", w=w, grad=grad, lr=lr)
    want = reference.sgd_step({"w": w.astype(np.float64)}, {"w": grad.astype(np.float64)}, lr)["w"]
    expect_close(got, want, tolerance.exact(), what="w")


@pytest.mark.exercise("sgd_step.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("n", [5, 131])
def test_sgd_step_kernel_is_safe(kernel, rng, n):
    w, grad = normal(rng, n), 1 + rng.random(n).astype(np.float32)
    # A kernel that does nothing is safe too; it earns nothing.
    stepped = kernel("sgd_step.wgsl", w=w, grad=grad, lr=0.5)
    expect(
        bool(np.all(stepped != w)), "Some parameters did not move.", help="Every element of w takes a step."
    )
    kernel.safety("sgd_step.wgsl", w=w, grad=grad, lr=0.5)
