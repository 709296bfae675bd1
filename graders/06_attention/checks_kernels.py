"""Visible checks of the kernels: small numbers worked out by hand, and the interpreter's verdict.

The hidden tests ask more: other sizes, extreme scores, sums that must be exact.
"""

import numpy as np
import pytest

from gradschool.grading import expect_close

# Two items, two queries, three keys, vectors of four: each item has its own.
Q = np.float32([[[1, 0, 0, 0], [0, 2, 0, 0]], [[0, 0, 1, 0], [1, 1, 1, 1]]])
K = np.float32([[[1, 1, 1, 1], [3, 5, 0, 0], [0, -1, 0, 0]], [[2, 0, 4, 0], [0, 0, 0, 6], [1, 1, 1, 1]]])
V = np.float32([[[1, 2], [3, 4], [5, 6]], [[7, 8], [9, 10], [11, 12]]])
ATTN = np.float32([[[0.5, 0.5, 0], [0, 0, 1]], [[0, 1, 0], [0.25, 0.25, 0.5]]])
DOUT = np.float32([[[1, 0], [0, 1]], [[2, 0], [0, 4]]])
DSCORES = np.float32([[[1, -1, 0], [0, 2, -2]], [[0, 0, 0], [4, 0, -4]]])


def numbers(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.exercise("attention_scores.wgsl")
def test_scores_kernel_on_two_items(kernel):
    got = kernel("attention_scores.wgsl", q=Q, k=K)
    want = [[[0.5, 1.5, 0], [1, 5, -1]], [[2, 0, 0.5], [3, 3, 2]]]
    expect_close(got, np.float32(want), 1e-5, what="scores")


@pytest.mark.exercise("attention_scores.wgsl")
def test_scores_kernel_on_odd_sizes_is_safe(kernel, rng):
    kernel.safety("attention_scores.wgsl", q=numbers(rng, 2, 3, 5), k=numbers(rng, 2, 9, 5))


@pytest.mark.exercise("masked_softmax_forward.wgsl")
def test_masked_softmax_kernel_on_two_rows(kernel):
    scores = np.log(np.float32([[[1, 3, 5], [1, 1, 1]]]))
    mask = np.uint32([[[1, 1, 0], [0, 0, 0]]])
    got = kernel("masked_softmax_forward.wgsl", scores=scores, mask=mask)
    expect_close(got, np.float32([[[0.25, 0.75, 0], [0, 0, 0]]]), 1e-5, what="attn")


@pytest.mark.exercise("masked_softmax_forward.wgsl")
def test_masked_softmax_kernel_shares_masks(kernel):
    mask = np.uint32([[[1, 0]], [[0, 1]]])
    got = kernel("masked_softmax_forward.wgsl", scores=np.zeros((4, 1, 2), np.float32), mask=mask)
    want = np.float32([[[1, 0]], [[1, 0]], [[0, 1]], [[0, 1]]])
    expect_close(got, want, 1e-6, what="attn of 4 items with 2 masks")


@pytest.mark.exercise("masked_softmax_forward.wgsl")
def test_masked_softmax_kernel_has_no_hazard(kernel, rng):
    mask = (rng.random((1, 2, 70)) < 0.5).astype(np.uint32)
    kernel.safety("masked_softmax_forward.wgsl", scores=numbers(rng, 2, 2, 70), mask=mask)


@pytest.mark.exercise("masked_softmax_backward.wgsl")
def test_masked_softmax_backward_kernel_on_two_items(kernel):
    dattn = np.float32([[[1, 0, 7], [1, 2, 3]], [[1, 2, 3], [4, 0, 2]]])
    got = kernel("masked_softmax_backward.wgsl", dattn=dattn, attn=ATTN)
    want = [[[0.25, -0.25, 0], [0, 0, 0]], [[0, 0, 0], [0.5, -0.5, 0]]]
    expect_close(got, np.float32(want), 1e-5, what="dscores")


@pytest.mark.exercise("masked_softmax_backward.wgsl")
def test_masked_softmax_backward_kernel_has_no_hazard(kernel, rng):
    kernel.safety("masked_softmax_backward.wgsl", dattn=numbers(rng, 2, 2, 70), attn=numbers(rng, 2, 2, 70))


@pytest.mark.exercise("attention_output.wgsl")
def test_output_kernel_on_two_items(kernel):
    got = kernel("attention_output.wgsl", attn=ATTN, v=V)
    expect_close(got, np.float32([[[2, 3], [5, 6]], [[9, 10], [9.5, 10.5]]]), 1e-5, what="out")


@pytest.mark.exercise("attention_output.wgsl")
def test_output_kernel_on_odd_sizes_is_safe(kernel, rng):
    kernel.safety("attention_output.wgsl", attn=numbers(rng, 2, 3, 9), v=numbers(rng, 2, 9, 5))


@pytest.mark.exercise("attention_backward_attn.wgsl")
def test_dattn_kernel_on_two_items(kernel):
    got = kernel("attention_backward_attn.wgsl", dout=DOUT, v=V)
    expect_close(got, np.float32([[[1, 3, 5], [2, 4, 6]], [[14, 18, 22], [32, 40, 48]]]), 1e-5, what="dattn")


@pytest.mark.exercise("attention_backward_attn.wgsl")
def test_dattn_kernel_on_odd_sizes_is_safe(kernel, rng):
    kernel.safety("attention_backward_attn.wgsl", dout=numbers(rng, 2, 3, 5), v=numbers(rng, 2, 9, 5))


@pytest.mark.exercise("attention_backward_q.wgsl")
def test_dq_kernel_on_two_items(kernel):
    got = kernel("attention_backward_q.wgsl", dscores=DSCORES, k=K)
    want = [[[-1, -2, 0.5, 0.5], [3, 6, 0, 0]], [[0, 0, 0, 0], [2, -2, 6, -2]]]
    expect_close(got, np.float32(want), 1e-5, what="dq")


@pytest.mark.exercise("attention_backward_q.wgsl")
def test_dq_kernel_on_odd_sizes_is_safe(kernel, rng):
    kernel.safety("attention_backward_q.wgsl", dscores=numbers(rng, 2, 3, 9), k=numbers(rng, 2, 9, 5))


@pytest.mark.exercise("attention_backward_k.wgsl")
def test_dk_kernel_on_two_items(kernel):
    got = kernel("attention_backward_k.wgsl", dscores=DSCORES, q=Q)
    want = [[[0.5, 0, 0, 0], [-0.5, 2, 0, 0], [0, -2, 0, 0]], [[2, 2, 2, 2], [0, 0, 0, 0], [-2, -2, -2, -2]]]
    expect_close(got, np.float32(want), 1e-5, what="dk")


@pytest.mark.exercise("attention_backward_k.wgsl")
def test_dk_kernel_on_odd_sizes_is_safe(kernel, rng):
    kernel.safety("attention_backward_k.wgsl", dscores=numbers(rng, 2, 3, 9), q=numbers(rng, 2, 3, 5))


@pytest.mark.exercise("attention_backward_v.wgsl")
def test_dv_kernel_on_two_items(kernel):
    got = kernel("attention_backward_v.wgsl", attn=ATTN, dout=DOUT)
    want = [[[0.5, 0], [0.5, 0], [0, 1]], [[0, 1], [2, 1], [0, 2]]]
    expect_close(got, np.float32(want), 1e-5, what="dv")


@pytest.mark.exercise("attention_backward_v.wgsl")
def test_dv_kernel_on_odd_sizes_is_safe(kernel, rng):
    kernel.safety("attention_backward_v.wgsl", attn=numbers(rng, 2, 3, 9), dout=numbers(rng, 2, 3, 5))
