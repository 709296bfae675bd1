"""Hidden graders of RMS norm: forward, edge cases, backward."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance

CASES = [(2, 3, 5), (1, 1, 2), (7, 3), (4,), (2, 3, 4, 5), (3, 1), (4, 4, 4)]


def _layer(rng, shape, mean=0.0, spread=1.0):
    return mean + spread * rng.standard_normal(shape), 1 + rng.random(shape[-1])


def _backward(submission, reference, rng, shape, eps=1e-5):
    layer = _layer(rng, shape, mean=0.5)
    dout = 0.5 + rng.standard_normal(shape)
    _, cache = submission.rms_norm_forward(*layer, eps)
    got = submission.rms_norm_backward(dout, cache)
    return got, reference.rms_norm_backward(dout, reference.rms_norm_forward(*layer, eps)[1])


@pytest.mark.exercise("rms_norm_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_vector_is_divided_by_its_root_mean_square(submission, reference, rng, case):
    layer = _layer(rng, case, mean=0.5)
    out, _ = submission.rms_norm_forward(*layer, 1e-5)
    want, _ = reference.rms_norm_forward(*layer, 1e-5)
    expect_close(out, want, 1e-12 * np.abs(want).max(), what="out")


def _tiny(rng):
    return _layer(rng, (2, 3, 5), spread=1e-3)


def _zero_vector(rng):
    x, gamma = _layer(rng, (2, 3, 5))
    x[:, 1] = 0
    return x, gamma


def _far_from_zero(rng):
    return _layer(rng, (3, 2, 5), mean=1e3)


@pytest.mark.exercise("rms_norm_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("make", [_tiny, _zero_vector, _far_from_zero])
@pytest.mark.parametrize("given", [(), (1e-5,), (1e-2,)], ids=["eps left out", "1e-5", "1e-2"])
def test_eps_protects_vectors_near_zero(submission, reference, rng, make, given):
    layer = make(rng)
    out, _ = submission.rms_norm_forward(*layer, *given)
    want, _ = reference.rms_norm_forward(*layer, *given)
    expect_close(out, want, 1e-12 * np.abs(want).max(), what="out")


@pytest.mark.exercise("rms_norm_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(3, 4, 5), (6, 3)], ids=str)
def test_a_vector_does_not_feel_its_neighbours_in_rms_norm(submission, reference, rng, case):
    x, gamma = _layer(rng, case)
    x[1:] = 50 + 7 * x[1:]
    out, _ = submission.rms_norm_forward(x, gamma, 1e-5)
    want, _ = reference.rms_norm_forward(x[:1], gamma, 1e-5)
    expect_close(out[:1], want, 1e-12 * np.abs(want).max(), what="out of the first row")


@pytest.mark.exercise("rms_norm_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("mean", [0.0, 1e3])
def test_float32_stays_float32_in_rms_norm(submission, reference, rng, mean):
    x, gamma = (value.astype(np.float32) for value in _layer(rng, (3, 4, 6), mean=mean))
    out, _ = submission.rms_norm_forward(x, gamma, 1e-5)
    want, _ = reference.rms_norm_forward(x.astype(np.float64), gamma.astype(np.float64), 1e-5)
    expect_close(out, want, tolerance.elementwise(want, 20), what="out", dtype=np.float32)


@pytest.mark.exercise("rms_norm_forward")
@pytest.mark.points(1)
def test_an_eps_of_numpy_widens_nothing_in_rms_norm(submission, reference, rng):
    x, gamma = (value.astype(np.float32) for value in _layer(rng, (3, 4, 6)))
    out, _ = submission.rms_norm_forward(x, gamma, np.float64(1e-3))
    want, _ = reference.rms_norm_forward(x.astype(np.float64), gamma.astype(np.float64), 1e-3)
    expect_close(out, want, tolerance.elementwise(want, 20), what="out", dtype=np.float32)


@pytest.mark.exercise("rms_norm_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("wrong", ["gamma of one", "gamma of all", "no features", "no axis"])
def test_what_does_not_fit_is_refused_in_rms_norm(submission, rng, wrong):
    x, gamma = _layer(rng, (2, 3, 5))
    if wrong == "gamma of one":
        gamma = gamma[:1]
    elif wrong == "gamma of all":
        gamma = np.ones((2, 3, 5))
    elif wrong == "no features":
        x, gamma = x[..., :0], gamma[:0]
    else:
        x = x[0, 0, 0]
    expect_raises(submission.rms_norm_forward, ValueError, x, gamma, 1e-5)


@pytest.mark.exercise("rms_norm_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_dx_is_the_gradient_of_the_vectors_in_rms_norm(submission, reference, rng, case):
    got, want = _backward(submission, reference, rng, case)
    expect_close(got[0], want[0], tolerance.gradient(want[0], 10), what="dx")


@pytest.mark.exercise("rms_norm_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_dgamma_is_a_sum_over_all_vectors(submission, reference, rng, case):
    got, want = _backward(submission, reference, rng, case)
    expect_close(got[1], want[1], tolerance.gradient(want[1], 10), what="dgamma")


@pytest.mark.exercise("rms_norm_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_eps_belongs_to_the_gradient_in_rms_norm(submission, reference, rng, eps):
    got, want = _backward(submission, reference, rng, (2, 3, 5), eps)
    expect_close(got[0], want[0], tolerance.gradient(want[0], 10), what="dx")


@pytest.mark.exercise("rms_norm_backward")
@pytest.mark.points(1)
def test_the_gradient_survives_a_finite_difference_in_rms_norm(submission, reference, rng):
    x, gamma = _layer(rng, (2, 3, 4))
    dout, direction = rng.standard_normal((2, *x.shape))
    _, cache = submission.rms_norm_forward(x, gamma, 1e-3)
    dx, _ = submission.rms_norm_backward(dout, cache)

    def loss(t):
        return (dout * reference.rms_norm_forward(x + t * direction, gamma, 1e-3)[0]).sum()

    slope = np.array((loss(1e-5) - loss(-1e-5)) / 2e-5)
    expect_close(
        np.sum(dx * direction), slope, 1e-6 * (1 + np.abs(slope)), what="the slope along one direction"
    )


@pytest.mark.exercise("rms_norm_backward")
@pytest.mark.points(1)
def test_gradients_of_float32_are_float32_in_rms_norm(submission, reference, rng):
    x, gamma = (value.astype(np.float32) for value in _layer(rng, (2, 3, 5)))
    dout = rng.standard_normal((2, 3, 5)).astype(np.float32)
    _, cache = submission.rms_norm_forward(x, gamma, 1e-5)
    got = submission.rms_norm_backward(dout, cache)
    wide = (value.astype(np.float64) for value in (x, gamma))
    want = reference.rms_norm_backward(dout.astype(np.float64), reference.rms_norm_forward(*wide, 1e-5)[1])
    for name, value, expected in zip(("dx", "dgamma"), got, want, strict=True):
        expect_close(value, expected, 1e-5 * (1 + np.abs(expected).max()), what=name, dtype=np.float32)


@pytest.mark.exercise("rms_norm_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(3, 5), (1, 3, 5), (2, 3, 1)], ids=str)
def test_a_gradient_of_another_shape_is_refused_in_rms_norm(submission, rng, shape):
    _, cache = submission.rms_norm_forward(*_layer(rng, (2, 3, 5)), 1e-5)
    expect_raises(submission.rms_norm_backward, ValueError, rng.standard_normal(shape), cache)
