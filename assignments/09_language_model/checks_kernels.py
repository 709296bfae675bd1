"""Visible checks of the kernels: small numbers, and the interpreter's verdict.

The hidden tests ask more: other sizes, longer texts, rows of impossible scores.
"""

import numpy as np
import pytest

from gradschool.grading import expect_close


@pytest.mark.exercise("adamw_step.wgsl")
def test_adamw_kernel_takes_a_step_by_hand(kernel):
    zeros = np.zeros(2, np.float32)
    numbers = {"lr": 0.5, "beta1": 0.5, "beta2": 0.75, "eps": 0.0, "weight_decay": 0.5}
    corrections = {"m_correction": 0.5, "v_correction": 0.25}
    got = kernel(
        "adamw_step.wgsl",
        w=np.float32([1, 2]),
        m=zeros,
        v=zeros,
        grad=np.float32([4, -8]),
        **numbers,
        **corrections,
    )
    expect_close(got["m"], np.float32([2, -4]), 1e-6, what="m")
    expect_close(got["v"], np.float32([4, 16]), 1e-5, what="v")
    expect_close(got["w"], np.float32([0.25, 2.0]), 1e-5, what="w")


@pytest.mark.exercise("adamw_step.wgsl")
def test_adamw_kernel_is_safe(kernel, rng):
    arrays = {name: rng.random(70).astype(np.float32) for name in ("w", "m", "v", "grad")}
    numbers = {"lr": 0.5, "beta1": 0.5, "beta2": 0.75, "eps": 0.0, "weight_decay": 0.5}
    kernel.safety("adamw_step.wgsl", **arrays, **numbers, m_correction=0.5, v_correction=0.25)


@pytest.mark.exercise("kv_cache_append.wgsl")
def test_append_kernel_writes_row_one_of_two_sequences(kernel):
    cache = np.zeros((2, 3, 2), np.float32)
    got = kernel("kv_cache_append.wgsl", entry=np.float32([[1, 2], [3, 4]]), cache=cache, position=1)
    want = np.float32([[[0, 0], [1, 2], [0, 0]], [[0, 0], [3, 4], [0, 0]]])
    expect_close(got, want, 0.0, what="cache")


@pytest.mark.exercise("kv_cache_append.wgsl")
def test_append_kernel_is_safe(kernel, rng):
    entry, cache = rng.random((3, 37)).astype(np.float32), rng.random((3, 4, 37)).astype(np.float32)
    kernel.safety("kv_cache_append.wgsl", entry=entry, cache=cache, position=3)


@pytest.mark.exercise("attention_decode.wgsl")
def test_decode_kernel_averages_what_it_cannot_tell_apart(kernel):
    """A query of zeros scores all keys alike; the third row of the cache is not in use yet."""
    k_cache, v_cache = np.ones((1, 3, 2), np.float32), np.float32([[[1, 5], [3, 7], [1000, 1000]]])
    got = kernel(
        "attention_decode.wgsl", q=np.zeros((1, 2), np.float32), k_cache=k_cache, v_cache=v_cache, length=2
    )
    expect_close(got, np.float32([[2, 6]]), 1e-5, what="out")


@pytest.mark.exercise("attention_decode.wgsl")
def test_decode_kernel_divides_by_the_root_of_d_head(kernel):
    """The scores are 2 ln 3 / sqrt(4) and 0: the first value counts three times."""
    q, v_cache = np.zeros((1, 4), np.float32), np.zeros((1, 2, 4), np.float32)
    k_cache = np.zeros((1, 2, 4), np.float32)
    q[0, 0], k_cache[0, 0, 0], v_cache[0, :, 0] = 2, np.log(3), [4, 8]
    got = kernel("attention_decode.wgsl", q=q, k_cache=k_cache, v_cache=v_cache, length=2)
    expect_close(got, np.float32([[5, 0, 0, 0]]), 1e-5, what="out")


@pytest.mark.exercise("attention_decode.wgsl")
def test_decode_kernel_is_safe(kernel, rng):
    q, caches = rng.random((2, 5)).astype(np.float32), rng.random((2, 2, 90, 5)).astype(np.float32)
    kernel.safety("attention_decode.wgsl", q=q, k_cache=caches[0], v_cache=caches[1], length=70)


@pytest.mark.exercise("argmax_row.wgsl")
def test_argmax_kernel_takes_the_first_of_two(kernel):
    logits = np.float32([[-3, -1, -2, -1], [5, 0, 0, 0]])
    expect_close(kernel("argmax_row.wgsl", logits=logits), np.int32([1, 0]), 0.0, what="out")


@pytest.mark.exercise("argmax_row.wgsl")
def test_argmax_kernel_is_safe(kernel, rng):
    kernel.safety("argmax_row.wgsl", logits=rng.random((3, 70)).astype(np.float32))


@pytest.mark.exercise("top_k_mask.wgsl")
def test_mask_kernel_keeps_two_of_five(kernel):
    got = kernel("top_k_mask.wgsl", logits=np.float32([[1, 3, 2, 3, 3]]), k=2)
    expect_close(got, np.float32([[-np.inf, 3, -np.inf, 3, -np.inf]]), 0.0, what="out")


@pytest.mark.exercise("top_k_mask.wgsl")
def test_mask_kernel_is_safe(kernel, rng):
    kernel.safety("top_k_mask.wgsl", logits=rng.random((5, 37)).astype(np.float32), k=4)
