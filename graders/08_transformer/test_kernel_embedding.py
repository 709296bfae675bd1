"""Hidden tests of the embedding kernels: every row, repeated tokens, strange tokens, safety."""

import numpy as np
import pytest

from gradschool.grading import expect_close, tolerance

# n_tokens, n_vocab, d_model: ones, all different in both orders, a full and a long vocabulary.
CASES = [(1, 1, 1), (7, 3, 5), (3, 7, 5), (13, 11, 5), (64, 2, 1), (65, 5, 3), (4, 70, 3), (31, 9, 37)]


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def drawn(rng, n_tokens, n_vocab):
    tokens = rng.integers(0, n_vocab, n_tokens).astype(np.int32)
    tokens[-1] = n_vocab - 1
    return tokens


@pytest.mark.exercise("embedding_forward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_embedding_forward_kernel_numbers(kernel, rng, case):
    n_tokens, n_vocab, d_model = case
    tokens, table = drawn(rng, n_tokens, n_vocab), normal(rng, n_vocab, d_model)
    want = table[tokens].astype(np.float64)
    expect_close(kernel("embedding_forward.wgsl", tokens=tokens, table=table), want, 0.0, what="out")


@pytest.mark.exercise("embedding_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("strange", [-1, -5, 5, 1_000_000], ids=str)
def test_embedding_forward_kernel_on_strange_tokens(kernel, rng, strange):
    tokens, table = drawn(rng, 30, 5), 1 + np.abs(normal(rng, 5, 3))
    tokens[::3] = strange
    inside = (tokens >= 0) & (tokens < 5)
    want = np.where(inside[:, None], table[np.where(inside, tokens, 0)], 0).astype(np.float64)
    expect_close(kernel("embedding_forward.wgsl", tokens=tokens, table=table), want, 0.0, what="out")


@pytest.mark.exercise("embedding_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(5, 3, 2), (31, 9, 5)], ids=str)
def test_embedding_forward_kernel_is_safe(kernel, rng, case):
    n_tokens, n_vocab, d_model = case
    tokens = drawn(rng, n_tokens, n_vocab)
    kernel.safety("embedding_forward.wgsl", tokens=tokens, table=normal(rng, n_vocab, d_model))


def expect_backward(kernel, tokens, dout, n_vocab):
    got = kernel("embedding_backward.wgsl", tokens=tokens, dout=dout, n_vocab=n_vocab)
    one_hot = (tokens[:, None] == np.arange(n_vocab)).astype(np.float64)
    want = one_hot.T @ dout.astype(np.float64)
    # A row is a sum of as many terms as its token has places, in any order.
    size = one_hot.T @ np.abs(dout.astype(np.float64))
    growth = np.minimum(one_hot.sum(axis=0), 4 * np.sqrt(one_hot.sum(axis=0)) + 4)[:, None]
    expect_close(got, want, tolerance.U32 * growth * size, what="dtable")


@pytest.mark.exercise("embedding_backward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_embedding_backward_kernel_numbers(kernel, rng, case):
    n_tokens, n_vocab, d_model = case
    expect_backward(kernel, drawn(rng, n_tokens, n_vocab), normal(rng, n_tokens, d_model), n_vocab)


@pytest.mark.exercise("embedding_backward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("n_tokens", [2, 65, 300])
def test_embedding_backward_kernel_on_one_token_everywhere(kernel, rng, n_tokens):
    tokens = np.where(rng.random(n_tokens) < 0.8, 2, drawn(rng, n_tokens, 4)).astype(np.int32)
    expect_backward(kernel, tokens, 1 + normal(rng, n_tokens, 3), 4)


@pytest.mark.exercise("embedding_backward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("strange", [-1, 5], ids=str)
def test_embedding_backward_kernel_on_strange_tokens(kernel, rng, strange):
    tokens = drawn(rng, 30, 5)
    tokens[::3] = strange
    expect_backward(kernel, tokens, 1 + normal(rng, 30, 3), 5)


@pytest.mark.exercise("embedding_backward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(5, 3, 2), (31, 29, 5)], ids=str)
def test_embedding_backward_kernel_is_safe(kernel, rng, case):
    n_tokens, n_vocab, d_model = case
    tokens, dout = drawn(rng, n_tokens, n_vocab), normal(rng, n_tokens, d_model)
    # A place past the last one holds no token, so no result would show that it was looked at.
    kernel.safety("embedding_backward.wgsl", guard_reads=True, tokens=tokens, dout=dout, n_vocab=n_vocab)
