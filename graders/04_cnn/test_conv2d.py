"""Hidden graders of the convolution: maps, the three gradients, and the equivalent matrix."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance

# n, c_in, h, w, c_out, kh, kw, stride, padding: all different, single ones, all equal, a window as large
# as the picture, strides that leave pixels out, padding as wide as the filter.
CASES = [
    (2, 3, 9, 13, 5, 3, 2, (2, 1), (1, 0)),
    (1, 1, 1, 1, 1, 1, 1, 1, 0),
    (3, 3, 3, 3, 3, 3, 3, 1, 1),
    (3, 1, 7, 6, 2, 3, 3, 1, 1),
    (1, 4, 5, 3, 1, 5, 3, 1, 0),
    (2, 2, 6, 8, 4, 2, 3, 3, 0),
    (2, 2, 4, 5, 3, 2, 3, (1, 2), (2, 3)),
    (2, 3, 5, 4, 2, 1, 1, 2, 0),
]
BAD = {
    "channels": ((2, 3, 5, 5), (4, 2, 3, 3), (4,), 1, 0),
    "one bias": ((2, 3, 5, 5), (4, 3, 3, 3), (1,), 1, 0),
    "biases with an axis": ((2, 3, 5, 5), (4, 3, 3, 3), (4, 1), 1, 0),
    "no batch axis": ((3, 5, 5), (4, 3, 3, 3), (4,), 1, 0),
    "as many rows as channels": ((5, 3, 5), (4, 3, 3, 3), (4,), 1, 0),
    "filters without channels": ((2, 3, 5, 5), (3, 3, 3), (3,), 1, 0),
    "a number per filter": ((2, 3, 5, 5), (4,), (4,), 1, 0),
    "filter too large": ((2, 3, 5, 5), (4, 3, 8, 3), (4,), 1, 1),
    "stride 0": ((2, 3, 5, 5), (4, 3, 3, 3), (4,), 0, 1),
    "negative padding": ((2, 3, 5, 5), (4, 3, 3, 3), (4,), 1, -1),
}


def _layer(rng, case, dtype=np.float64):
    n, c_in, h, w, c_out, kh, kw, stride, padding = case
    x = rng.standard_normal((n, c_in, h, w)) + 1
    weights, b = rng.standard_normal((c_out, c_in, kh, kw)), 10 + rng.standard_normal(c_out)
    return *(value.astype(dtype) for value in (x, weights, b)), stride, padding


def _wide(layer):
    return *(value.astype(np.float64) for value in layer[:3]), *layer[3:]


def _forward_tolerance(reference, layer, u):
    """Rounding of the products and their sum: u times their number times the sum of absolute values."""
    x, w, b, stride, padding = _wide(layer)
    size, _ = reference.conv2d_forward(np.abs(x), np.abs(w), np.abs(b), stride, padding)
    return u * (w[0].size + 3) * size


def _backward(submission, reference, rng, case):
    layer = _layer(rng, case)
    out, cache = reference.conv2d_forward(*layer)
    dout = rng.standard_normal(out.shape)
    got = submission.conv2d_backward(dout, submission.conv2d_forward(*layer)[1])
    return got, reference.conv2d_backward(dout, cache)


@pytest.mark.exercise("conv2d_forward")
@pytest.mark.points(3)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_maps_are_weighted_sums_over_windows(submission, reference, rng, case):
    layer = _layer(rng, case)
    out, _ = submission.conv2d_forward(*layer)
    tol = _forward_tolerance(reference, layer, tolerance.U64)
    expect_close(out, reference.conv2d_forward(*layer)[0], tol, what="out")


@pytest.mark.exercise("conv2d_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", CASES[:3], ids=str)
def test_maps_of_float32_pictures_are_float32(submission, reference, rng, case):
    layer = _layer(rng, case, np.float32)
    out, _ = submission.conv2d_forward(*layer)
    tol = 2 * _forward_tolerance(reference, layer, tolerance.U32)
    expect_close(out, reference.conv2d_forward(*_wide(layer))[0], tol, what="out", dtype=np.float32)


@pytest.mark.exercise("conv2d_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("name", BAD)
def test_layers_that_do_not_fit_are_refused(submission, rng, name):
    *shapes, stride, padding = BAD[name]
    arrays = [rng.standard_normal(shape) for shape in shapes]
    expect_raises(submission.conv2d_forward, ValueError, *arrays, stride, padding)


@pytest.mark.exercise("conv2d_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_dx_is_the_gradient_of_the_pictures(submission, reference, rng, case):
    got, want = _backward(submission, reference, rng, case)
    expect_close(got[0], want[0], tolerance.gradient(want[0]), what="dx")


@pytest.mark.exercise("conv2d_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_dw_is_the_gradient_of_the_filters(submission, reference, rng, case):
    got, want = _backward(submission, reference, rng, case)
    expect_close(got[1], want[1], tolerance.gradient(want[1]), what="dw")


@pytest.mark.exercise("conv2d_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_db_is_the_gradient_of_the_biases(submission, reference, rng, case):
    got, want = _backward(submission, reference, rng, case)
    expect_close(got[2], want[2], tolerance.gradient(want[2]), what="db")


@pytest.mark.exercise("conv2d_backward")
@pytest.mark.points(1)
def test_a_backward_belongs_to_its_own_forward(submission, reference, rng):
    """Float32, twice, and in the other order: nothing is kept between calls but the cache."""
    first, second = (_layer(rng, CASES[0], np.float32) for _ in range(2))
    out, cache = submission.conv2d_forward(*first)
    submission.conv2d_forward(*second)
    dout = rng.standard_normal(np.shape(out)).astype(np.float32)
    want = reference.conv2d_backward(dout.astype(np.float64), reference.conv2d_forward(*_wide(first))[1])
    for _ in range(2):
        got = submission.conv2d_backward(dout, cache)
        for value, expected, name in zip(got, want, ("dx", "dw", "db"), strict=True):
            expect_close(value, expected, 2e-5 * np.abs(expected).max(), what=name, dtype=np.float32)


@pytest.mark.exercise("conv2d_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize(
    "dout_shape", [(2, 4, 3, 4), (2, 5, 4, 3), (1, 5, 3, 4), (2, 5, 5, 6), (2, 3, 4, 5)], ids=str
)
def test_gradients_of_other_maps_are_refused(submission, rng, dout_shape):
    layer = _layer(rng, (2, 3, 5, 6, 5, 3, 3, 1, 0))
    _, cache = submission.conv2d_forward(*layer)
    expect_raises(submission.conv2d_backward, ValueError, rng.standard_normal(dout_shape), cache)


@pytest.mark.exercise("conv_as_affine")
@pytest.mark.points(3)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_matrix_holds_each_weight_at_its_places(submission, reference, rng, case):
    _, c_in, h, w_in, c_out, kh, kw, stride, padding = case
    w = rng.standard_normal((c_out, c_in, kh, kw))
    got = submission.conv_as_affine(w, h, w_in, stride, padding)
    want = reference.conv_as_affine(w, h, w_in, stride, padding)
    expect_close(got, want, 1e-14, what="the matrix")


@pytest.mark.exercise("conv_as_affine")
@pytest.mark.points(1)
def test_the_matrix_of_float32_filters_is_float32(submission, reference, rng):
    w = rng.standard_normal((2, 3, 2, 3)).astype(np.float32)
    got = submission.conv_as_affine(w, 4, 5, 1, 1)
    want = reference.conv_as_affine(w, 4, 5, 1, 1)
    expect_close(got, want, tolerance.elementwise(want), what="the matrix", dtype=np.float32)


@pytest.mark.exercise("conv_as_affine")
@pytest.mark.points(1)
@pytest.mark.parametrize(
    ("shape", "stride", "padding"),
    [((3, 3), 1, 0), ((1, 1, 3, 3), 0, 0), ((1, 1, 3, 3), 1, -1), ((1, 1, 7, 3), 1, 0), ((1, 1, 3, 9), 1, 1)],
    ids=str,
)
def test_filters_that_do_not_fit_are_refused(submission, rng, shape, stride, padding):
    expect_raises(submission.conv_as_affine, ValueError, rng.standard_normal(shape), 5, 6, stride, padding)
