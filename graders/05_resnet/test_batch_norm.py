"""Hidden graders of batch norm: forward, running values, evaluation, backward."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance

# n, c, h, w: all different, one picture, one pixel, one channel, all equal, two values per channel.
CASES = [(2, 3, 4, 5), (1, 2, 3, 1), (7, 5, 1, 1), (3, 1, 2, 6), (3, 3, 3, 3), (2, 4, 1, 1)]
NAMES = ("dx", "dgamma", "dbeta")


def _layer(rng, shape, mean=0.0, spread=1.0):
    x = mean + spread * rng.standard_normal(shape)
    gamma, beta = 1 + rng.random(shape[1]), rng.standard_normal(shape[1])
    running = {"mean": rng.standard_normal(shape[1]), "var": 0.5 + rng.random(shape[1])}
    return x, gamma, beta, running


def _narrow(x, gamma, beta, running):
    vectors = [value.astype(np.float32) for value in (x, gamma, beta)]
    return *vectors, {name: value.astype(np.float32) for name, value in running.items()}


def _backward(submission, reference, rng, shape, training, eps=1e-5):
    layer = _layer(rng, shape)
    dout = 0.5 + rng.standard_normal(shape)
    _, cache, _ = submission.batch_norm_forward(*layer, training, 0.1, eps)
    got = submission.batch_norm_backward(dout, cache)
    want = reference.batch_norm_backward(dout, reference.batch_norm_forward(*layer, training, 0.1, eps)[1])
    return got, want


@pytest.mark.exercise("batch_norm_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_channel_is_normalized_scaled_and_shifted(submission, reference, rng, case):
    layer = _layer(rng, case)
    out, _, _ = submission.batch_norm_forward(*layer, True, 0.1, 1e-5)
    want = reference.batch_norm_forward(*layer, True, 0.1, 1e-5)[0]
    expect_close(out, want, 1e-12 * np.abs(want).max(), what="out")


def _tiny_variance(rng):
    return _layer(rng, (2, 3, 4, 5), spread=1e-3)


def _constant_channel(rng):
    x, *rest = _layer(rng, (2, 3, 4, 5))
    x[:, 1] = 4
    return x, *rest


def _far_from_zero(rng):
    return _layer(rng, (3, 2, 4, 5), mean=1e3)


@pytest.mark.exercise("batch_norm_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("make", [_tiny_variance, _constant_channel, _far_from_zero])
@pytest.mark.parametrize("eps", [1e-5, 1e-2])
def test_eps_protects_quiet_channels(submission, reference, rng, make, eps):
    layer = make(rng)
    out, _, _ = submission.batch_norm_forward(*layer, True, 0.1, eps)
    want = reference.batch_norm_forward(*layer, True, 0.1, eps)[0]
    expect_close(out, want, 1e-12 * np.abs(want).max(), what="out")


@pytest.mark.exercise("batch_norm_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("momentum", [0.1, 0.75])
def test_running_values_follow_two_batches(submission, reference, rng, momentum):
    first, gamma, beta, got = _layer(rng, (2, 3, 4, 5), mean=3)
    want = got
    for x in (first, 2 * first + 1):
        _, _, got = submission.batch_norm_forward(x, gamma, beta, got, True, momentum, 1e-5)
        _, _, want = reference.batch_norm_forward(x, gamma, beta, want, True, momentum, 1e-5)
    for name in ("mean", "var"):
        expect_close(got[name], want[name], 1e-12 * np.abs(want[name]).max(), what=f"running {name}")


@pytest.mark.exercise("batch_norm_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(1, 3, 1, 1), (4, 2, 3, 5)], ids=str)
def test_without_training_the_running_values_are_used_and_stay(submission, reference, rng, case):
    layer = _layer(rng, case, mean=2)
    out, _, running = submission.batch_norm_forward(*layer, False, 0.1, 1e-3)
    want, _, stay = reference.batch_norm_forward(*layer, False, 0.1, 1e-3)
    expect_close(out, want, 1e-12 * np.abs(want).max(), what="out")
    for name in ("mean", "var"):
        expect_close(running[name], stay[name], 0.0, what=f"running {name}")


@pytest.mark.exercise("batch_norm_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("mean", [0.0, 1e3])
def test_float32_stays_float32_and_precise(submission, reference, rng, mean):
    x, gamma, beta, running = _narrow(*_layer(rng, (3, 2, 4, 5), mean=mean))
    out, _, moved = submission.batch_norm_forward(x, gamma, beta, running, True, 0.1, 1e-2)
    wide = {name: value.astype(np.float64) for name, value in running.items()}
    want, _, want_moved = reference.batch_norm_forward(
        *(value.astype(np.float64) for value in (x, gamma, beta)), wide, True, 0.1, 1e-2
    )
    # The mean is known to a few units of its own size; the normalized values feel just that.
    tol = 40 * tolerance.U32 * (np.abs(want).max() + 4 * mean)
    expect_close(out, want, tol, what="out", dtype=np.float32)
    # Sums that run on (Welford, or pictures merged one by one) carry the mean's rounding into every
    # difference: 2 std times that. E[x^2] - mean^2 is off by the rounding of mean^2, a hundred times as much.
    streaming = 0.1 * 8 * mean * x.std()
    for name in ("mean", "var"):
        scale = 40 * np.abs(want_moved[name]).max() + (streaming if name == "var" else 0)
        expect_close(
            moved[name],
            want_moved[name],
            tolerance.U32 * scale,
            what=f"running {name}",
            dtype=np.float32,
        )


@pytest.mark.exercise("batch_norm_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize(
    "wrong", ["axes", "no batch axis", "a fifth axis", "gamma", "beta", "running", "one value"]
)
def test_what_does_not_fit_is_refused(submission, rng, wrong):
    x, gamma, beta, running = _layer(rng, (2, 3, 4, 5))
    if wrong == "axes":
        x = x[:, :, :, 0]
    elif wrong == "no batch axis":
        x = x[0]
    elif wrong == "a fifth axis":
        x = x[..., None]
    elif wrong == "gamma":
        gamma = gamma[:1]
    elif wrong == "beta":
        beta = beta[:1]
    elif wrong == "running":
        running = {**running, "var": running["var"][:1]}
    else:
        x = x[:1, :, :1, :1]
    expect_raises(submission.batch_norm_forward, ValueError, x, gamma, beta, running, True, 0.1, 1e-5)


@pytest.mark.exercise("batch_norm_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_dx_is_the_gradient_of_the_images(submission, reference, rng, case):
    got, want = _backward(submission, reference, rng, case, training=True)
    expect_close(got[0], want[0], tolerance.gradient(want[0], 10), what="dx")


@pytest.mark.exercise("batch_norm_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_dgamma_and_dbeta_are_sums_over_a_channel(submission, reference, rng, case):
    got, want = _backward(submission, reference, rng, case, training=True)
    for name, value, expected in zip(NAMES[1:], got[1:], want[1:], strict=True):
        expect_close(value, expected, tolerance.gradient(expected, 10), what=name)


@pytest.mark.exercise("batch_norm_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_eps_belongs_to_the_gradient(submission, reference, rng, eps):
    got, want = _backward(submission, reference, rng, (2, 3, 4, 5), training=True, eps=eps)
    expect_close(got[0], want[0], tolerance.gradient(want[0], 10), what="dx")


@pytest.mark.exercise("batch_norm_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(1, 3, 1, 1), (4, 2, 3, 5)], ids=str)
def test_without_training_the_statistics_are_constants(submission, reference, rng, case):
    got, want = _backward(submission, reference, rng, case, training=False)
    for name, value, expected in zip(NAMES, got, want, strict=True):
        expect_close(value, expected, tolerance.gradient(expected, 10), what=name)


@pytest.mark.exercise("batch_norm_backward")
@pytest.mark.points(1)
def test_a_backward_belongs_to_its_own_forward(submission, reference, rng):
    """Float32, twice, and after another forward: nothing is kept between calls but the cache."""
    layer = _layer(rng, (3, 2, 4, 5))
    dout = rng.standard_normal((3, 2, 4, 5))
    want = reference.batch_norm_backward(dout, reference.batch_norm_forward(*layer)[1])
    _, cache, _ = submission.batch_norm_forward(*_narrow(*layer), True, 0.1, 1e-5)
    submission.batch_norm_forward(*_narrow(*_layer(rng, (3, 2, 4, 5))), True, 0.1, 1e-5)
    for _ in range(2):
        got = submission.batch_norm_backward(dout.astype(np.float32), cache)
        for value, expected, name in zip(got, want, NAMES, strict=True):
            expect_close(value, expected, 2e-5 * np.abs(want[0]).max() * 10, what=name, dtype=np.float32)


@pytest.mark.exercise("batch_norm_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(1, 3, 4, 5), (2, 3, 5, 4), (2, 3, 4)], ids=str)
def test_batch_norm_refuses_an_upstream_gradient_of_another_shape(submission, rng, shape):
    _, cache, _ = submission.batch_norm_forward(*_layer(rng, (2, 3, 4, 5)), True, 0.1, 1e-5)
    expect_raises(submission.batch_norm_backward, ValueError, rng.standard_normal(shape), cache)
