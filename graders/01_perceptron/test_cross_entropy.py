"""Hidden graders of the cross-entropy: the loss in nats, what counts, and its gradient."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance

# Shape of the labels, number of classes.
CASES = [((3,), 5), ((1,), 1), ((10,), 10), ((4,), 4), ((2, 3), 7), ((), 6), ((3, 2, 2), 3)]
EXTREMES = ["improbable label", "high", "low", "below any constant", "rows far apart", "impossible class"]
U64 = tolerance.U64


def _batch(rng, shape, n_classes):
    return 2 * rng.standard_normal((*shape, n_classes)), rng.integers(0, n_classes, shape)


def _extreme(name, rng):
    logits, labels = _batch(rng, (5,), 6)
    if name == "improbable label":
        # Probabilities of exp(-900): zero in float64, yet the loss is an ordinary number.
        logits[np.arange(5), labels] -= 900
    elif name == "high":
        logits += 2000
    elif name == "low":
        logits -= 2000
    elif name == "below any constant":
        logits = -1e12 * rng.uniform(1, 2, (5, 6))
    elif name == "rows far apart":
        logits += np.array([-3000.0, 0.0, 1000.0, 2000.0, 5000.0])[:, None]
    else:
        logits[np.arange(5), (labels + 1) % 6] = -np.inf
    return logits, labels


def _loss_tolerance(logits, u):
    return 2 * float(np.max(tolerance.log_sum_exp(logits, u=u))) + 1e-15


def _expect_loss(submission, reference, logits, labels):
    loss, _ = submission.cross_entropy_forward(logits, labels)
    want, _ = reference.cross_entropy_forward(logits, labels)
    expect_close(loss, want, _loss_tolerance(logits, U64), what="loss")


@pytest.mark.exercise("cross_entropy_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_loss_is_the_mean_surprise_in_nats(submission, reference, rng, case):
    _expect_loss(submission, reference, *_batch(rng, *case))


@pytest.mark.exercise("cross_entropy_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize("name", EXTREMES)
def test_the_loss_is_right_at_any_scores(submission, reference, rng, name):
    _expect_loss(submission, reference, *_extreme(name, rng))


@pytest.mark.exercise("cross_entropy_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("n_ignored", [1, 4, 6], ids=str)
def test_ignored_labels_do_not_count(submission, reference, rng, n_ignored):
    logits, labels = _batch(rng, (2, 3), 5)
    # Label 0 is a class like any other; only -1 is ignored.
    labels.reshape(-1)[:] = [4, 0, 2, 0, 1, 3]
    labels.reshape(-1)[:n_ignored] = -1
    _expect_loss(submission, reference, logits, labels)


@pytest.mark.exercise("cross_entropy_forward")
@pytest.mark.points(1)
def test_the_loss_of_float32_logits_and_int32_labels(submission, reference, rng):
    logits, labels = _batch(rng, (9,), 10)
    logits, labels = (logits + 100).astype(np.float32), labels.astype(np.int32)
    loss, _ = submission.cross_entropy_forward(logits, labels)
    want, _ = reference.cross_entropy_forward(logits.astype(np.float64), labels)
    expect_close(loss, want, _loss_tolerance(logits, tolerance.U32), what="loss")


@pytest.mark.exercise("cross_entropy_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize(
    "labels",
    [
        np.array([0, 1, 4]),
        np.array([0, -2, 3]),
        np.array([0.0, 1.0, 2.0]),
        np.array([0, 1]),
        np.array([[0], [1], [2]]),
    ],
    ids=["too large", "below -1", "not integers", "too few", "another axis"],
)
def test_bad_labels_are_refused(submission, rng, labels):
    expect_raises(submission.cross_entropy_forward, ValueError, rng.standard_normal((3, 4)), labels)


def _gradients(submission, reference, logits, labels, dloss):
    _, cache = submission.cross_entropy_forward(logits, labels)
    got = submission.cross_entropy_backward(dloss, cache)
    wide = logits.astype(np.float64)
    want = reference.cross_entropy_backward(dloss, reference.cross_entropy_forward(wide, labels)[1])
    return got, want


def _gradient_tolerance(logits, labels, dloss, u):
    n_counted = max(int((labels != -1).sum()), 1)
    one = tolerance.softmax(logits, u=u) + 4 * u * (1 + np.abs(logits).max())
    return 2 * abs(dloss) / n_counted * one


@pytest.mark.exercise("cross_entropy_backward")
@pytest.mark.points(3)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_gradient_is_softmax_minus_onehot(submission, reference, rng, case):
    logits, labels = _batch(rng, *case)
    got, want = _gradients(submission, reference, logits, labels, 1.0)
    expect_close(got, want, _gradient_tolerance(logits, labels, 1.0, U64), what="dlogits")


@pytest.mark.exercise("cross_entropy_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("dloss", [-2.5, 0.5, 16.0], ids=str)
def test_the_gradient_is_proportional_to_dloss(submission, reference, rng, dloss):
    logits, labels = _batch(rng, (5,), 3)
    got, want = _gradients(submission, reference, logits, labels, dloss)
    expect_close(got, want, _gradient_tolerance(logits, labels, dloss, U64), what="dlogits")


@pytest.mark.exercise("cross_entropy_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("n_ignored", [1, 4, 6], ids=str)
def test_ignored_rows_get_no_gradient(submission, reference, rng, n_ignored):
    logits, labels = _batch(rng, (2, 3), 5)
    labels.reshape(-1)[:] = [4, 0, 2, 0, 1, 3]
    labels.reshape(-1)[:n_ignored] = -1
    got, want = _gradients(submission, reference, logits, labels, 1.0)
    expect_close(got, want, _gradient_tolerance(logits, labels, 1.0, U64), what="dlogits")


@pytest.mark.exercise("cross_entropy_backward")
@pytest.mark.points(1)
def test_the_gradient_of_float32_logits_twice(submission, reference, rng):
    logits, labels = _batch(rng, (6,), 4)
    logits = logits.astype(np.float32)
    _, cache = submission.cross_entropy_forward(logits, labels)
    submission.cross_entropy_forward(logits[::-1].copy(), labels)
    wide = logits.astype(np.float64)
    want = reference.cross_entropy_backward(1.0, reference.cross_entropy_forward(wide, labels)[1])
    bound = _gradient_tolerance(logits, labels, 1.0, tolerance.U32)
    for _ in range(2):
        got = submission.cross_entropy_backward(1.0, cache)
        expect_close(got, want, bound, what="dlogits", dtype=np.float32)
