"""Hidden graders of the tiny stage."""

import numpy as np
import pytest

from gradschool.grading import expect_equal, expect_raises


@pytest.mark.exercise("double")
@pytest.mark.points(2)
def test_double_is_exact(submission, reference, rng):
    x = rng.integers(-100, 100, size=17).astype(float)
    expect_equal(submission.double(x), reference.double(x))


@pytest.mark.exercise("double")
@pytest.mark.points(1)
def test_double_of_nothing_raises(submission):
    expect_raises(submission.double, ValueError, np.zeros(0))


@pytest.mark.exercise("halve")
@pytest.mark.points(2)
def test_halve_is_exact(submission, reference, rng):
    x = rng.integers(-100, 100, size=17).astype(float)
    expect_equal(submission.halve(x), reference.halve(x))


@pytest.mark.exercise("scale_shift.wgsl")
@pytest.mark.points(2)
def test_scale_shift_is_exact(kernel, rng):
    x = rng.integers(-100, 100, size=65).astype(np.float32)
    expect_equal(kernel("scale_shift.wgsl", x=x, alpha=2.0, beta=1.0), 2 * x + 1)


@pytest.mark.exercise("scale_shift.wgsl")
@pytest.mark.points(1)
def test_scale_shift_is_safe(kernel, rng):
    x = rng.integers(-100, 100, size=65).astype(np.float32)
    kernel.safety("scale_shift.wgsl", x=x, alpha=2.0, beta=1.0)
