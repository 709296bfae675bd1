"""Hidden graders of layer norm: forward, edge cases, backward."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance

# All axes different, one row, two axes, one vector, four axes, one feature, all equal.
CASES = [(2, 3, 5), (1, 1, 2), (7, 3), (4,), (2, 3, 4, 5), (3, 1), (4, 4, 4)]
NAMES = ("dx", "dgamma", "dbeta")


def _layer(rng, shape, mean=0.0, spread=1.0):
    x = mean + spread * rng.standard_normal(shape)
    return x, 1 + rng.random(shape[-1]), rng.standard_normal(shape[-1])


def _narrow(*values):
    return [value.astype(np.float32) for value in values]


def _backward(submission, reference, rng, shape, eps=1e-5):
    layer = _layer(rng, shape)
    dout = 0.5 + rng.standard_normal(shape)
    _, cache = submission.layer_norm_forward(*layer, eps)
    got = submission.layer_norm_backward(dout, cache)
    return got, reference.layer_norm_backward(dout, reference.layer_norm_forward(*layer, eps)[1])


@pytest.mark.exercise("layer_norm_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_vector_is_normalized_scaled_and_shifted(submission, reference, rng, case):
    layer = _layer(rng, case, mean=0.5)
    out, _ = submission.layer_norm_forward(*layer, 1e-5)
    want, _ = reference.layer_norm_forward(*layer, 1e-5)
    expect_close(out, want, 1e-12 * np.abs(want).max(), what="out")


def _tiny_variance(rng):
    return _layer(rng, (2, 3, 5), spread=1e-3)


def _constant_vector(rng):
    x, *rest = _layer(rng, (2, 3, 5))
    x[:, 1] = 4
    return x, *rest


def _far_from_zero(rng):
    return _layer(rng, (3, 2, 5), mean=1e3)


@pytest.mark.exercise("layer_norm_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("make", [_tiny_variance, _constant_vector, _far_from_zero])
@pytest.mark.parametrize("given", [(), (1e-5,), (1e-2,)], ids=["eps left out", "1e-5", "1e-2"])
def test_eps_protects_quiet_vectors(submission, reference, rng, make, given):
    layer = make(rng)
    out, _ = submission.layer_norm_forward(*layer, *given)
    want, _ = reference.layer_norm_forward(*layer, *given)
    expect_close(out, want, 1e-12 * np.abs(want).max(), what="out")


@pytest.mark.exercise("layer_norm_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(3, 4, 5), (6, 3)], ids=str)
def test_a_vector_does_not_feel_its_neighbours_in_layer_norm(submission, reference, rng, case):
    x, gamma, beta = _layer(rng, case)
    x[1:] = 50 + 7 * x[1:]
    out, _ = submission.layer_norm_forward(x, gamma, beta, 1e-5)
    want, _ = reference.layer_norm_forward(x[:1], gamma, beta, 1e-5)
    expect_close(out[:1], want, 1e-12 * np.abs(want).max(), what="out of the first row")


@pytest.mark.exercise("layer_norm_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("mean", [0.0, 1e3])
def test_float32_stays_float32_and_precise(submission, reference, rng, mean):
    x, gamma, beta = _narrow(*_layer(rng, (3, 4, 6), mean=mean))
    out, _ = submission.layer_norm_forward(x, gamma, beta, 1e-5)
    wide = (value.astype(np.float64) for value in (x, gamma, beta))
    want, _ = reference.layer_norm_forward(*wide, 1e-5)
    # The mean is known to a few units of its own size; divided by the spread, that is in every value.
    spread = x.astype(np.float64).std(axis=-1, keepdims=True)
    tol = 40 * tolerance.U32 * (np.abs(want).max() + mean / spread)
    expect_close(out, want, tol, what="out", dtype=np.float32)


@pytest.mark.exercise("layer_norm_forward")
@pytest.mark.points(1)
def test_an_eps_of_numpy_widens_nothing_in_layer_norm(submission, reference, rng):
    layer = _narrow(*_layer(rng, (3, 4, 6)))
    out, _ = submission.layer_norm_forward(*layer, np.float64(1e-3))
    want, _ = reference.layer_norm_forward(*(value.astype(np.float64) for value in layer), 1e-3)
    expect_close(out, want, 40 * tolerance.U32 * np.abs(want).max(), what="out", dtype=np.float32)


@pytest.mark.exercise("layer_norm_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("wrong", ["gamma of one", "beta of one", "beta of all", "no features", "no axis"])
def test_what_does_not_fit_is_refused_in_layer_norm(submission, rng, wrong):
    x, gamma, beta = _layer(rng, (2, 3, 5))
    if wrong == "gamma of one":
        gamma = gamma[:1]
    elif wrong == "beta of one":
        beta = beta[:1]
    elif wrong == "beta of all":
        beta = np.ones((2, 3, 5))
    elif wrong == "no features":
        x, gamma, beta = x[..., :0], gamma[:0], beta[:0]
    else:
        x = x[0, 0, 0]
    expect_raises(submission.layer_norm_forward, ValueError, x, gamma, beta, 1e-5)


@pytest.mark.exercise("layer_norm_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_dx_is_the_gradient_of_the_vectors_in_layer_norm(submission, reference, rng, case):
    got, want = _backward(submission, reference, rng, case)
    expect_close(got[0], want[0], tolerance.gradient(want[0], 10), what="dx")


@pytest.mark.exercise("layer_norm_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_dgamma_and_dbeta_are_sums_over_all_vectors(submission, reference, rng, case):
    got, want = _backward(submission, reference, rng, case)
    for name, value, expected in zip(NAMES[1:], got[1:], want[1:], strict=True):
        expect_close(value, expected, tolerance.gradient(expected, 10), what=name)


@pytest.mark.exercise("layer_norm_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_eps_belongs_to_the_gradient_in_layer_norm(submission, reference, rng, eps):
    got, want = _backward(submission, reference, rng, (2, 3, 5), eps)
    expect_close(got[0], want[0], tolerance.gradient(want[0], 10), what="dx")


@pytest.mark.exercise("layer_norm_backward")
@pytest.mark.points(1)
def test_the_gradient_survives_a_finite_difference_in_layer_norm(submission, reference, rng):
    x, gamma, beta = _layer(rng, (2, 3, 4))
    dout, direction = rng.standard_normal((2, *x.shape))
    _, cache = submission.layer_norm_forward(x, gamma, beta, 1e-3)
    dx, _, _ = submission.layer_norm_backward(dout, cache)

    def loss(t):
        return (dout * reference.layer_norm_forward(x + t * direction, gamma, beta, 1e-3)[0]).sum()

    slope = np.array((loss(1e-5) - loss(-1e-5)) / 2e-5)
    expect_close(
        np.sum(dx * direction), slope, 1e-6 * (1 + np.abs(slope)), what="the slope along one direction"
    )


@pytest.mark.exercise("layer_norm_backward")
@pytest.mark.points(1)
def test_gradients_of_float32_are_float32_in_layer_norm(submission, reference, rng):
    layer, dout = _narrow(*_layer(rng, (2, 3, 5))), rng.standard_normal((2, 3, 5)).astype(np.float32)
    _, cache = submission.layer_norm_forward(*layer, 1e-5)
    got = submission.layer_norm_backward(dout, cache)
    wide = (value.astype(np.float64) for value in layer)
    want = reference.layer_norm_backward(
        dout.astype(np.float64), reference.layer_norm_forward(*wide, 1e-5)[1]
    )
    for name, value, expected in zip(NAMES, got, want, strict=True):
        expect_close(value, expected, 1e-5 * (1 + np.abs(expected).max()), what=name, dtype=np.float32)


@pytest.mark.exercise("layer_norm_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(3, 5), (1, 3, 5), (2, 3, 1)], ids=str)
def test_a_gradient_of_another_shape_is_refused_in_layer_norm(submission, rng, shape):
    _, cache = submission.layer_norm_forward(*_layer(rng, (2, 3, 5)), 1e-5)
    expect_raises(submission.layer_norm_backward, ValueError, rng.standard_normal(shape), cache)
