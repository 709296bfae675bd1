"""Hidden graders of the affine layer: forward, and the three gradients of its backward."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance

# n, d_in, d_out: all different, then single ones, then all equal. Only equal sizes tell a
# transpose from a refused shape, and only different ones show it.
CASES = [(3, 5, 2), (1, 1, 1), (7, 64, 10), (5, 1, 3), (1, 6, 4), (4, 4, 4)]
BATCHES = [(), (2, 3), (2, 1, 5), (3, 2, 4)]
U64 = tolerance.U64


def _layer(rng, batch, d_in, d_out, dtype=np.float64):
    x = rng.standard_normal((*batch, d_in)).astype(dtype)
    w = rng.standard_normal((d_in, d_out)).astype(dtype)
    b = rng.standard_normal(d_out).astype(dtype) + dtype(1)
    return x, w, b


def _forward_tolerance(x, w, b, u):
    x, w, b = (value.astype(np.float64) for value in (x, w, b))
    return 2 * tolerance.matmul(x, w, u=u, extra=3) + tolerance.elementwise(b, 4, u=u)


def _backward(submission, reference, rng, batch, d_in, d_out):
    """Gradients of the submission and of the reference, for a random upstream gradient."""
    x, w, b = _layer(rng, batch, d_in, d_out)
    dout = rng.standard_normal((*batch, d_out))
    _, cache = submission.affine_forward(x, w, b)
    got = submission.affine_backward(dout, cache)
    want = reference.affine_backward(dout, reference.affine_forward(x, w, b)[1])
    return got, want


@pytest.mark.exercise("affine_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_scores_are_weighted_sums_plus_bias(submission, reference, rng, case):
    n, d_in, d_out = case
    x, w, b = _layer(rng, (n,), d_in, d_out)
    out, _ = submission.affine_forward(x, w, b)
    want, _ = reference.affine_forward(x, w, b)
    expect_close(out, want, _forward_tolerance(x, w, b, U64), what="out")


@pytest.mark.exercise("affine_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_leading_axes_stay_and_float32_stays_float32(submission, reference, rng, batch):
    x, w, b = _layer(rng, batch, 5, 4, np.float32)
    out, _ = submission.affine_forward(x, w, b)
    want, _ = reference.affine_forward(*(value.astype(np.float64) for value in (x, w, b)))
    expect_close(out, want, _forward_tolerance(x, w, b, tolerance.U32), what="out", dtype=np.float32)


@pytest.mark.exercise("affine_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize(
    ("x_shape", "b_shape"), [((3, 4), (2,)), ((5,), (1,)), ((3, 5), (1,)), ((2, 5), (2, 2))], ids=str
)
def test_shapes_that_do_not_fit_are_refused(submission, rng, x_shape, b_shape):
    x, w, b = rng.standard_normal(x_shape), rng.standard_normal((5, 2)), rng.standard_normal(b_shape)
    expect_raises(submission.affine_forward, ValueError, x, w, b)


@pytest.mark.exercise("affine_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_dx_is_the_gradient_of_the_inputs(submission, reference, rng, case):
    n, d_in, d_out = case
    got, want = _backward(submission, reference, rng, (n,), d_in, d_out)
    expect_close(got[0], want[0], tolerance.gradient(want[0]), what="dx")


@pytest.mark.exercise("affine_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_dw_is_the_gradient_of_the_weights(submission, reference, rng, case):
    n, d_in, d_out = case
    got, want = _backward(submission, reference, rng, (n,), d_in, d_out)
    expect_close(got[1], want[1], tolerance.gradient(want[1]), what="dw")


@pytest.mark.exercise("affine_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_db_is_the_gradient_of_the_biases(submission, reference, rng, case):
    n, d_in, d_out = case
    got, want = _backward(submission, reference, rng, (n,), d_in, d_out)
    expect_close(got[2], want[2], tolerance.gradient(want[2]), what="db")


@pytest.mark.exercise("affine_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_gradients_sum_over_every_leading_axis(submission, reference, rng, batch):
    got, want = _backward(submission, reference, rng, batch, 5, 4)
    for value, expected, name in zip(got, want, ("dx", "dw", "db"), strict=True):
        expect_close(value, expected, tolerance.gradient(expected), what=name)


@pytest.mark.exercise("affine_backward")
@pytest.mark.points(1)
def test_a_backward_belongs_to_its_own_forward(submission, reference, rng):
    """Float32, twice, and in the other order: nothing is kept between calls but the cache."""
    first, second = _layer(rng, (6,), 3, 2, np.float32), _layer(rng, (6,), 3, 2, np.float32)
    _, cache = submission.affine_forward(*first)
    submission.affine_forward(*second)
    dout = rng.standard_normal((6, 2)).astype(np.float32)
    wide = [value.astype(np.float64) for value in first]
    want = reference.affine_backward(dout.astype(np.float64), reference.affine_forward(*wide)[1])
    for _ in range(2):
        got = submission.affine_backward(dout, cache)
        for value, expected, name in zip(got, want, ("dx", "dw", "db"), strict=True):
            expect_close(value, expected, 1e-5 * np.abs(expected).max(), what=name, dtype=np.float32)


@pytest.mark.exercise("affine_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("dout_shape", [(3, 2, 5), (6, 5), (2, 3, 4), (2, 4, 5)], ids=str)
def test_an_upstream_gradient_of_another_shape_is_refused(submission, rng, dout_shape):
    x, w, b = _layer(rng, (2, 3), 4, 5)
    _, cache = submission.affine_forward(x, w, b)
    expect_raises(submission.affine_backward, ValueError, rng.standard_normal(dout_shape), cache)
