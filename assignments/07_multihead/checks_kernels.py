"""Visible checks of the kernels: small numbers worked out by hand, and the interpreter's verdict.

The hidden tests ask more: other sizes, masks, scores far from zero.
"""

import numpy as np
import pytest

from gradschool.grading import expect_close

X = np.float32([[[0, 1, 2, 3], [10, 11, 12, 13]]])
HEADS = np.float32([[[[0, 1], [10, 11]], [[2, 3], [12, 13]]]])


def numbers(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.exercise("split_heads.wgsl")
def test_split_heads_kernel_on_two_heads(kernel):
    got = kernel("split_heads.wgsl", x=X, n_heads=2, d_head=2)
    expect_close(got, HEADS, 0.0, what="out")


@pytest.mark.exercise("split_heads.wgsl")
def test_split_heads_kernel_is_safe(kernel, rng):
    kernel.safety("split_heads.wgsl", x=numbers(rng, 2, 5, 12), n_heads=3, d_head=4)


@pytest.mark.exercise("merge_heads.wgsl")
def test_merge_heads_kernel_on_two_heads(kernel):
    expect_close(kernel("merge_heads.wgsl", x=HEADS), X, 0.0, what="out")


@pytest.mark.exercise("merge_heads.wgsl")
def test_merge_heads_kernel_is_safe(kernel, rng):
    kernel.safety("merge_heads.wgsl", x=numbers(rng, 2, 3, 5, 4))


@pytest.mark.exercise("batched_matmul.wgsl")
def test_batched_matmul_kernel_on_two_products(kernel):
    a, b = np.float32([[[1, 2]], [[3, 4]]]), np.float32([[[5], [6]], [[7], [8]]])
    expect_close(kernel("batched_matmul.wgsl", a=a, b=b), np.float32([[[17]], [[53]]]), 0.0, what="out")


@pytest.mark.exercise("batched_matmul.wgsl")
def test_batched_matmul_kernel_is_safe(kernel, rng):
    kernel.safety("batched_matmul.wgsl", a=numbers(rng, 3, 5, 2), b=numbers(rng, 3, 2, 9))


# Head 0 reads columns 0 and 1: its query fits key 0. Head 1 reads columns 2 and 3: its query fits key 2.
Q = np.float32([[[90, 0, 0, 90]]])
KEYS = np.float32([[[1, 0, 0, 0], [0, 1, 1, 0], [-1, 0, 0, 1]]])
ATTENTION = {"k": KEYS, "v": KEYS, "n_heads": 2, "d_head": 2}


@pytest.mark.exercise("multi_head_attention_forward.wgsl")
def test_attention_kernel_each_head_finds_its_own_key(kernel):
    mask = np.ones((1, 1, 3), np.uint32)
    got = kernel("multi_head_attention_forward.wgsl", q=Q, mask=mask, **ATTENTION)
    expect_close(got, np.float32([[[1, 0, 0, 1]]]), 1e-6, what="out")


@pytest.mark.exercise("multi_head_attention_forward.wgsl")
def test_attention_kernel_averages_what_a_query_of_zeros_may_see(kernel):
    mask = np.uint32([[[1, 0, 1]]])
    got = kernel("multi_head_attention_forward.wgsl", q=0 * Q, mask=mask, **ATTENTION)
    expect_close(got, np.float32([[[0, 0, 0, 0.5]]]), 1e-6, what="out")


@pytest.mark.exercise("multi_head_attention_forward.wgsl")
def test_attention_kernel_gives_zeros_where_nothing_may_be_seen(kernel):
    mask = np.zeros((1, 1, 3), np.uint32)
    got = kernel("multi_head_attention_forward.wgsl", q=Q, mask=mask, **ATTENTION)
    expect_close(got, np.zeros((1, 1, 4), np.float32), 0.0, what="out")


@pytest.mark.exercise("multi_head_attention_forward.wgsl")
def test_attention_kernel_is_safe(kernel, rng):
    q, (k, v) = numbers(rng, 2, 3, 12), numbers(rng, 2, 2, 5, 12)
    mask = np.ones((2, 3, 5), np.uint32)
    kernel.safety("multi_head_attention_forward.wgsl", q=q, k=k, v=v, mask=mask, n_heads=3, d_head=4)


@pytest.mark.exercise("rotary_forward.wgsl")
def test_rotary_kernel_turns_neighbours_together(kernel):
    got = kernel("rotary_forward.wgsl", x=np.float32([[[1, 0, 0, 1]]]), positions=np.int32([2]))
    want = np.float32([[[np.cos(2), np.sin(2), -np.sin(0.02), np.cos(0.02)]]])
    expect_close(got, want, 1e-3, what="out")


@pytest.mark.exercise("rotary_forward.wgsl")
def test_rotary_kernel_is_safe(kernel, rng):
    positions = np.arange(5, dtype=np.int32)
    kernel.safety("rotary_forward.wgsl", x=numbers(rng, 2, 5, 6), positions=positions)
