"""Hidden graders of multi-head attention: values of both sources, masks, gradients."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance
from gradschool.grading.expect import expect

# batch, queries, keys, heads, d_head: all different; one of each; batch equal to heads; one head; equal lengths.
CASES = [(2, 5, 7, 3, 4), (1, 1, 1, 1, 1), (3, 4, 6, 3, 2), (2, 6, 5, 1, 5), (3, 5, 5, 2, 3)]
NAMES = ("wq", "wk", "wv", "wo")


def _layer(rng, case, dtype=np.float64):
    """Return x_q, x_kv, params and n_heads; the scores are a few units apart."""
    batch, n_queries, n_keys, n_heads, d_head = case
    d_model = n_heads * d_head
    params = {name: 1.5 * rng.standard_normal((d_model, d_model)) / np.sqrt(d_model) for name in NAMES}
    x_q, x_kv = (rng.standard_normal((batch, n, d_model)) for n in (n_queries, n_keys))
    params = {name: value.astype(dtype) for name, value in params.items()}
    return x_q.astype(dtype), x_kv.astype(dtype), params, n_heads


def _causal(rng, case):
    return np.tri(case[1], case[2], case[2] - case[1], dtype=bool)


def _padding(rng, case):
    lengths = rng.integers(1, case[2] + 1, case[0])
    lengths[0] = max(1, case[2] - 2)
    return (np.arange(case[2]) < lengths[:, None])[:, None, None]


def _both(rng, case):
    return _padding(rng, case) & _causal(rng, case)


def _per_head(rng, case):
    mask = rng.random((case[0], case[3], case[1], case[2])) < 0.6
    mask[..., 0] = True
    return mask


def _blind(rng, case):
    """Some queries may see nothing at all; one whole sequence among them."""
    mask = rng.random((case[0], 1, case[1], case[2])) < 0.5
    mask[:, :, case[1] // 2] = False
    mask[-1] = False
    return mask


MASKS = [_causal, _padding, _both, _per_head, _blind]
MASKED = [(2, 5, 7, 3, 4), (3, 4, 6, 3, 2)]


@pytest.mark.exercise("multi_head_attention_forward")
@pytest.mark.points(3)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_head_asks_the_other_sequence(submission, reference, rng, case):
    layer = _layer(rng, case)
    out, _ = submission.multi_head_attention_forward(*layer)
    want, _ = reference.multi_head_attention_forward(*layer)
    expect_close(out, want, 1e-12 * np.abs(want).max(), what="out")


@pytest.mark.exercise("multi_head_attention_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", CASES[:3], ids=str)
def test_a_sequence_may_ask_itself(submission, reference, rng, case):
    x, _, params, n_heads = _layer(rng, case)
    out, _ = submission.multi_head_attention_forward(x, x, params, n_heads)
    want, _ = reference.multi_head_attention_forward(x, x, params, n_heads)
    expect_close(out, want, 1e-12 * np.abs(want).max(), what="out")


@pytest.mark.exercise("multi_head_attention_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", MASKED, ids=str)
@pytest.mark.parametrize("make_mask", MASKS)
def test_masks_of_every_shape(submission, reference, rng, make_mask, case):
    layer, mask = _layer(rng, case), make_mask(rng, case)
    out, _ = submission.multi_head_attention_forward(*layer, mask)
    want, _ = reference.multi_head_attention_forward(*layer, mask)
    expect_close(out, want, 1e-12 * np.abs(want).max(), what=f"out with a mask of shape {mask.shape}")


@pytest.mark.exercise("multi_head_attention_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", MASKED, ids=str)
def test_the_cache_shows_the_weights_of_all_heads(submission, reference, rng, case):
    layer, mask = _layer(rng, case), _both(rng, case)
    _, cache = submission.multi_head_attention_forward(*layer, mask)
    _, want = reference.multi_head_attention_forward(*layer, mask)
    expect(isinstance(cache, dict) and "attn" in cache, 'The cache must be a dict with the key "attn".')
    expect_close(cache["attn"], want["attn"], 1e-12, what='cache["attn"]')


def _wide_scores(rng, sign):
    """Scores of several hundred of both signs, and a key behind the mask that would have won."""
    x_q, x_kv, params, n_heads = _layer(rng, CASES[0])
    return 10 * sign * x_q, 10 * x_kv, params, n_heads


def _scores_of_one_sign(rng, sign):
    """All scores lie beyond 5e4 on one side of 0, those of one query far from those of another."""
    x_q, x_kv, params, n_heads = _layer(rng, CASES[0])
    sizes = 100 * (1 + rng.permutation(x_q.shape[1]))[:, None]
    params = {**params, "wq": np.eye(x_q.shape[2]), "wk": sign * np.eye(x_q.shape[2])}
    return sizes + 0.02 * x_q, 300 + 0.02 * x_kv, params, n_heads


@pytest.mark.exercise("multi_head_attention_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("make", [_wide_scores, _scores_of_one_sign])
def test_scores_far_from_zero(submission, reference, rng, make, sign):
    layer, mask = make(rng, sign), _causal(rng, CASES[0])
    out, _ = submission.multi_head_attention_forward(*layer, mask)
    want, _ = reference.multi_head_attention_forward(*layer, mask)
    expect_close(out, want, 1e-12 * np.abs(want).max(), what="out")


@pytest.mark.exercise("multi_head_attention_forward")
@pytest.mark.points(1)
def test_float32_stays_float32(submission, reference, rng):
    layer, mask = _layer(rng, CASES[0], np.float32), _both(rng, CASES[0])
    out, cache = submission.multi_head_attention_forward(*layer, mask)
    x_q, x_kv, params, n_heads = layer
    wide = (
        x_q.astype(np.float64),
        x_kv.astype(np.float64),
        {n: w.astype(np.float64) for n, w in params.items()},
    )
    want, _ = reference.multi_head_attention_forward(*wide, n_heads, mask)
    expect_close(out, want, 200 * tolerance.U32 * np.abs(want).max(), what="out", dtype=np.float32)
    expect(cache["attn"].dtype == np.float32, 'cache["attn"] is not float32, as the inputs are.')


def _wrong(what, rng):
    x_q, x_kv, params, n_heads = _layer(rng, (2, 5, 7, 3, 4))
    mask = None
    if what == "heads":
        n_heads = 5
    elif what == "batch":
        x_kv = np.concatenate([x_kv, x_kv[:1]])
    elif what == "one sequence for a batch":
        x_kv = x_kv[:1]
    elif what == "width":
        x_kv = x_kv[..., :9]
    elif what == "axes":
        x_q, x_kv = x_q[0], x_kv[0]
    elif what == "four axes":
        x_kv = rng.standard_normal((2, 2, 12, 12))
    elif what == "a wq for each sequence":
        params = {**params, "wq": rng.standard_normal((2, 12, 12))}
    elif what == "wo":
        params = {**params, "wo": rng.standard_normal((12, 15))}
    elif what == "wv":
        params = {**params, "wv": rng.standard_normal((12, 6))}
    elif what == "numbers for a mask":
        mask = np.ones((5, 7))
    elif what == "mask of other keys":
        mask = np.ones((5, 6), bool)
    elif what == "mask without an axis for heads":
        mask = np.ones((2, 5, 7), bool)
    elif what == "masks for more sequences":
        x_q, x_kv, mask = x_q[:1], x_kv[:1], np.ones((2, 1, 5, 7), bool)
    return x_q, x_kv, params, n_heads, mask


WRONG = ["heads", "batch", "one sequence for a batch", "width", "axes", "four axes", "a wq for each sequence"]
WRONG += ["wo", "wv", "numbers for a mask", "mask of other keys", "mask without an axis for heads"]
WRONG += ["masks for more sequences"]


@pytest.mark.exercise("multi_head_attention_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_fit_is_refused(submission, rng, what):
    expect_raises(submission.multi_head_attention_forward, ValueError, *_wrong(what, rng))


def _gradients(submission, reference, rng, case, mask=None, dtype=np.float64):
    x_q, x_kv, params, n_heads = _layer(rng, case, dtype)
    dout = rng.standard_normal(x_q.shape).astype(dtype)
    _, cache = submission.multi_head_attention_forward(x_q, x_kv, params, n_heads, mask)
    wide = {name: value.astype(np.float64) for name, value in params.items()}
    _, want_cache = reference.multi_head_attention_forward(
        x_q.astype(np.float64), x_kv.astype(np.float64), wide, n_heads, mask
    )
    want = reference.multi_head_attention_backward(dout.astype(np.float64), want_cache)
    return submission.multi_head_attention_backward(dout, cache), want


def _expect_gradients(got, want, relative=1e-12, dtype=None):
    expect(isinstance(got, tuple | list) and len(got) == 3, "The backward returns dx_q, dx_kv, grads.")
    expect(isinstance(got[2], dict), f"grads is {type(got[2]).__name__}; it should be a dict.")
    expect(
        set(got[2]) == set(NAMES),
        f"grads has the names {sorted(map(str, got[2]))}; expected {sorted(NAMES)}.",
    )
    pairs = {"dx_q": (got[0], want[0]), "dx_kv": (got[1], want[1])}
    pairs |= {name: (got[2][name], want[2][name]) for name in NAMES}
    for name, (value, expected) in pairs.items():
        tol = tolerance.gradient(expected, 100 if relative < 1e-6 else 1e5, relative=relative)
        expect_close(value, expected, tol, what=name, dtype=dtype)


@pytest.mark.exercise("multi_head_attention_backward")
@pytest.mark.points(3)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_of_both_sources_and_all_weights(submission, reference, rng, case):
    _expect_gradients(*_gradients(submission, reference, rng, case))


@pytest.mark.exercise("multi_head_attention_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", MASKED, ids=str)
@pytest.mark.parametrize("make_mask", MASKS)
def test_gradients_under_masks(submission, reference, rng, make_mask, case):
    _expect_gradients(*_gradients(submission, reference, rng, case, make_mask(rng, case)))


@pytest.mark.exercise("multi_head_attention_backward")
@pytest.mark.points(1)
def test_gradients_of_a_float32_layer_are_float32(submission, reference, rng):
    got, want = _gradients(submission, reference, rng, CASES[0], _both(rng, CASES[0]), np.float32)
    _expect_gradients(got, want, 1e-4, np.float32)


@pytest.mark.exercise("multi_head_attention_backward")
@pytest.mark.points(1)
def test_a_backward_belongs_to_its_own_forward(submission, reference, rng):
    """Another forward comes between, and the backward runs twice."""
    layer = _layer(rng, CASES[0])
    dout = rng.standard_normal(layer[0].shape)
    _, cache = submission.multi_head_attention_forward(*layer)
    submission.multi_head_attention_forward(*_layer(rng, CASES[0]))
    want = reference.multi_head_attention_backward(dout, reference.multi_head_attention_forward(*layer)[1])
    for _ in range(2):
        _expect_gradients(submission.multi_head_attention_backward(dout, cache), want)


@pytest.mark.exercise("multi_head_attention_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(1, 5, 12), (2, 7, 12), (2, 5, 1), (5, 12), (1, 2, 5, 12)], ids=str)
def test_an_upstream_gradient_of_another_shape_is_refused(submission, rng, shape):
    _, cache = submission.multi_head_attention_forward(*_layer(rng, CASES[0]))
    expect_raises(submission.multi_head_attention_backward, ValueError, rng.standard_normal(shape), cache)
