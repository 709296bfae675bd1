"""Visible checks of stage 4: small cases that you can work out by hand.

Read them, change them, add to them: they are yours. The grader has tests of its own, with
other sizes, other numbers and more of what the docstrings promise.
"""

import numpy as np
import pytest

from gradschool.grading import expect_raises
from gradschool.grading.expect import expect

# One picture, 2 by 3, one channel.
SMALL = np.array([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])
# Four by four, counted row by row.
COUNTED = np.arange(16.0).reshape(1, 1, 4, 4)


def expect_array(got, want, story):
    """Fail with both values written out; `story` says what went in."""
    got, want = np.asarray(got), np.asarray(want)
    expect(got.shape == want.shape, f"{story}: the shape is {got.shape}; it should be {want.shape}.")
    expect(
        np.allclose(got, want, rtol=1e-6, atol=1e-6),
        f"{story}: yours is {np.array2string(got, threshold=16, precision=5)}; "
        f"it should be {np.array2string(want, threshold=16, precision=5)}.",
    )


@pytest.mark.exercise("im2col")
def test_two_windows_of_a_small_picture(submission):
    got = submission.im2col(SMALL, 2, 2, 1, 0)
    expect_array(got, [[1, 2, 4, 5], [2, 3, 5, 6]], "[[1 2 3] [4 5 6]] in windows of 2 by 2")


@pytest.mark.exercise("im2col")
def test_a_stride_and_a_padding_for_each_axis(submission):
    got = submission.im2col(SMALL, 2, 1, (2, 1), (1, 0))
    want = [[0, 1], [0, 2], [0, 3], [4, 0], [5, 0], [6, 0]]
    expect_array(got, want, "[[1 2 3] [4 5 6]], windows of 2 by 1, stride (2, 1), padding (1, 0)")


@pytest.mark.exercise("im2col")
def test_a_row_holds_one_channel_after_the_other(submission):
    x = np.stack([SMALL[0, 0], 10 * SMALL[0, 0]])[None]
    got = submission.im2col(x, 1, 2, 1, 0)
    expect_array(got[0], [1, 2, 10, 20], "two channels, windows of 1 by 2, the first row")


@pytest.mark.exercise("col2im")
def test_copies_are_added_up(submission):
    got = submission.col2im(np.array([[1.0, 2, 4, 5], [10, 20, 40, 50]]), (1, 1, 2, 3), 2, 2, 1, 0)
    expect_array(got, [[[[1, 12, 20], [4, 45, 50]]]], "cols [[1 2 4 5] [10 20 40 50]], windows of 2 by 2")


@pytest.mark.exercise("col2im")
def test_what_lands_on_the_padding_is_dropped(submission):
    got = submission.col2im(np.arange(1.0, 13).reshape(6, 2), (1, 1, 2, 3), 2, 1, (2, 1), (1, 0))
    expect_array(
        got, [[[[2, 4, 6], [7, 9, 11]]]], "cols 1 to 12, windows of 2 by 1, stride (2, 1), padding (1, 0)"
    )


@pytest.mark.exercise("conv2d_forward")
def test_one_filter_on_a_small_picture(submission):
    w = np.array([[[[1.0, 0.0], [0.0, -2.0]]]])
    out, _ = submission.conv2d_forward(SMALL, w, np.array([10.0]), 1, 0)
    expect_array(out, [[[[1, 0]]]], "[[1 2 3] [4 5 6]], filter [[1 0] [0 -2]], bias 10")


@pytest.mark.exercise("conv2d_forward")
def test_two_channels_two_filters_and_padding(submission):
    x = np.array([[[[1.0, 2.0]], [[3.0, 4.0]]]])
    w = np.array([[[[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]]], [[[0.0, 0.0, 1.0]], [[0.0, 0.0, 0.0]]]])
    out, _ = submission.conv2d_forward(x, w, np.zeros(2), 1, (0, 1))
    story = "channels [1 2] and [3 4]; filters that look left in one and straight in the other, and right"
    expect_array(out, [[[[3, 5]], [[2, 0]]]], story)


@pytest.mark.exercise("conv2d_forward")
def test_each_filter_needs_its_bias(submission):
    expect_raises(submission.conv2d_forward, ValueError, SMALL, np.ones((2, 1, 2, 2)), np.zeros(1), 1, 0)


@pytest.mark.exercise("conv2d_backward")
def test_the_three_gradients_of_a_small_picture(submission):
    w = np.array([[[[1.0, 0.0], [0.0, -2.0]]]])
    _, cache = submission.conv2d_forward(SMALL, w, np.array([10.0]), 1, 0)
    dx, dw, db = submission.conv2d_backward(np.array([[[[1.0, 3.0]]]]), cache)
    story = "[[1 2 3] [4 5 6]], filter [[1 0] [0 -2]], dout [1 3]"
    expect_array(dx, [[[[1, 3, 0], [0, -2, -6]]]], f"{story}, dx")
    expect_array(dw, [[[[7, 11], [19, 23]]]], f"{story}, dw")
    expect_array(db, [4], f"{story}, db")


