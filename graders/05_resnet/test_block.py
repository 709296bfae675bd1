"""Hidden graders of the basic block: values, shortcut, running values, gradients."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance
from gradschool.grading.expect import expect

# n, c_in, c_out, h, w, stride: shapes kept, channels changed, size changed (odd and non-square), both.
CASES = [(2, 3, 3, 4, 5, 1), (1, 2, 4, 3, 5, 1), (3, 4, 4, 5, 6, 2), (2, 3, 5, 6, 3, 2)]


def _params(rng, c_in, c_out, skip, dtype=np.float64):
    params = {
        "w1": 0.4 * rng.standard_normal((c_out, c_in, 3, 3)),
        "w2": 0.4 * rng.standard_normal((c_out, c_out, 3, 3)),
    }
    suffixes = ["1", "2"]
    if skip:
        params["w_skip"] = rng.standard_normal((c_out, c_in, 1, 1))
        suffixes.append("_skip")
    running = {}
    for suffix in suffixes:
        params[f"gamma{suffix}"] = 0.5 + rng.random(c_out)
        params[f"beta{suffix}"] = 0.5 * rng.standard_normal(c_out)
        running[f"mean{suffix}"] = 0.5 * rng.standard_normal(c_out)
        running[f"var{suffix}"] = 0.5 + rng.random(c_out)
    narrow = [{name: value.astype(dtype) for name, value in part.items()} for part in (params, running)]
    return narrow[0], narrow[1]


def _block(rng, case, shortcut=True, dtype=np.float64):
    n, c_in, c_out, h, w, stride = case
    x = rng.standard_normal((n, c_in, h, w)).astype(dtype)
    skip = shortcut and (stride != 1 or c_in != c_out)
    params, running = _params(rng, c_in, c_out, skip, dtype)
    return x, params, stride, running


def _expect_dict(got, want, what, relative=1e-12):
    expect(isinstance(got, dict), f"{what} is {type(got).__name__}; it should be a dict.")
    expect(
        set(got) == set(want),
        f"{what} has the names {sorted(got)}; expected {sorted(want)}.",
        help="One entry for each parameter, under its own name.",
    )
    for name, value in want.items():
        expect_close(got[name], value, tolerance.gradient(value, 100, relative=relative), what=name)


@pytest.mark.exercise("basic_block_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_branch_plus_shortcut(submission, reference, rng, case):
    block = _block(rng, case)
    out, _ = submission.basic_block_forward(*block)
    want, _ = reference.basic_block_forward(*block)
    expect_close(out, want, 1e-12 * np.abs(want).max(), what="out")


@pytest.mark.exercise("basic_block_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_without_shortcut_only_the_branch_is_left(submission, reference, rng, case):
    block = _block(rng, case, shortcut=False)
    out, _ = submission.basic_block_forward(*block, True, False)
    want, _ = reference.basic_block_forward(*block, True, False)
    expect_close(out, want, 1e-12 * np.abs(want).max(), what="out")


@pytest.mark.exercise("basic_block_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [CASES[0], CASES[3]], ids=str)
def test_without_training_every_norm_uses_its_running_values(submission, reference, rng, case):
    block = _block(rng, case)
    out, cache = submission.basic_block_forward(*block, False)
    want, want_cache = reference.basic_block_forward(*block, False)
    expect_close(out, want, 1e-12 * np.abs(want).max(), what="out")
    _expect_dict(cache["running"], want_cache["running"], "cache['running']")


@pytest.mark.exercise("basic_block_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_new_running_values_are_in_the_cache(submission, reference, rng, case):
    block = _block(rng, case)
    _, cache = submission.basic_block_forward(*block)
    _, want = reference.basic_block_forward(*block)
    _expect_dict(cache["running"], want["running"], "cache['running']")
    x, params, stride, _ = block
    _, cache = submission.basic_block_forward(x, params, stride)
    _, want = reference.basic_block_forward(x, params, stride)
    _expect_dict(cache["running"], want["running"], "cache['running'] from a fresh start")


@pytest.mark.exercise("basic_block_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("wrong", ["channels", "axes", "a vector", "missing", "unused"])
def test_a_block_that_does_not_fit_is_refused(submission, rng, wrong):
    x, params, stride, _ = _block(rng, CASES[3] if wrong == "missing" else CASES[0])
    if wrong == "channels":
        x = x[:, :2]
    elif wrong == "axes":
        x = x[0]
    elif wrong == "a vector":
        x = x[0, :, 0, 0]
    elif wrong == "missing":
        params = {name: value for name, value in params.items() if "skip" not in name}
    else:
        extra, _ = _params(rng, 3, 3, skip=True)
        params = {**params, **{name: value for name, value in extra.items() if "skip" in name}}
    expect_raises(submission.basic_block_forward, ValueError, x, params, stride)


def _gradients(submission, reference, rng, case, training=True, shortcut=True, dtype=np.float64):
    block = _block(rng, case, shortcut, dtype)
    wide = [
        {name: value.astype(np.float64) for name, value in part.items()}
        if isinstance(part, dict)
        else (part.astype(np.float64) if isinstance(part, np.ndarray) else part)
        for part in block
    ]
    out, want_cache = reference.basic_block_forward(*wide, training, shortcut)
    dout = rng.standard_normal(out.shape)
    _, cache = submission.basic_block_forward(*block, training, shortcut)
    got = submission.basic_block_backward(dout.astype(dtype), cache)
    return got, reference.basic_block_backward(dout.astype(dtype).astype(np.float64), want_cache)


@pytest.mark.exercise("basic_block_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_dx_comes_through_branch_and_shortcut(submission, reference, rng, case):
    (dx, _), (want, _) = _gradients(submission, reference, rng, case)
    expect_close(dx, want, tolerance.gradient(want, 100), what="dx")


@pytest.mark.exercise("basic_block_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_parameter_of_the_block_has_its_gradient(submission, reference, rng, case):
    (_, grads), (_, want) = _gradients(submission, reference, rng, case)
    _expect_dict(grads, want, "grads")


@pytest.mark.exercise("basic_block_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_without_shortcut_the_gradient_has_one_way(submission, reference, rng, case):
    (dx, grads), (want, want_grads) = _gradients(submission, reference, rng, case, shortcut=False)
    expect_close(dx, want, tolerance.gradient(want, 100), what="dx")
    _expect_dict(grads, want_grads, "grads")


@pytest.mark.exercise("basic_block_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [CASES[0], CASES[3]], ids=str)
def test_without_training_norms_pass_gradients_straight_on(submission, reference, rng, case):
    (dx, grads), (want, want_grads) = _gradients(submission, reference, rng, case, training=False)
    expect_close(dx, want, tolerance.gradient(want, 100), what="dx")
    _expect_dict(grads, want_grads, "grads")


@pytest.mark.exercise("basic_block_backward")
@pytest.mark.points(1)
def test_gradients_of_float32_are_float32(submission, reference, rng):
    (dx, grads), (want, want_grads) = _gradients(
        submission, reference, rng, (3, 4, 6, 5, 6, 2), False, True, np.float32
    )
    expect_close(dx, want, 1e-4 * np.abs(want).max(), what="dx", dtype=np.float32)
    for name, value in want_grads.items():
        expect_close(grads[name], value, 1e-4 * np.abs(value).max(), what=name, dtype=np.float32)


@pytest.mark.exercise("basic_block_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(1, 3, 4, 5), (2, 3, 5, 4)], ids=str)
def test_the_block_refuses_an_upstream_gradient_of_another_shape(submission, rng, shape):
    _, cache = submission.basic_block_forward(*_block(rng, CASES[0]))
    expect_raises(submission.basic_block_backward, ValueError, rng.standard_normal(shape), cache)
