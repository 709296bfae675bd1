"""Hidden graders of the embedding: rows by number, and gradients that add up."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance

# The shape of the tokens, n_vocab, d_model.
CASES = [((2, 3), 7, 5), ((6,), 4, 3), ((1, 1), 1, 2), ((2, 3, 2), 5, 1), ((3, 3), 3, 3), ((0,), 4, 2)]


def _lookup(rng, shape, n_vocab, d_model):
    return rng.integers(0, n_vocab, shape), rng.standard_normal((n_vocab, d_model))


@pytest.mark.exercise("embedding_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_token_gets_its_row(submission, reference, rng, case):
    tokens, table = _lookup(rng, *case)
    out, _ = submission.embedding_forward(tokens, table)
    want, _ = reference.embedding_forward(tokens, table)
    expect_close(out, want, tolerance.exact(), what="out")


@pytest.mark.exercise("embedding_forward")
@pytest.mark.points(1)
def test_first_and_last_row_and_repeated_tokens(submission, reference, rng):
    tokens, table = np.array([[0, 6, 6], [6, 0, 3]]), rng.standard_normal((7, 4))
    out, _ = submission.embedding_forward(tokens, table)
    want, _ = reference.embedding_forward(tokens, table)
    expect_close(out, want, tolerance.exact(), what="out")


@pytest.mark.exercise("embedding_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", [np.int32, np.uint8])
def test_the_dtype_is_that_of_the_table(submission, reference, rng, dtype, kind):
    tokens, table = _lookup(rng, (2, 3), 7, 5)
    tokens, table = tokens.astype(kind), table.astype(dtype)
    out, _ = submission.embedding_forward(tokens, table)
    want, _ = reference.embedding_forward(tokens, table)
    expect_close(out, want, tolerance.exact(), what="out", dtype=dtype)


@pytest.mark.exercise("embedding_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("token", [-1, -7, 7, 100])
def test_a_token_outside_the_vocabulary_is_refused(submission, rng, token):
    tokens, table = _lookup(rng, (2, 3), 7, 5)
    tokens[1, 1] = token
    expect_raises(submission.embedding_forward, ValueError, tokens, table)


@pytest.mark.exercise("embedding_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("wrong", ["float tokens", "flat table", "deep table"])
def test_what_is_no_lookup_is_refused(submission, rng, wrong):
    tokens, table = _lookup(rng, (2, 3), 7, 5)
    if wrong == "float tokens":
        tokens = tokens.astype(np.float64)
    elif wrong == "flat table":
        table = table[:, 0]
    else:
        table = table[:, :, None]
    expect_raises(submission.embedding_forward, ValueError, tokens, table)


def _backward(submission, reference, rng, tokens, n_vocab, d_model):
    table = rng.standard_normal((n_vocab, d_model))
    _, cache = submission.embedding_forward(tokens, table)
    dout = 0.5 + rng.standard_normal((*tokens.shape, d_model))
    got = submission.embedding_backward(dout, cache)
    return got, reference.embedding_backward(dout, reference.embedding_forward(tokens, table)[1])


@pytest.mark.exercise("embedding_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_row_gathers_its_gradients(submission, reference, rng, case):
    shape, n_vocab, d_model = case
    tokens = rng.integers(0, n_vocab, shape)
    got, want = _backward(submission, reference, rng, tokens, n_vocab, d_model)
    expect_close(got, want, tolerance.gradient(want, 10), what="dtable")


@pytest.mark.exercise("embedding_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("tokens", [[1, 1, 1, 1], [0, 4, 0, 4, 4], [2, 2, 0, 1, 2]], ids=str)
def test_a_repeated_token_adds_up(submission, reference, rng, tokens):
    got, want = _backward(submission, reference, rng, np.array(tokens), 6, 3)
    expect_close(got, want, tolerance.gradient(want, 10), what="dtable")


@pytest.mark.exercise("embedding_backward")
@pytest.mark.points(1)
def test_one_token_everywhere_in_a_large_batch(submission, reference, rng):
    tokens = np.where(rng.random((9, 11)) < 0.7, 3, rng.integers(0, 5, (9, 11)))
    got, want = _backward(submission, reference, rng, tokens, 5, 4)
    expect_close(got, want, tolerance.gradient(want, 10), what="dtable")


@pytest.mark.exercise("embedding_backward")
@pytest.mark.points(1)
def test_gradients_of_float32_are_float32_in_embedding(submission, reference, rng):
    tokens, table = rng.integers(0, 4, (3, 5)), rng.standard_normal((4, 3)).astype(np.float32)
    _, cache = submission.embedding_forward(tokens, table)
    dout = rng.standard_normal((3, 5, 3)).astype(np.float32)
    got = submission.embedding_backward(dout, cache)
    want = reference.embedding_backward(
        dout.astype(np.float64), reference.embedding_forward(tokens, table)[1]
    )
    expect_close(got, want, 1e-5, what="dtable", dtype=np.float32)


@pytest.mark.exercise("embedding_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 1), (1, 3, 5)], ids=str)
def test_a_gradient_of_another_shape_is_refused_in_embedding(submission, rng, shape):
    _, cache = submission.embedding_forward(*_lookup(rng, (2, 3), 7, 5))
    expect_raises(submission.embedding_backward, ValueError, rng.standard_normal(shape), cache)
