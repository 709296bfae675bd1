"""Hidden graders of self-attention: values, masks, sizes that differ, gradients."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance
from gradschool.grading.expect import expect

# leading axes, seq, d_model, d_head, d_v, d_out: all different, one of each, no batch, two axes, all equal.
CASES = [
    ((2,), 5, 4, 3, 6, 7),
    ((1,), 1, 1, 1, 1, 1),
    ((), 6, 3, 8, 2, 3),
    ((2, 3), 4, 5, 2, 3, 5),
    ((3,), 4, 4, 4, 4, 4),
]
MATRICES = ("wq", "wk", "wv", "wo")


def _layer(rng, lead, seq, d_model, d_head, d_v, d_out):
    shapes = ((d_model, d_head), (d_model, d_head), (d_model, d_v), (d_v, d_out))
    params = {name: rng.standard_normal(shape) for name, shape in zip(MATRICES, shapes, strict=True)}
    return rng.standard_normal((*lead, seq, d_model)), params


def _narrow(x, params):
    return x.astype(np.float32), {name: value.astype(np.float32) for name, value in params.items()}


def _mask(rng, seq):
    mask = rng.random((seq, seq)) < 0.6
    mask[:, 0] = True
    mask[-1] = False
    return mask


@pytest.mark.exercise("self_attention_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_positions_look_at_each_other(submission, reference, rng, case):
    x, params = _layer(rng, *case)
    out, cache = submission.self_attention_forward(x, params)
    want, want_cache = reference.self_attention_forward(x, params)
    expect_close(out, want, 1e-11 * (1 + np.abs(want).max()), what="out")
    expect(isinstance(cache, dict) and "attn" in cache, "The cache is no dict with the key 'attn'.")
    expect_close(cache["attn"], want_cache["attn"], 1e-11, what="cache['attn']")


@pytest.mark.exercise("self_attention_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize("kind", ["causal", "any", "padding"])
@pytest.mark.parametrize("case", [CASES[0], CASES[3], CASES[4]], ids=str)
def test_self_attention_obeys_its_mask(submission, reference, rng, case, kind):
    x, params = _layer(rng, *case)
    seq = case[1]
    mask = {"causal": np.tril(np.ones((seq, seq), bool)), "any": _mask(rng, seq)}.get(kind)
    if mask is None:
        mask = np.arange(seq) < rng.integers(1, seq, (*case[0], 1, 1))
    out, _ = submission.self_attention_forward(x, params, mask)
    want, _ = reference.self_attention_forward(x, params, mask)
    expect_close(out, want, 1e-11 * (1 + np.abs(want).max()), what="out")


@pytest.mark.exercise("self_attention_forward")
@pytest.mark.points(1)
def test_self_attention_in_float32_stays_in_float32(submission, reference, rng):
    x, params = _layer(rng, *CASES[0])
    mask = _mask(rng, 5)
    want, _ = reference.self_attention_forward(x, params, mask)
    out, _ = submission.self_attention_forward(*_narrow(x, params), mask)
    expect_close(out, want, 1e-4 * np.abs(want).max(), what="out", dtype=np.float32)


@pytest.mark.exercise("self_attention_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("wrong", ["wq", "wv", "widths", "wo", "a vector", "a number", "mask"])
def test_matrices_that_do_not_fit_are_refused(submission, rng, wrong):
    x, params = _layer(rng, *CASES[0])
    mask = None
    if wrong in ("wq", "wv"):
        params[wrong] = params[wrong][:3]
    elif wrong == "widths":
        params["wk"] = params["wk"][:, :2]
    elif wrong == "wo":
        params["wo"] = params["wo"][:5]
    elif wrong in ("a vector", "a number"):
        x = x[0, 0] if wrong == "a vector" else x[0, 0, 0, ...]
    else:
        mask = np.ones((5, 4), bool)
    expect_raises(submission.self_attention_forward, ValueError, x, params, mask)


def _backward(submission, reference, rng, case, mask=None):
    x, params = _layer(rng, *case)
    out, want_cache = reference.self_attention_forward(x, params, mask)
    dout = 0.5 + rng.standard_normal(out.shape)
    _, cache = submission.self_attention_forward(x, params, mask)
    return submission.self_attention_backward(dout, cache), reference.self_attention_backward(
        dout, want_cache
    )


def _expect_grads(grads, want, relative=1e-12, dtype=None):
    expect(isinstance(grads, dict), f"grads is {type(grads).__name__}; it should be a dict.")
    expect(set(grads) == set(want), f"grads has the names {sorted(grads)}; expected {sorted(want)}.")
    scale = max(np.abs(value).max() for value in want.values())
    for name in MATRICES:
        tol = tolerance.gradient(want[name], 100 * scale, relative=relative)
        expect_close(grads[name], want[name], tol, what=name, dtype=dtype)


@pytest.mark.exercise("self_attention_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_dx_comes_through_queries_keys_and_values(submission, reference, rng, case):
    (dx, _), (want, _) = _backward(submission, reference, rng, case)
    expect_close(dx, want, tolerance.gradient(want, 100), what="dx")


@pytest.mark.exercise("self_attention_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_four_matrices_get_gradients(submission, reference, rng, case):
    (_, grads), (_, want) = _backward(submission, reference, rng, case)
    _expect_grads(grads, want)


@pytest.mark.exercise("self_attention_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [CASES[0], CASES[3]], ids=str)
def test_self_attention_gradients_under_a_mask(submission, reference, rng, case):
    (dx, grads), (want, want_grads) = _backward(submission, reference, rng, case, _mask(rng, case[1]))
    expect_close(dx, want, tolerance.gradient(want, 100), what="dx")
    _expect_grads(grads, want_grads)


@pytest.mark.exercise("self_attention_backward")
@pytest.mark.points(1)
def test_a_self_attention_backward_belongs_to_its_own_forward(submission, reference, rng):
    """Float32, twice, and after another forward: nothing is kept between calls but the cache."""
    x, params = _layer(rng, *CASES[0])
    dout = rng.standard_normal((2, 5, 7))
    want, want_grads = reference.self_attention_backward(dout, reference.self_attention_forward(x, params)[1])
    _, cache = submission.self_attention_forward(*_narrow(x, params))
    submission.self_attention_forward(*_narrow(*_layer(rng, *CASES[0])))
    for _ in range(2):
        dx, grads = submission.self_attention_backward(dout.astype(np.float32), cache)
        expect_close(dx, want, 1e-4 * np.abs(want).max(), what="dx", dtype=np.float32)
        _expect_grads(grads, want_grads, relative=1e-4, dtype=np.float32)


@pytest.mark.exercise("self_attention_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(1, 5, 7), (2, 5, 4), (2, 7, 5), (2, 5, 1)], ids=str)
def test_self_attention_refuses_a_gradient_of_another_shape(submission, rng, shape):
    _, cache = submission.self_attention_forward(*_layer(rng, *CASES[0]))
    expect_raises(submission.self_attention_backward, ValueError, rng.standard_normal(shape), cache)
