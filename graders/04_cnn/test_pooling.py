"""Hidden graders of pooling: the maximum, the mean, the mean of a whole map, and their gradients."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance

# n, c, h, w, size, stride: windows side by side, overlapping, apart, over the whole map, and pixels left out.
CASES = [
    (2, 3, 9, 13, (3, 2), (2, 3)),
    (1, 1, 1, 1, 1, 1),
    (2, 2, 4, 4, 2, 2),
    (3, 2, 7, 5, 3, 1),
    (1, 2, 6, 4, (6, 4), 1),
    (2, 1, 5, 8, (2, 3), (3, 1)),
    (1, 3, 6, 9, 2, 3),
]
BAD = {
    "three axes": ((2, 5, 5), 2, 2),
    "window too high": ((1, 1, 3, 9), (4, 2), 1),
    "window too wide": ((1, 1, 9, 3), (2, 4), 1),
    "stride 0": ((1, 1, 5, 5), 2, (0, 1)),
    "empty window": ((1, 1, 5, 5), (2, 0), 1),
}
WRONG_DOUT = [(2, 3, 2, 4), (2, 3, 3, 3), (1, 3, 2, 3), (2, 2, 2, 3), (2, 3, 5, 6), (2, 3, 6)]


def _maps(rng, shape):
    return rng.standard_normal(shape)


def _check_backward(submission, reference, rng, op, x, *window):
    out, cache = getattr(reference, f"{op}_forward")(x, *window)
    dout = rng.standard_normal(out.shape)
    _, own_cache = getattr(submission, f"{op}_forward")(x, *window)
    got = getattr(submission, f"{op}_backward")(dout, own_cache)
    want = getattr(reference, f"{op}_backward")(dout, cache)
    expect_close(got, want, tolerance.gradient(want), what="dx")


def _check_twice(submission, reference, rng, op, *window):
    """Float32, twice, and after another forward: nothing is kept between calls but the cache."""
    first, second = (_maps(rng, (2, 3, 6, 7)).astype(np.float32) for _ in range(2))
    out, cache = getattr(submission, f"{op}_forward")(first, *window)
    getattr(submission, f"{op}_forward")(second, *window)
    dout = rng.standard_normal(np.shape(out)).astype(np.float32)
    own = getattr(reference, f"{op}_forward")(first.astype(np.float64), *window)[1]
    want = getattr(reference, f"{op}_backward")(dout.astype(np.float64), own)
    for _ in range(2):
        got = getattr(submission, f"{op}_backward")(dout, cache)
        expect_close(got, want, 1e-6 * np.abs(dout).max() * 9, what="dx", dtype=np.float32)


@pytest.mark.exercise("max_pool_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_window_keeps_its_maximum(submission, reference, rng, case):
    *shape, size, stride = case
    x = _maps(rng, shape)
    out, _ = submission.max_pool_forward(x, size, stride)
    expect_close(out, reference.max_pool_forward(x, size, stride)[0], tolerance.exact(), what="out")


@pytest.mark.exercise("max_pool_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", CASES[:3], ids=str)
def test_the_maximum_of_negative_numbers_is_negative(submission, reference, rng, case):
    *shape, size, stride = case
    x = -np.abs(_maps(rng, shape)).astype(np.float32) - np.float32(1)
    out, _ = submission.max_pool_forward(x, size, stride)
    want, _ = reference.max_pool_forward(x, size, stride)
    expect_close(out, want, tolerance.exact(), what="out", dtype=np.float32)


@pytest.mark.exercise("max_pool_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("name", BAD)
def test_impossible_windows_of_a_maximum_are_refused(submission, rng, name):
    shape, size, stride = BAD[name]
    expect_raises(submission.max_pool_forward, ValueError, rng.standard_normal(shape), size, stride)


@pytest.mark.exercise("max_pool_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_winner_gets_the_gradient(submission, reference, rng, case):
    *shape, size, stride = case
    _check_backward(submission, reference, rng, "max_pool", _maps(rng, shape), size, stride)


@pytest.mark.exercise("max_pool_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_of_equal_maxima_the_first_gets_the_gradient(submission, reference, rng, case):
    *shape, size, stride = case
    x = rng.integers(-2, 0, shape).astype(np.float64)
    _check_backward(submission, reference, rng, "max_pool", x, size, stride)
    _check_backward(submission, reference, rng, "max_pool", np.zeros(shape), size, stride)


@pytest.mark.exercise("max_pool_backward")
@pytest.mark.points(1)
def test_a_max_pool_backward_belongs_to_its_own_forward(submission, reference, rng):
    _check_twice(submission, reference, rng, "max_pool", 3, (2, 1))


@pytest.mark.exercise("max_pool_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("dout_shape", WRONG_DOUT, ids=str)
def test_gradients_of_other_maxima_are_refused(submission, rng, dout_shape):
    _, cache = submission.max_pool_forward(_maps(rng, (2, 3, 5, 6)), 2, 2)
    expect_raises(submission.max_pool_backward, ValueError, rng.standard_normal(dout_shape), cache)


@pytest.mark.exercise("avg_pool_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_window_gives_its_mean(submission, reference, rng, case):
    *shape, size, stride = case
    x = _maps(rng, shape) + 1
    out, _ = submission.avg_pool_forward(x, size, stride)
    want, _ = reference.avg_pool_forward(x, size, stride)
    expect_close(out, want, 1e-13 * np.abs(x).max(), what="out")


@pytest.mark.exercise("avg_pool_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", CASES[:3], ids=str)
def test_means_of_float32_maps_are_float32(submission, reference, rng, case):
    *shape, size, stride = case
    x = _maps(rng, shape).astype(np.float32)
    out, _ = submission.avg_pool_forward(x, size, stride)
    want, _ = reference.avg_pool_forward(x.astype(np.float64), size, stride)
    expect_close(out, want, 1e-6 * np.abs(x).max(), what="out", dtype=np.float32)


@pytest.mark.exercise("avg_pool_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("name", BAD)
def test_impossible_windows_of_a_mean_are_refused(submission, rng, name):
    shape, size, stride = BAD[name]
    expect_raises(submission.avg_pool_forward, ValueError, rng.standard_normal(shape), size, stride)


@pytest.mark.exercise("avg_pool_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_pixel_of_a_window_gets_an_equal_share(submission, reference, rng, case):
    *shape, size, stride = case
    _check_backward(submission, reference, rng, "avg_pool", _maps(rng, shape), size, stride)


@pytest.mark.exercise("avg_pool_backward")
@pytest.mark.points(1)
def test_an_avg_pool_backward_belongs_to_its_own_forward(submission, reference, rng):
    _check_twice(submission, reference, rng, "avg_pool", 3, (2, 1))


@pytest.mark.exercise("avg_pool_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("dout_shape", WRONG_DOUT, ids=str)
def test_gradients_of_other_means_are_refused(submission, rng, dout_shape):
    _, cache = submission.avg_pool_forward(_maps(rng, (2, 3, 5, 6)), 2, 2)
    expect_raises(submission.avg_pool_backward, ValueError, rng.standard_normal(dout_shape), cache)


SHAPES = [(2, 3, 4, 5), (1, 1, 1, 1), (3, 3, 3, 3), (2, 5, 7, 1), (4, 1, 2, 6)]


@pytest.mark.exercise("global_avg_pool_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_each_map_gives_one_mean(submission, reference, rng, shape):
    x = _maps(rng, shape) + 1
    out, _ = submission.global_avg_pool_forward(x)
    expect_close(out, reference.global_avg_pool_forward(x)[0], 1e-13 * np.abs(x).max(), what="out")


@pytest.mark.exercise("global_avg_pool_forward")
@pytest.mark.points(1)
def test_means_of_float32_maps_stay_float32(submission, reference, rng):
    x = _maps(rng, (2, 3, 9, 7)).astype(np.float32)
    out, _ = submission.global_avg_pool_forward(x)
    want, _ = reference.global_avg_pool_forward(x.astype(np.float64))
    expect_close(out, want, 4e-6 * np.abs(x).max(), what="out", dtype=np.float32)


@pytest.mark.exercise("global_avg_pool_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(2, 3, 4), (6,), (2, 3, 0, 4), (2, 3, 4, 0)], ids=str)
def test_maps_without_places_are_refused(submission, rng, shape):
    expect_raises(submission.global_avg_pool_forward, ValueError, rng.standard_normal(shape))


@pytest.mark.exercise("global_avg_pool_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_place_of_a_map_gets_an_equal_share(submission, reference, rng, shape):
    _check_backward(submission, reference, rng, "global_avg_pool", _maps(rng, shape))


@pytest.mark.exercise("global_avg_pool_backward")
@pytest.mark.points(1)
def test_a_global_backward_belongs_to_its_own_forward(submission, reference, rng):
    _check_twice(submission, reference, rng, "global_avg_pool")


@pytest.mark.exercise("global_avg_pool_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("dout_shape", [(3, 2), (2, 1), (1, 3), (2, 3, 1, 1), (2, 3, 5, 6), (3,)], ids=str)
def test_gradients_of_other_global_means_are_refused(submission, rng, dout_shape):
    _, cache = submission.global_avg_pool_forward(_maps(rng, (2, 3, 5, 6)))
    expect_raises(submission.global_avg_pool_backward, ValueError, rng.standard_normal(dout_shape), cache)
