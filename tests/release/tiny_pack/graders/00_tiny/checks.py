"""Visible checks of the tiny stage."""

import numpy as np
import pytest

from gradschool.grading import expect_equal


@pytest.mark.exercise("double")
@pytest.mark.points(1)
def test_double_of_three_is_six(submission):
    expect_equal(submission.double(np.array([3.0])), np.array([6.0]))


@pytest.mark.exercise("halve")
@pytest.mark.points(1)
def test_half_of_six_is_three(submission):
    expect_equal(submission.halve(np.array([6.0])), np.array([3.0]))


@pytest.mark.exercise("scale_shift.wgsl")
@pytest.mark.points(1)
def test_scale_shift_of_five_numbers(kernel):
    x = np.arange(5, dtype=np.float32)
    expect_equal(kernel("scale_shift.wgsl", x=x, alpha=2.0, beta=1.0), 2 * x + 1)
