"""Hidden graders of the non-local block: values, the layout of pixels, gradients."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance
from gradschool.grading.expect import expect

# n, c_in, h, w, d: all different, one of each, flat pictures, wide d, equal sizes.
CASES = [(2, 3, 4, 5, 6), (1, 1, 1, 1, 1), (3, 4, 1, 6, 2), (2, 2, 3, 2, 7), (3, 3, 3, 3, 3)]
MATRICES = ("w_theta", "w_phi", "w_g", "w_out")


def _block(rng, n, c_in, h, w, d):
    params = {name: rng.standard_normal((c_in, d)) for name in MATRICES[:3]}
    params["w_out"] = rng.standard_normal((d, c_in))
    return rng.standard_normal((n, c_in, h, w)), params


def _narrow(x, params):
    return x.astype(np.float32), {name: value.astype(np.float32) for name, value in params.items()}


@pytest.mark.exercise("non_local_block_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_pixel_sees_all_pixels_of_its_picture(submission, reference, rng, case):
    block = _block(rng, *case)
    out, cache = submission.non_local_block_forward(*block)
    want, want_cache = reference.non_local_block_forward(*block)
    expect_close(out, want, 1e-12 * (1 + np.abs(want).max()), what="out")
    expect(isinstance(cache, dict) and "attn" in cache, "The cache is no dict with the key 'attn'.")
    expect_close(cache["attn"], want_cache["attn"], 1e-11, what="cache['attn']")


@pytest.mark.exercise("non_local_block_forward")
@pytest.mark.points(1)
def test_a_silent_block_leaves_the_picture(submission, rng):
    x, params = _block(rng, *CASES[0])
    params["w_out"] = np.zeros_like(params["w_out"])
    out, _ = submission.non_local_block_forward(x, params)
    expect_close(out, x, 0.0, what="out with w_out = 0")


@pytest.mark.exercise("non_local_block_forward")
@pytest.mark.points(1)
def test_large_products_do_no_harm(submission, reference, rng):
    x, params = _block(rng, *CASES[0])
    out, _ = submission.non_local_block_forward(20 * x, params)
    want, _ = reference.non_local_block_forward(20 * x, params)
    expect_close(out, want, 1e-12 * np.abs(want).max(), what="out")


@pytest.mark.exercise("non_local_block_forward")
@pytest.mark.points(1)
def test_the_block_in_float32_stays_in_float32(submission, reference, rng):
    x, params = _block(rng, *CASES[0])
    x = 0.5 * x
    want, _ = reference.non_local_block_forward(x, params)
    out, _ = submission.non_local_block_forward(*_narrow(x, params))
    expect_close(out, want, 1e-4 * np.abs(want).max(), what="out", dtype=np.float32)


@pytest.mark.exercise("non_local_block_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("wrong", ["channels", "axes", "rows"])
def test_pictures_that_do_not_fit_are_refused(submission, rng, wrong):
    x, params = _block(rng, *CASES[0])
    x = {"channels": x[:, :2], "axes": x[0], "rows": x.reshape(2, 3, 20)}[wrong]
    expect_raises(submission.non_local_block_forward, ValueError, x, params)


def _backward(submission, reference, rng, case):
    block = _block(rng, *case)
    out, want_cache = reference.non_local_block_forward(*block)
    dout = 0.5 + rng.standard_normal(out.shape)
    _, cache = submission.non_local_block_forward(*block)
    return submission.non_local_block_backward(dout, cache), reference.non_local_block_backward(
        dout, want_cache
    )


def _expect_grads(grads, want, relative=1e-12, dtype=None):
    expect(isinstance(grads, dict), f"grads is {type(grads).__name__}; it should be a dict.")
    expect(set(grads) == set(want), f"grads has the names {sorted(grads)}; expected {sorted(want)}.")
    scale = max(np.abs(value).max() for value in want.values())
    for name in MATRICES:
        tol = tolerance.gradient(want[name], 100 * scale, relative=relative)
        expect_close(grads[name], want[name], tol, what=name, dtype=dtype)


@pytest.mark.exercise("non_local_block_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_dx_comes_through_the_pixels_and_past_them(submission, reference, rng, case):
    (dx, _), (want, _) = _backward(submission, reference, rng, case)
    expect_close(dx, want, tolerance.gradient(want, 100), what="dx")


@pytest.mark.exercise("non_local_block_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_matrices_of_the_block_get_gradients(submission, reference, rng, case):
    (_, grads), (_, want) = _backward(submission, reference, rng, case)
    _expect_grads(grads, want)


@pytest.mark.exercise("non_local_block_backward")
@pytest.mark.points(1)
def test_a_block_backward_belongs_to_its_own_forward(submission, reference, rng):
    """Float32, twice, and after another forward: nothing is kept between calls but the cache."""
    x, params = _block(rng, *CASES[0])
    x, dout = 0.5 * x, rng.standard_normal(x.shape)
    want, want_grads = reference.non_local_block_backward(
        dout, reference.non_local_block_forward(x, params)[1]
    )
    _, cache = submission.non_local_block_forward(*_narrow(x, params))
    submission.non_local_block_forward(*_narrow(*_block(rng, *CASES[0])))
    for _ in range(2):
        dx, grads = submission.non_local_block_backward(dout.astype(np.float32), cache)
        expect_close(dx, want, 2e-4 * np.abs(want).max(), what="dx", dtype=np.float32)
        _expect_grads(grads, want_grads, relative=2e-4, dtype=np.float32)


@pytest.mark.exercise("non_local_block_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(1, 3, 4, 5), (2, 3, 5, 4), (2, 1, 4, 5), (2, 3, 20)], ids=str)
def test_the_block_refuses_a_gradient_of_another_shape(submission, rng, shape):
    _, cache = submission.non_local_block_forward(*_block(rng, *CASES[0]))
    expect_raises(submission.non_local_block_backward, ValueError, rng.standard_normal(shape), cache)
