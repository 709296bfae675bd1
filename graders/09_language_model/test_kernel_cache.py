"""Hidden tests of the kernels that remember: writing to the cache, and one query against it."""

import numpy as np
import pytest

from gradschool.grading import expect_close, tolerance

# (n_batch, max_seq, d_head, position)
PLACES = [
    (1, 1, 1, 0),
    (2, 5, 3, 0),
    (2, 5, 3, 4),
    (3, 7, 5, 2),
    (5, 4, 13, 3),
    (3, 11, 67, 6),
    (1, 3, 257, 1),
]
# (n_batch, max_seq, d_head, length): lengths and widths around workgroups of 32, 64 and 256.
QUERIES = [
    (1, 1, 1, 1),
    (2, 5, 3, 5),
    (3, 7, 4, 2),
    (2, 9, 33, 1),
    (3, 70, 5, 63),
    (2, 67, 7, 64),
    (1, 80, 65, 65),
    (2, 300, 3, 257),
    (1, 40, 131, 17),
]


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.exercise("kv_cache_append.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", PLACES, ids=str)
def test_append_kernel_writes_one_row_of_each_sequence(kernel, rng, case):
    n_batch, max_seq, d_head, position = case
    entry, cache = normal(rng, n_batch, d_head), normal(rng, n_batch, max_seq, d_head)
    want = cache.copy()
    want[:, position] = entry
    got = kernel("kv_cache_append.wgsl", entry=entry, cache=cache, position=position)
    expect_close(got, want, 0.0, what="cache")


@pytest.mark.exercise("kv_cache_append.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("position", [5, 6, 64, 2**31, 2**32 - 1])
def test_append_kernel_writes_nothing_past_a_full_cache(kernel, rng, position):
    entry, cache = normal(rng, 3, 7), normal(rng, 3, 5, 7)
    # A kernel that never writes would pass the case of a full cache: it has to write first.
    want = cache.copy()
    want[:, 1] = entry
    expect_close(
        kernel("kv_cache_append.wgsl", entry=entry, cache=cache, position=1), want, 0.0, what="cache"
    )
    got = kernel("kv_cache_append.wgsl", entry=entry, cache=cache, position=position)
    expect_close(got, cache, 0.0, what="the cache that was full")


@pytest.mark.exercise("kv_cache_append.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(2, 5, 3, 4), (3, 4, 70, 0)], ids=str)
def test_append_kernel_is_safe(kernel, rng, case):
    n_batch, max_seq, d_head, position = case
    arrays = {"entry": normal(rng, n_batch, d_head), "cache": normal(rng, n_batch, max_seq, d_head)}
    kernel.safety("kv_cache_append.wgsl", **arrays, position=position)


def _attended(q, k_cache, v_cache, length):
    """The right answer in float64, and how far float32 may be from it."""
    q, k, v = (array.astype(np.float64) for array in (q, k_cache[:, :length], v_cache[:, :length]))
    d = q.shape[-1]
    scores = np.einsum("bd,btd->bt", q, k) / np.sqrt(d)
    shifted = scores - scores.max(axis=1, keepdims=True)
    attn = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    u = tolerance.U32
    score_error = u * (4 * np.sqrt(d) + 8) * np.einsum("bd,btd->bt", np.abs(q), np.abs(k)) / np.sqrt(d)
    error = attn * (score_error + 3 * u * np.minimum(np.abs(shifted), 88))
    mixed = np.einsum("bt,btd->bd", attn, np.abs(v))
    relative = error.sum(axis=1) + u * (20 + 4 * np.sqrt(length))
    tol = np.einsum("bt,btd->bd", error, np.abs(v)) + mixed * relative[:, None] + tolerance.TINY32
    return np.einsum("bt,btd->bd", attn, v), tol


def _expect_attended(kernel, q, k_cache, v_cache, length, **options):
    """Rows of the caches that are not in use yet hold NaN: nothing of them may come through."""
    k_cache, v_cache = k_cache.copy(), v_cache.copy()
    k_cache[:, length:], v_cache[:, length:] = np.nan, np.nan
    got = kernel("attention_decode.wgsl", q=q, k_cache=k_cache, v_cache=v_cache, length=length, **options)
    want, tol = _attended(q, k_cache, v_cache, length)
    expect_close(got, want, tol, what="out")


def _arrays(rng, n_batch, max_seq, d_head):
    return normal(rng, n_batch, d_head), *(normal(rng, n_batch, max_seq, d_head) for _ in range(2))


@pytest.mark.exercise("attention_decode.wgsl")
@pytest.mark.points(3)
@pytest.mark.parametrize("case", QUERIES, ids=str)
def test_decode_kernel_numbers(kernel, rng, case):
    *shape, length = case
    q, k_cache, v_cache = _arrays(rng, *shape)
    _expect_attended(kernel, 2 * q, k_cache, v_cache, length)


@pytest.mark.exercise("attention_decode.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize(("size", "shift"), [(40, 0), (1, 300), (1, -300), (1, -100_000), (0, 0)], ids=str)
def test_decode_kernel_is_stable(kernel, rng, size, shift):
    """Scores far from 0, all on one side, or all equal."""
    q, k_cache, v_cache = _arrays(rng, 3, 71, 5)
    q[:, 0] = 1
    k_cache = (size * k_cache).astype(np.float32)
    k_cache[..., 0] += shift
    _expect_attended(kernel, q, k_cache, v_cache, 69)


@pytest.mark.exercise("attention_decode.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("length", [1, 5, 70], ids=str)
def test_decode_kernel_bears_the_lowest_scores(kernel, rng, length):
    """Equal scores at the end of the range of f32: the answer is the mean of the values."""
    _, _, v_cache = _arrays(rng, 2, 71, 1)
    q, k_cache = np.ones((2, 1), np.float32), np.full((2, 71, 1), -3.39e38, np.float32)
    got = kernel("attention_decode.wgsl", q=q, k_cache=k_cache, v_cache=v_cache, length=length)
    values = v_cache[:, :length].astype(np.float64)
    tol = tolerance.U32 * (20 + 4 * np.sqrt(length)) * np.abs(values).mean(axis=1)
    expect_close(got, values.mean(axis=1), tol, what="out")


@pytest.mark.exercise("attention_decode.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("late", [0, 31, 70, 141, 259, 299])
def test_decode_kernel_finds_the_one_key_that_matters(kernel, rng, late):
    """One key beats all others by more than exp can bear, wherever it lies."""
    q, k_cache, v_cache = _arrays(rng, 2, 301, 3)
    q[:] = 1
    k_cache[:, late] = 100
    _expect_attended(kernel, q, k_cache, v_cache, 300)


@pytest.mark.exercise("attention_decode.wgsl")
@pytest.mark.points(1)
def test_decode_kernel_takes_the_longest_text(kernel, rng):
    _expect_attended(kernel, *_arrays(rng, 1, 2050, 2), 2048)


@pytest.mark.exercise("attention_decode.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(2, 5, 3, 3), (1, 150, 5, 131), (2, 9, 70, 7)], ids=str)
def test_decode_kernel_is_safe(kernel, rng, case):
    *shape, length = case
    q, k_cache, v_cache = _arrays(rng, *shape)
    kernel.safety("attention_decode.wgsl", q=q, k_cache=k_cache, v_cache=v_cache, length=length)