@pytest.mark.exercise("conv2d_backward")
def test_gradients_have_the_shapes_of_what_they_belong_to(submission):
    x, w = np.ones((2, 3, 5, 6)), np.ones((4, 3, 3, 2))
    out, cache = submission.conv2d_forward(x, w, np.ones(4), (2, 1), 1)
    got = submission.conv2d_backward(np.ones(np.shape(out)), cache)
    for name, value, shape in zip(("dx", "dw", "db"), got, (x.shape, w.shape, (4,)), strict=True):
        expect(np.shape(value) == shape, f"{name} has shape {np.shape(value)}; it should be {shape}.")


@pytest.mark.exercise("conv_as_affine")
def test_a_filter_of_two_slides_over_three_pixels(submission):
    got = submission.conv_as_affine(np.array([[[[1.0, 2.0]]]]), 1, 3, 1, 0)
    expect_array(got, [[1, 0], [2, 1], [0, 2]], "filter [1 2] on pictures of 1 by 3")


@pytest.mark.exercise("conv_as_affine")
def test_the_matrix_does_what_the_convolution_does(submission):
    w = np.arange(1.0, 13).reshape(2, 1, 3, 2)
    matrix = submission.conv_as_affine(w, 4, 4, (2, 1), 1)
    out, _ = submission.conv2d_forward(COUNTED, w, np.zeros(2), (2, 1), 1)
    expect(
        np.shape(matrix) == (16, np.size(out)),
        f"The matrix has shape {np.shape(matrix)}; it should be {(16, np.size(out))}.",
    )
    expect_array(
        COUNTED.reshape(1, 16) @ matrix, np.reshape(out, (1, -1)), "x @ matrix and your conv2d_forward"
    )


@pytest.mark.exercise("max_pool_forward")
def test_the_largest_of_each_quarter(submission):
    out, _ = submission.max_pool_forward(-COUNTED, 2, 2)
    expect_array(out, [[[[0, -2], [-8, -10]]]], "0, -1, ..., -15 as 4 by 4, size 2, stride 2")


@pytest.mark.exercise("max_pool_forward")
def test_windows_that_do_not_fit_are_left_out(submission):
    out, _ = submission.max_pool_forward(COUNTED, (2, 3), (1, 2))
    expect_array(out, [[[[6], [10], [14]]]], "0, 1, ..., 15 as 4 by 4, size (2, 3), stride (1, 2)")


@pytest.mark.exercise("max_pool_backward")
def test_the_winners_take_it_all(submission):
    _, cache = submission.max_pool_forward(np.array([[[[1.0, 7.0, 2.0]]]]), (1, 2), 1)
    dx = submission.max_pool_backward(np.array([[[[3.0, 10.0]]]]), cache)
    expect_array(dx, [[[[0, 13, 0]]]], "[1 7 2] in windows of two, dout [3 10]: the 7 wins twice")


@pytest.mark.exercise("max_pool_backward")
def test_of_equal_ones_the_first_wins(submission):
    _, cache = submission.max_pool_forward(np.zeros((1, 1, 2, 2)), 2, 2)
    dx = submission.max_pool_backward(np.array([[[[5.0]]]]), cache)
    expect_array(dx, [[[[5, 0], [0, 0]]]], "four zeros, dout 5")


@pytest.mark.exercise("avg_pool_forward")
def test_the_mean_of_each_quarter(submission):
    out, _ = submission.avg_pool_forward(COUNTED, 2, 2)
    expect_array(out, [[[[2.5, 4.5], [10.5, 12.5]]]], "0, 1, ..., 15 as 4 by 4, size 2, stride 2")


@pytest.mark.exercise("avg_pool_backward")
def test_equal_shares_add_up_where_windows_overlap(submission):
    _, cache = submission.avg_pool_forward(np.array([[[[1.0, 7.0, 2.0]]]]), (1, 2), 1)
    dx = submission.avg_pool_backward(np.array([[[[2.0, 10.0]]]]), cache)
    expect_array(dx, [[[[1, 6, 5]]]], "three pixels in windows of two, dout [2 10]")


@pytest.mark.exercise("global_avg_pool_forward")
def test_one_mean_per_map(submission):
    out, _ = submission.global_avg_pool_forward(np.concatenate([SMALL, 2 * SMALL], axis=1))
    expect_array(out, [[3.5, 7]], "the maps [[1 2 3] [4 5 6]] and twice that")


@pytest.mark.exercise("global_avg_pool_backward")
def test_a_sixth_for_each_of_six_places(submission):
    _, cache = submission.global_avg_pool_forward(SMALL)
    dx = submission.global_avg_pool_backward(np.array([[12.0]]), cache)
    expect_array(dx, np.full((1, 1, 2, 3), 2.0), "a map of 2 by 3, dout 12")
