"""Hidden graders of AdamW: several steps, several parameters, decay that is Adam's business nowhere."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_equal, expect_raises, tolerance

SHAPES = {"w": (3, 4), "b": (4,), "w2": (3, 4), "scale": (1,)}
BAD_GRADS = [
    {"w": (3, 2)},
    {"w": (3, 2), "c": (2,)},
    {"w": (3, 2), "b": (2,), "c": (2,)},
    {"w": (3, 2), "b": (1,)},
    {"w": (3, 2), "b": (2, 1)},
]
BAD_IDS = ["missing", "misspelt", "unknown", "one for all", "extra axis"]


def _arrays(rng, scale=1.0, dtype=np.float64):
    return {name: (scale * rng.standard_normal(shape)).astype(dtype) for name, shape in SHAPES.items()}


def _widen(arrays):
    return {name: value.astype(np.float64) for name, value in arrays.items()}


def _march(submission, reference, rng, lrs, *, scale=1.0, dtype=np.float64, **options):
    """Take one step per learning rate, each from the right parameters and with the learner's own state."""
    u = tolerance.unit(dtype)
    params, state, want_state = _arrays(rng, 1.0, dtype), {}, {}
    for lr in lrs:
        grads = _arrays(rng, scale, dtype)
        got, state = submission.adamw_step(params, grads, state, lr, **options)
        want, want_state = reference.adamw_step(_widen(params), _widen(grads), want_state, lr, **options)
        expect_equal(
            sorted(got) if isinstance(got, dict) else got, sorted(want), what="the names in the result"
        )
        for key, value in want.items():
            tol = 64 * u * (1 + np.abs(value))
            expect_close(got[key], value, tol, what=f"{key} after a step", dtype=dtype)
        params = {key: value.astype(dtype) for key, value in want.items()}


@pytest.mark.exercise("adamw_step")
@pytest.mark.points(3)
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.8), (0.0, 0.99), (0.9, 0.5)], ids=str)
def test_weights_decay_beside_adam(submission, reference, rng, betas):
    _march(submission, reference, rng, [0.1] * 4, betas=betas, weight_decay=0.5)


@pytest.mark.exercise("adamw_step")
@pytest.mark.points(1)
@pytest.mark.parametrize("weight_decay", [0.01, 0.1, 2.0], ids=str)
def test_the_decay_follows_the_learning_rate(submission, reference, rng, weight_decay):
    _march(submission, reference, rng, [0.02, 0.2, 0.1, 0.01], weight_decay=weight_decay)


@pytest.mark.exercise("adamw_step")
@pytest.mark.points(1)
def test_without_decay_it_is_adam(submission, reference, rng):
    _march(submission, reference, rng, [0.1, 0.1, 0.03], weight_decay=0.0)


@pytest.mark.exercise("adamw_step")
@pytest.mark.points(1)
@pytest.mark.parametrize("betas", [(0.9, 0.0), (0.0, 0.0)], ids=str)
def test_averages_may_forget_at_once(submission, reference, rng, betas):
    _march(submission, reference, rng, [0.1], betas=betas, weight_decay=0.5)


@pytest.mark.exercise("adamw_step")
@pytest.mark.points(1)
def test_the_usual_options_need_not_be_given(submission, reference, rng):
    _march(submission, reference, rng, [0.1, 0.1, 0.03])


@pytest.mark.exercise("adamw_step")
@pytest.mark.points(1)
@pytest.mark.parametrize("scale", [1e-8, 1e-5, 1e4], ids=str)
def test_small_gradients_meet_eps_outside_the_root(submission, reference, rng, scale):
    _march(submission, reference, rng, [0.1, 0.1, 0.02], scale=scale, weight_decay=0.1)


@pytest.mark.exercise("adamw_step")
@pytest.mark.points(1)
def test_without_a_gradient_only_the_decay_is_left(submission, rng):
    params, state = _arrays(rng), {}
    zeros = {name: np.zeros(shape) for name, shape in SHAPES.items()}
    for lr in (0.1, 0.3):
        got, state = submission.adamw_step(params, zeros, state, lr, weight_decay=0.2)
        for name, value in params.items():
            expect_close(got[name], (1 - lr * 0.2) * value, 1e-14, what=f"{name} after a step")


@pytest.mark.exercise("adamw_step")
@pytest.mark.points(1)
def test_adamw_keeps_float32(submission, reference, rng):
    _march(submission, reference, rng, [0.1, 0.1, 0.05], dtype=np.float32, weight_decay=0.3)


@pytest.mark.exercise("adamw_step")
@pytest.mark.points(1)
@pytest.mark.parametrize("shapes", BAD_GRADS, ids=BAD_IDS)
def test_adamw_refuses_gradients_that_do_not_fit(submission, rng, shapes):
    grads = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    expect_raises(submission.adamw_step, ValueError, {"w": np.ones((3, 2)), "b": np.ones(2)}, grads, {}, 0.1)


@pytest.mark.exercise("adamw_step")
@pytest.mark.points(1)
@pytest.mark.parametrize("betas", [(1.0, 0.9), (0.9, 1.0), (-0.1, 0.9), (0.9, -0.5)], ids=str)
def test_adamw_refuses_betas_outside_their_range(submission, betas):
    one = {"w": np.ones(2)}
    expect_raises(submission.adamw_step, ValueError, one, one, {}, 0.1, betas)


@pytest.mark.exercise("adamw_step")
@pytest.mark.points(1)
def test_adamw_refuses_weights_that_grow(submission):
    one = {"w": np.ones(2)}
    expect_raises(submission.adamw_step, ValueError, one, one, {}, 0.1, weight_decay=-0.01)
