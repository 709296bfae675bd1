"""Hidden graders of im2col and col2im: every window, in order, and every gradient back to its pixel."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance

# n, c, h, w, kh, kw, stride, padding: all different, then single ones, then all equal; windows
# that reach every pixel and windows that leave some out.
CASES = [
    (2, 3, 9, 13, 3, 2, (2, 1), (1, 0)),
    (1, 1, 1, 1, 1, 1, 1, 0),
    (2, 2, 5, 5, 3, 3, 1, 1),
    (1, 3, 7, 4, 2, 4, (1, 2), 0),
    (3, 1, 6, 8, 3, 3, 3, (0, 2)),
    (2, 2, 4, 4, 2, 2, 2, 0),
    (1, 2, 5, 6, 3, 2, 1, (2, 1)),
    (2, 2, 8, 5, 1, 2, (3, 2), 1),
]
BAD = {
    "three axes": ((3, 5, 5), 2, 2, 1, 0),
    "window too high": ((1, 1, 3, 9), 6, 2, 1, 1),
    "window too wide": ((1, 1, 9, 3), 2, 4, 1, 0),
    "stride 0": ((1, 1, 5, 5), 2, 2, (1, 0), 0),
    "negative padding": ((1, 1, 5, 5), 2, 2, 1, (0, -1)),
    "empty window": ((1, 1, 5, 5), 0, 2, 1, 0),
}


def _pictures(rng, n, c, h, w, dtype=np.float64):
    # No pixel is 0, so that padding can be told from picture.
    return (3 + rng.standard_normal((n, c, h, w))).astype(dtype)


@pytest.mark.exercise("im2col")
@pytest.mark.points(3)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_window_becomes_a_row(submission, reference, rng, case):
    *shape, kh, kw, stride, padding = case
    x = _pictures(rng, *shape)
    got = submission.im2col(x, kh, kw, stride, padding)
    expect_close(got, reference.im2col(x, kh, kw, stride, padding), tolerance.exact(), what="the windows")


@pytest.mark.exercise("im2col")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", CASES[:2], ids=str)
def test_windows_of_float32_pictures_are_float32(submission, reference, rng, case):
    *shape, kh, kw, stride, padding = case
    x = _pictures(rng, *shape, np.float32)
    got = submission.im2col(x, kh, kw, stride, padding)
    want = reference.im2col(x, kh, kw, stride, padding)
    expect_close(got, want, tolerance.exact(), what="the windows", dtype=np.float32)


@pytest.mark.exercise("im2col")
@pytest.mark.points(1)
@pytest.mark.parametrize("name", BAD)
def test_impossible_windows_are_refused(submission, rng, name):
    shape, kh, kw, stride, padding = BAD[name]
    expect_raises(submission.im2col, ValueError, rng.standard_normal(shape), kh, kw, stride, padding)


@pytest.mark.exercise("col2im")
@pytest.mark.points(3)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_pixel_adds_up_its_copies(submission, reference, rng, case):
    *shape, kh, kw, stride, padding = case
    cols = rng.standard_normal(reference.im2col(np.zeros(shape), kh, kw, stride, padding).shape)
    got = submission.col2im(cols, tuple(shape), kh, kw, stride, padding)
    want = reference.col2im(cols, tuple(shape), kh, kw, stride, padding)
    expect_close(got, want, 1e-13 * kh * kw, what="the pictures")


@pytest.mark.exercise("col2im")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", CASES[:3], ids=str)
def test_float32_gradients_stay_float32(submission, reference, rng, case):
    *shape, kh, kw, stride, padding = case
    cols = rng.standard_normal(reference.im2col(np.zeros(shape), kh, kw, stride, padding).shape)
    got = submission.col2im(cols.astype(np.float32), tuple(shape), kh, kw, stride, padding)
    want = reference.col2im(cols, tuple(shape), kh, kw, stride, padding)
    expect_close(got, want, 1e-5 * kh * kw, what="the pictures", dtype=np.float32)


@pytest.mark.exercise("col2im")
@pytest.mark.points(1)
@pytest.mark.parametrize("cols_shape", [(6, 8), (24, 2), (1, 12, 4), (12, 8), (11, 4)], ids=str)
def test_rows_that_are_no_windows_of_the_pictures_are_refused(submission, rng, cols_shape):
    # Two pictures of one channel, 3 by 4, windows of 2 by 2: 12 rows of 4 numbers.
    cols = rng.standard_normal(cols_shape)
    expect_raises(submission.col2im, ValueError, cols, (2, 1, 3, 4), 2, 2, 1, 0)
