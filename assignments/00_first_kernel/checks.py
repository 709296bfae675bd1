"""Visible checks of stage 0: small cases with their numbers in sight.

Read them, change them, add to them: they are yours. The grader has tests of its own, with
other sizes and other numbers.
"""

import numpy as np
import pytest

from gradschool.grading import expect_raises
from gradschool.grading.expect import expect


def expect_array(got, want, story):
    """Fail with both arrays written out; `story` says what went in."""
    want = np.asarray(want)
    expect(got.shape == want.shape, f"{story}: the shape is {got.shape}; it should be {want.shape}.")
    expect(
        np.allclose(got, want, rtol=1e-6, atol=1e-6),
        f"{story}: your kernel gives {in_words(got)}; it should be {in_words(want.astype(got.dtype))}.",
    )


def in_words(values):
    """Write an array on one line, the middle of a long one left out."""
    return " ".join(np.array2string(values, threshold=12).split())


@pytest.mark.exercise("workgroups_for")
@pytest.mark.parametrize(
    ("n", "size", "want"), [(10, 4, 3), (8, 4, 2), (9, 4, 3), (1, 64, 1), (0, 64, 0), (1000, 64, 16)]
)
def test_workgroups_just_cover_the_elements(submission, n, size, want):
    got = submission.workgroups_for(n, size)
    expect(
        got == want and not isinstance(got, float),
        f"workgroups_for({n}, {size}) is {got!r}; {n} elements need {want} workgroups of {size}, an int.",
    )


@pytest.mark.exercise("workgroups_for")
@pytest.mark.parametrize(("n", "size"), [(-1, 64), (10, 0)])
def test_impossible_sizes_raise_value_error(submission, n, size):
    expect_raises(submission.workgroups_for, ValueError, n, size)


@pytest.mark.exercise("add_forward.wgsl")
def test_three_sums(kernel):
    a, b = np.float32([1, 2, 3]), np.float32([10, 20, 30])
    expect_array(kernel("add_forward.wgsl", a=a, b=b), a + b, "a = [1 2 3], b = [10 20 30]")


@pytest.mark.exercise("add_forward.wgsl")
def test_more_elements_than_one_workgroup_holds(kernel):
    a = np.arange(300, dtype=np.float32)
    got = kernel("add_forward.wgsl", a=a, b=2 * a)
    expect_array(got, 3 * a, "a[i] = i and b[i] = 2 i, 300 elements")


@pytest.mark.exercise("scale_shift.wgsl")
def test_a_line_through_three_points(kernel):
    x = np.float32([-1, 0, 1])
    got = kernel("scale_shift.wgsl", x=x, alpha=2.0, beta=5.0)
    expect_array(got, [3, 5, 7], "x = [-1 0 1], alpha = 2, beta = 5")


@pytest.mark.exercise("scale_shift.wgsl")
def test_fractions_stay_fractions(kernel):
    x = np.arange(100, dtype=np.float32)
    got = kernel("scale_shift.wgsl", x=x, alpha=-0.5, beta=0.25)
    expect_array(got, 0.25 - 0.5 * x, "x[i] = i, alpha = -0.5, beta = 0.25, 100 elements")


@pytest.mark.exercise("transpose.wgsl")
def test_two_rows_become_two_columns(kernel):
    x = np.float32([[1, 2, 3], [4, 5, 6]])
    expect_array(kernel("transpose.wgsl", x=x), x.T, "x = [[1 2 3] [4 5 6]]")


@pytest.mark.exercise("transpose.wgsl")
@pytest.mark.parametrize("shape", [(10, 3), (3, 10), (9, 17)])
def test_edges_that_are_no_multiple_of_the_workgroup(kernel, shape):
    x = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape)
    expect_array(kernel("transpose.wgsl", x=x), x.T, f"x[i, j] = {shape[1]} i + j, shape {shape}")


@pytest.mark.exercise("row_sum.wgsl")
def test_two_short_rows(kernel):
    x = np.float32([[1, 2, 3], [10, 20, 30]])
    expect_array(kernel("row_sum.wgsl", x=x), [6, 60], "x = [[1 2 3] [10 20 30]]")


@pytest.mark.exercise("row_sum.wgsl")
@pytest.mark.parametrize("n_cols", [64, 65, 200])
def test_rows_longer_than_a_workgroup(kernel, n_cols):
    x = np.ones((3, n_cols), np.float32)
    expect_array(kernel("row_sum.wgsl", x=x), [n_cols] * 3, f"3 rows of {n_cols} ones")


@pytest.mark.exercise("row_max.wgsl")
def test_two_rows_with_different_maxima(kernel):
    x = np.float32([[1, 7, 3], [40, 20, 30]])
    expect_array(kernel("row_max.wgsl", x=x), [7, 40], "x = [[1 7 3] [40 20 30]]")


@pytest.mark.exercise("row_max.wgsl")
def test_a_row_of_negative_numbers(kernel):
    x = np.float32([[-3, -2, -5]])
    expect_array(kernel("row_max.wgsl", x=x), [-2], "x = [[-3 -2 -5]]")


@pytest.mark.exercise("row_max.wgsl")
def test_the_last_of_many_columns(kernel):
    x = np.arange(200, dtype=np.float32).reshape(1, 200)
    expect_array(kernel("row_max.wgsl", x=x), [199], "x[0, j] = j, 200 columns")


@pytest.mark.exercise("histogram.wgsl")
def test_seven_values_in_four_bins(kernel):
    x = np.int32([0, 2, 2, 3, 2, 0, 3])
    expect_array(kernel("histogram.wgsl", x=x, n_bins=4), [2, 0, 3, 2], "x = [0 2 2 3 2 0 3], 4 bins")


@pytest.mark.exercise("histogram.wgsl")
def test_values_without_a_bin(kernel):
    x = np.int32([-1, 0, 1, 2, 1])
    expect_array(kernel("histogram.wgsl", x=x, n_bins=2), [1, 2], "x = [-1 0 1 2 1], 2 bins")


@pytest.mark.exercise("histogram.wgsl")
def test_a_crowd_at_one_bin(kernel):
    x = np.ones(500, np.int32)
    expect_array(kernel("histogram.wgsl", x=x, n_bins=3), [0, 500, 0], "500 ones, 3 bins")
