"""Hidden graders of clipping and of the learning rate's way up and down."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_equal, expect_raises, tolerance
from gradschool.grading.expect import expect

SHAPES = {"table": (5, 3), "w": (3, 4), "b": (4,), "scale": (1,)}


def _grads(rng, dtype=np.float64):
    """Arrays whose own lengths differ a lot."""
    sizes = dict(zip(SHAPES, (0.3, 5.0, 1.0, 0.02), strict=True))
    return {name: (sizes[name] * rng.standard_normal(shape)).astype(dtype) for name, shape in SHAPES.items()}


def _expect_plain(got, what):
    expect(type(got) is float, f"{what} is a {type(got).__name__}; a Python float is expected.")


def _expect_clipped(submission, reference, grads, max_norm):
    got, norm = submission.clip_gradients(grads, max_norm)
    wide = {name: grad.astype(np.float64) for name, grad in grads.items()}
    want, want_norm = reference.clip_gradients(wide, max_norm)
    expect_close(norm, want_norm, 1e-6 * want_norm, what="norm")
    expect_equal(sorted(got) if isinstance(got, dict) else got, sorted(want), what="the names in the result")
    for name, value in want.items():
        dtype = grads[name].dtype
        tol = 1e-30 + 128 * tolerance.unit(dtype) * np.abs(value)
        expect_close(got[name], value, tol, what=name, dtype=dtype)


@pytest.mark.exercise("clip_gradients")
@pytest.mark.points(2)
@pytest.mark.parametrize("max_norm", [0.1, 1.0, 7.5], ids=str)
def test_a_long_gradient_is_shortened_as_a_whole(submission, reference, rng, max_norm):
    _expect_clipped(submission, reference, _grads(rng), max_norm)


@pytest.mark.exercise("clip_gradients")
@pytest.mark.points(1)
@pytest.mark.parametrize("max_norm", [60.0, 1e6], ids=str)
def test_a_short_gradient_stays_as_it_is(submission, rng, max_norm):
    grads = _grads(rng)
    got, _ = submission.clip_gradients(grads, max_norm)
    for name, grad in grads.items():
        expect_close(got[name], grad, 0.0, what=name)


@pytest.mark.exercise("clip_gradients")
@pytest.mark.points(1)
def test_the_length_is_that_of_all_arrays_together(submission):
    grads = {"a": np.array([3.0, 0.0]), "b": np.array([[4.0]]), "c": np.array([0.0, 12.0, 0.0])}
    got, norm = submission.clip_gradients(grads, 6.5)
    expect_close(norm, np.float64(13), 1e-12, what="norm")
    for name, grad in grads.items():
        expect_close(got[name], grad / 2, 1e-12, what=name)


@pytest.mark.exercise("clip_gradients")
@pytest.mark.points(1)
@pytest.mark.parametrize("size", [0.0, 1e-30], ids=str)
def test_a_gradient_of_almost_nothing_is_not_divided_by_zero(submission, reference, rng, size):
    grads = {name: size * grad for name, grad in _grads(rng).items()}
    _expect_clipped(submission, reference, grads, 1.0)


@pytest.mark.exercise("clip_gradients")
@pytest.mark.points(1)
@pytest.mark.parametrize("size", [1.0, 1e25], ids=str)
def test_float32_stays_float32_and_its_squares_may_be_large(submission, reference, rng, size):
    grads = {name: np.float32(size) * grad for name, grad in _grads(rng, np.float32).items()}
    _expect_clipped(submission, reference, grads, 0.5)


@pytest.mark.exercise("clip_gradients")
@pytest.mark.points(1)
@pytest.mark.parametrize("max_norm", [0.1, 1e6], ids=["clipped", "left alone"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
def test_the_length_is_a_plain_number(submission, rng, max_norm, dtype):
    _, norm = submission.clip_gradients(_grads(rng, dtype), max_norm)
    _expect_plain(norm, "norm")


@pytest.mark.exercise("clip_gradients")
@pytest.mark.points(1)
@pytest.mark.parametrize("max_norm", [0.0, -1.0], ids=str)
def test_a_longest_length_of_nothing_is_refused(submission, max_norm):
    expect_raises(submission.clip_gradients, ValueError, {"w": np.ones(2)}, max_norm)


# (warmup, total, lr_max, lr_min): with and without warm-up, with a floor and without.
SCHEDULES = [
    (10, 100, 0.004, 0.0),
    (7, 31, 0.5, 0.05),
    (0, 20, 1.0, 0.1),
    (1, 2, 0.3, 0.2),
    (40, 47, 2.0, 0.5),
]


def _expect_rates(submission, reference, steps, schedule):
    for step in steps:
        got = submission.cosine_schedule(step, *schedule)
        want = reference.cosine_schedule(step, *schedule)
        expect_close(got, np.float64(want), 1e-12, what=f"the rate of step {step}")


@pytest.mark.exercise("cosine_schedule")
@pytest.mark.points(2)
@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_the_rate_falls_along_half_a_cosine(submission, reference, rng, schedule):
    warmup, total = schedule[:2]
    steps = {warmup, warmup + 1, total - 1, total, *map(int, rng.integers(warmup, total, 6))}
    _expect_rates(submission, reference, sorted(steps), schedule)


@pytest.mark.exercise("cosine_schedule")
@pytest.mark.points(1)
@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_the_rate_rises_in_a_straight_line(submission, reference, schedule):
    warmup = schedule[0]
    _expect_rates(submission, reference, range(0, warmup + 2, max(1, warmup // 5)), schedule)


@pytest.mark.exercise("cosine_schedule")
@pytest.mark.points(1)
@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_the_rate_stays_at_its_end(submission, schedule):
    total, lr_min = schedule[1], schedule[3]
    for step in (total, total + 1, 2 * total, 3 * total + 5):
        got = submission.cosine_schedule(step, *schedule)
        expect_close(got, np.float64(lr_min), 1e-12, what=f"the rate of step {step}")


@pytest.mark.exercise("cosine_schedule")
@pytest.mark.points(1)
def test_the_first_step_moves_and_the_largest_rate_comes_once(submission):
    rates = [submission.cosine_schedule(step, 4, 20, 1.0, 0.0) for step in range(1, 21)]
    expect(rates[0] > 0, "The rate of the first step is 0.")
    expect(sum(abs(rate - 1.0) < 1e-9 for rate in rates) == 1, "The largest rate belongs to one step.")
    expect(rates.index(max(rates)) == 3, "The largest rate does not belong to step `warmup`.")


@pytest.mark.exercise("cosine_schedule")
@pytest.mark.points(1)
@pytest.mark.parametrize("step", [0, 3, 10, 40, 100, 150], ids=str)
def test_the_rate_is_a_plain_number(submission, step):
    # A NumPy number would widen the float32 parameters that it multiplies.
    _expect_plain(submission.cosine_schedule(step, 10, 100, 0.5, 0.1), "the rate")


@pytest.mark.exercise("cosine_schedule")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(-1, 2, 5), (1, -1, 5), (1, 5, 5), (1, 6, 5)], ids=str)
def test_a_schedule_that_cannot_be_is_refused(submission, case):
    expect_raises(submission.cosine_schedule, ValueError, *case, 0.1, 0.0)
