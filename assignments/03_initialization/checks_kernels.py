"""Visible checks of the kernels: small numbers, and the interpreter's verdict.

The hidden tests ask more: other sizes, other seeds, the first step and the fifth.
"""

import numpy as np
import pytest

from gradschool.grading import expect_close
from gradschool.grading.expect import expect

# What pcg_hash makes of seed 7: the first four numbers times 2^24, and the first three normal ones.
BITS = np.float32([8431330, 10975992, 14401833, 3615699])
NORMAL = np.float32([0.66902, 0.97413, -0.42512])


@pytest.mark.exercise("random_uniform.wgsl")
def test_random_uniform_kernel_gives_the_bits_of_seed_seven(kernel):
    expect_close(kernel("random_uniform.wgsl", n=4, seed=7), BITS / 2**24, 0.0, what="out")


@pytest.mark.exercise("random_uniform.wgsl")
def test_random_uniform_kernel_fills_the_interval(kernel):
    got = kernel("random_uniform.wgsl", n=500, seed=1)
    expect(bool(np.all((got >= 0) & (got < 1))), "Some numbers lie outside [0, 1).")
    expect(
        abs(got.mean() - 0.5) < 0.07, f"The mean of 500 numbers is {got.mean():.3f}; it should be near 0.5."
    )


@pytest.mark.exercise("random_uniform.wgsl")
def test_random_uniform_kernel_is_safe(kernel):
    kernel.safety("random_uniform.wgsl", n=70, seed=7)


@pytest.mark.exercise("random_normal.wgsl")
def test_random_normal_kernel_gives_the_numbers_of_seed_seven(kernel):
    expect_close(kernel("random_normal.wgsl", n=3, seed=7), NORMAL, 4e-3, what="out")


@pytest.mark.exercise("random_normal.wgsl")
def test_random_normal_kernel_is_safe(kernel):
    kernel.safety("random_normal.wgsl", n=71, seed=7)


@pytest.mark.exercise("dropout_forward.wgsl")
def test_dropout_kernel_drops_what_the_bits_say(kernel):
    got = kernel("dropout_forward.wgsl", x=np.float32([1, 2, 3, 4]), rate=0.5, seed=7)
    want = np.where(BITS / 2**24 >= 0.5, np.float32([2, 4, 6, 8]), np.float32(0))
    expect_close(got, want, 1e-6, what="out")


@pytest.mark.exercise("dropout_forward.wgsl")
def test_dropout_kernel_is_safe(kernel, rng):
    kernel.safety("dropout_forward.wgsl", x=rng.standard_normal(70).astype(np.float32), rate=0.5, seed=7)


@pytest.mark.exercise("adam_step.wgsl")
def test_adam_kernel_takes_a_step_by_hand(kernel):
    zeros = np.zeros(2, np.float32)
    numbers = {"lr": 0.5, "beta1": 0.5, "beta2": 0.75, "eps": 0.0, "m_correction": 0.5, "v_correction": 0.25}
    got = kernel(
        "adam_step.wgsl", w=np.float32([1, 2]), m=zeros, v=zeros, grad=np.float32([4, -8]), **numbers
    )
    expect_close(got["m"], np.float32([2, -4]), 1e-6, what="m")
    expect_close(got["v"], np.float32([4, 16]), 1e-5, what="v")
    expect_close(got["w"], np.float32([0.5, 2.5]), 1e-5, what="w")


@pytest.mark.exercise("adam_step.wgsl")
def test_adam_kernel_is_safe(kernel, rng):
    arrays = {name: rng.random(70).astype(np.float32) for name in ("w", "m", "v", "grad")}
    numbers = {"lr": 0.5, "beta1": 0.5, "beta2": 0.75, "eps": 0.0, "m_correction": 0.5, "v_correction": 0.25}
    kernel.safety("adam_step.wgsl", **arrays, **numbers)
