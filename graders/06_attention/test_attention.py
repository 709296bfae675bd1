"""Hidden graders of attention: values, masks, what the cache shows, gradients."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance
from gradschool.grading.expect import expect

# leading axes, n_queries, n_keys, d_head, d_v: all different; one of each; no batch; heads; square; more queries.
CASES = [
    ((2,), 5, 7, 4, 6),
    ((1,), 1, 1, 1, 1),
    ((), 3, 6, 8, 2),
    ((2, 3), 5, 4, 3, 6),
    ((3,), 4, 4, 4, 4),
    ((2,), 9, 2, 5, 3),
]
NAMES = ("dq", "dk", "dv")


def _mask_shapes(lead, n_queries, n_keys):
    ones = (1,) * len(lead)
    return [(n_queries, n_keys), (*lead, 1, n_keys), (*ones, n_queries, n_keys), (*lead, n_queries, n_keys)]


def _vectors(rng, lead, n_queries, n_keys, d_head, d_v):
    shapes = ((n_queries, d_head), (n_keys, d_head), (n_keys, d_v))
    return [2 * rng.standard_normal((*lead, *shape)) for shape in shapes]


def _mask(rng, shape, dead=False):
    mask = rng.random(shape) < 0.6
    mask[..., -1] = True
    if dead:
        mask.reshape(-1, shape[-1])[-1] = False
    return mask


def _expect(submission, reference, vectors, mask, help=""):
    out, cache = submission.attention_forward(*vectors, mask)
    want, want_cache = reference.attention_forward(*vectors, mask)
    expect_close(out, want, 1e-11 * (1 + np.abs(want).max()), what="out", help=help)
    return cache, want_cache


@pytest.mark.exercise("attention_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_query_gets_a_mean_of_values(submission, reference, rng, case):
    vectors = _vectors(rng, *case)
    out, _ = submission.attention_forward(*vectors)
    want, _ = reference.attention_forward(*vectors)
    expect_close(out, want, 1e-11 * (1 + np.abs(want).max()), what="out")


@pytest.mark.exercise("attention_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize("dead", [False, True])
@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("case", [CASES[0], CASES[3]], ids=str)
def test_masks_of_every_shape_are_obeyed(submission, reference, rng, case, place, dead):
    shape = _mask_shapes(*case[:3])[place]
    _expect(submission, reference, _vectors(rng, *case), _mask(rng, shape, dead))


@pytest.mark.exercise("attention_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("size", [1.0, 100.0])
def test_no_forbidden_key_is_looked_at(submission, reference, rng, size):
    """With `size` 100 every allowed score lies near -1e5."""
    q, k, v = _vectors(rng, (2,), 5, 7, 4, 6)
    if size > 1:
        q, k = np.abs(q) + 5 * size, -np.abs(k) - size
    _expect(submission, reference, [q, k, v], _mask(rng, (2, 5, 7)))


@pytest.mark.exercise("attention_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [CASES[0], CASES[3]], ids=str)
def test_the_weights_are_in_the_cache(submission, reference, rng, case):
    mask = _mask(rng, case[1:3], dead=True)
    cache, want = _expect(submission, reference, _vectors(rng, *case), mask)
    expect(isinstance(cache, dict) and "attn" in cache, "The cache is no dict with the key 'attn'.")
    expect_close(cache["attn"], want["attn"], 1e-11, what="cache['attn']")


@pytest.mark.exercise("attention_forward")
@pytest.mark.points(1)
def test_attention_in_float32_stays_in_float32(submission, reference, rng):
    vectors = [value.astype(np.float32) for value in _vectors(rng, (2,), 5, 7, 4, 6)]
    mask = _mask(rng, (5, 7), dead=True)
    want, want_cache = reference.attention_forward(*(value.astype(np.float64) for value in vectors), mask)
    out, cache = submission.attention_forward(*vectors, mask)
    expect_close(out, want, 3e-5, what="out", dtype=np.float32)
    expect_close(cache["attn"], want_cache["attn"], 1e-5, what="cache['attn']", dtype=np.float32)


@pytest.mark.exercise("attention_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("wrong", ["values", "value batch", "one value", "widths", "mask", "mask numbers"])
def test_arrays_that_do_not_fit_are_refused(submission, rng, wrong):
    q, k, v = _vectors(rng, (2,), 5, 7, 4, 6)
    mask = _mask(rng, (5, 7))
    if wrong == "values":
        v = v[:, :6]
    elif wrong == "value batch":
        v = v[:1]
    elif wrong == "one value":
        v = v[0, 0]
    elif wrong == "widths":
        k = k[..., :3]
    elif wrong == "mask":
        mask = mask.T
    else:
        mask = mask.astype(np.int64)
    expect_raises(submission.attention_forward, ValueError, q, k, v, mask)


def _backward(submission, reference, rng, case, mask=None):
    vectors = _vectors(rng, *case)
    out, want_cache = reference.attention_forward(*vectors, mask)
    dout = 0.5 + rng.standard_normal(out.shape)
    _, cache = submission.attention_forward(*vectors, mask)
    got = submission.attention_backward(dout, cache)
    return got, reference.attention_backward(dout, want_cache)


@pytest.mark.exercise("attention_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_of_queries_keys_and_values(submission, reference, rng, case, name):
    got, want = _backward(submission, reference, rng, case)
    place = NAMES.index(name)
    expect_close(got[place], want[place], tolerance.gradient(want[place], 10), what=name)


@pytest.mark.exercise("attention_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("case", [CASES[0], CASES[3]], ids=str)
def test_gradients_under_masks(submission, reference, rng, case, place):
    mask = _mask(rng, _mask_shapes(*case[:3])[place], dead=True)
    got, want = _backward(submission, reference, rng, case, mask)
    for name, value, expected in zip(NAMES, got, want, strict=True):
        expect_close(value, expected, tolerance.gradient(expected, 10), what=name)


@pytest.mark.exercise("attention_backward")
@pytest.mark.points(1)
def test_a_key_nobody_may_see_gets_no_gradient(submission, reference, rng):
    mask = _mask(rng, (5, 7))
    mask[:, 2] = False
    mask[3] = False
    got, _ = _backward(submission, reference, rng, CASES[0], mask)
    for name, value in (
        ("dq of a query that sees nothing", got[0][:, 3]),
        ("dk", got[1][:, 2]),
        ("dv", got[2][:, 2]),
    ):
        expect_close(value, np.zeros_like(value), 0.0, what=name)


@pytest.mark.exercise("attention_backward")
@pytest.mark.points(1)
def test_an_attention_backward_belongs_to_its_own_forward(submission, reference, rng):
    """Float32, twice, and after another forward: nothing is kept between calls but the cache."""
    vectors, others = _vectors(rng, *CASES[0]), _vectors(rng, *CASES[0])
    dout, mask = rng.standard_normal((2, 5, 6)), _mask(rng, (5, 7), dead=True)
    want = reference.attention_backward(dout, reference.attention_forward(*vectors, mask)[1])
    narrow = [[value.astype(np.float32) for value in some] for some in (vectors, others)]
    _, cache = submission.attention_forward(*narrow[0], mask)
    submission.attention_forward(*narrow[1], mask)
    for _ in range(2):
        got = submission.attention_backward(dout.astype(np.float32), cache)
        for value, expected, name in zip(got, want, NAMES, strict=True):
            expect_close(value, expected, 1e-4 * np.abs(expected).max(), what=name, dtype=np.float32)


@pytest.mark.exercise("attention_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(2, 7, 6), (1, 5, 6), (2, 5, 1), (5, 6)], ids=str)
def test_attention_refuses_a_gradient_of_another_shape(submission, rng, shape):
    _, cache = submission.attention_forward(*_vectors(rng, *CASES[0]))
    expect_raises(submission.attention_backward, ValueError, rng.standard_normal(shape), cache)
