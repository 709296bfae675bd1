"""Hidden graders of momentum and Adam: several steps, several parameters, gradients of every size."""

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


def _march(submission, reference, rng, name, lrs, *, scale=1.0, dtype=np.float64, **options):
    """Take one step per learning rate, each from the right parameters and with the learner's own state."""
    u = tolerance.unit(dtype)
    params, state, want_state = _arrays(rng, 1.0, dtype), {}, {}
    for lr in lrs:
        # Names tell which gradient is whose; the order of a dict does not.
        drawn = _arrays(rng, scale, dtype)
        grads = {key: drawn[key] for key in ("w2", "b", "w", "scale")}
        got, state = getattr(submission, name)(params, grads, state, lr, **options)
        want, want_state = getattr(reference, name)(_widen(params), _widen(grads), want_state, lr, **options)
        expect_equal(
            sorted(got) if isinstance(got, dict) else got, sorted(want), what="the names in the result"
        )
        for key, value in want.items():
            tol = 64 * u * (1 + np.abs(value))
            expect_close(got[key], value, tol, what=f"{key} after a step", dtype=dtype)
        params = {key: value.astype(dtype) for key, value in want.items()}


@pytest.mark.exercise("momentum_step")
@pytest.mark.points(2)
@pytest.mark.parametrize("momentum", [0.9, 0.5, 0.0], ids=str)
def test_velocity_is_carried_from_step_to_step(submission, reference, rng, momentum):
    _march(submission, reference, rng, "momentum_step", [0.1] * 4, momentum=momentum)


@pytest.mark.exercise("momentum_step")
@pytest.mark.points(1)
def test_a_new_learning_rate_leaves_the_velocity_alone(submission, reference, rng):
    _march(submission, reference, rng, "momentum_step", [0.5, 0.05, 0.2], momentum=0.8)


@pytest.mark.exercise("momentum_step")
@pytest.mark.points(1)
def test_momentum_keeps_float32_and_defaults_to_nine_tenths(submission, reference, rng):
    _march(submission, reference, rng, "momentum_step", [0.3, 0.1, 0.1], dtype=np.float32)


@pytest.mark.exercise("momentum_step")
@pytest.mark.points(1)
@pytest.mark.parametrize("shapes", BAD_GRADS, ids=BAD_IDS)
def test_momentum_refuses_gradients_that_do_not_fit(submission, rng, shapes):
    grads = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    expect_raises(
        submission.momentum_step, ValueError, {"w": np.ones((3, 2)), "b": np.ones(2)}, grads, {}, 0.1
    )


@pytest.mark.exercise("momentum_step")
@pytest.mark.points(1)
@pytest.mark.parametrize("momentum", [1.0, -0.1, 2.0], ids=str)
def test_momentum_refuses_a_share_outside_its_range(submission, momentum):
    one = {"w": np.ones(2)}
    expect_raises(submission.momentum_step, ValueError, one, one, {}, 0.1, momentum)


@pytest.mark.exercise("adam_step")
@pytest.mark.points(3)
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.8), (0.0, 0.99), (0.9, 0.5), (0.0, 0.0)], ids=str)
def test_both_averages_are_carried_and_corrected(submission, reference, rng, betas):
    # Where no square is remembered, a small gradient after a large one makes a huge step: one step is enough.
    n_steps = 4 if betas[1] else 1
    _march(submission, reference, rng, "adam_step", [0.1] * n_steps, betas=betas)


@pytest.mark.exercise("adam_step")
@pytest.mark.points(1)
@pytest.mark.parametrize(("scale", "eps"), [(1e-8, 1e-8), (1e-5, 1e-8), (1e4, 1e-8), (1.0, 0.25)], ids=str)
def test_small_gradients_meet_eps_outside_the_root(submission, reference, rng, scale, eps):
    _march(submission, reference, rng, "adam_step", [0.1, 0.1, 0.02], scale=scale, eps=eps)


@pytest.mark.exercise("adam_step")
@pytest.mark.points(1)
def test_no_gradient_means_no_step(submission, rng):
    params = _arrays(rng)
    zeros = {name: np.zeros(shape) for name, shape in SHAPES.items()}
    got, _ = submission.adam_step(params, zeros, {}, 0.1)
    for name, value in params.items():
        expect_close(got[name], value, 0.0, what=f"{name} after a step with gradient 0")


@pytest.mark.exercise("adam_step")
@pytest.mark.points(1)
def test_adam_keeps_float32(submission, reference, rng):
    _march(submission, reference, rng, "adam_step", [0.1, 0.1, 0.05], dtype=np.float32)


@pytest.mark.exercise("adam_step")
@pytest.mark.points(1)
@pytest.mark.parametrize("shapes", BAD_GRADS, ids=BAD_IDS)
def test_adam_refuses_gradients_that_do_not_fit(submission, rng, shapes):
    grads = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    expect_raises(submission.adam_step, ValueError, {"w": np.ones((3, 2)), "b": np.ones(2)}, grads, {}, 0.1)


@pytest.mark.exercise("adam_step")
@pytest.mark.points(1)
@pytest.mark.parametrize("betas", [(1.0, 0.9), (0.9, 1.0), (-0.1, 0.9), (0.9, -0.5)], ids=str)
def test_adam_refuses_betas_outside_their_range(submission, betas):
    one = {"w": np.ones(2)}
    expect_raises(submission.adam_step, ValueError, one, one, {}, 0.1, betas)
