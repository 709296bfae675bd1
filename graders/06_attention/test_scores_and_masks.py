"""Hidden graders of the scores and of the two masks."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_equal, expect_raises, tolerance

# leading axes, n_queries, n_keys, d_head: all different; one of each; no batch; batch and heads; square.
CASES = [((2,), 5, 7, 4), ((1,), 1, 1, 1), ((), 3, 6, 8), ((2, 3), 5, 4, 6), ((3,), 4, 4, 4), ((), 1, 9, 100)]


def _vectors(rng, lead, n_queries, n_keys, d_head):
    return rng.standard_normal((*lead, n_queries, d_head)), rng.standard_normal((*lead, n_keys, d_head))


@pytest.mark.exercise("attention_scores")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_query_meets_every_key(submission, reference, rng, case):
    q, k = _vectors(rng, *case)
    want = reference.attention_scores(q, k)
    expect_close(submission.attention_scores(q, k), want, 1e-12 * (1 + np.abs(want).max()), what="scores")


@pytest.mark.exercise("attention_scores")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [((2,), 5, 7, 3), ((), 4, 3, 129)], ids=str)
def test_scores_of_float32_are_float32(submission, reference, rng, case):
    q, k = (value.astype(np.float32) for value in _vectors(rng, *case))
    wide = q.astype(np.float64), k.astype(np.float64)
    want = reference.attention_scores(*wide)
    tol = tolerance.matmul(wide[0], wide[1].swapaxes(-1, -2), extra=5) / np.sqrt(case[-1])
    got = submission.attention_scores(q, k)
    expect_close(got, want, tol + 4 * tolerance.U32 * np.abs(want), what="scores", dtype=np.float32)


@pytest.mark.exercise("attention_scores")
@pytest.mark.points(1)
@pytest.mark.parametrize(
    "wrong", ["widths", "batches", "a broadcast batch", "a single query", "a number", "no entries"]
)
def test_queries_and_keys_that_do_not_fit_are_refused(submission, rng, wrong):
    q, k = _vectors(rng, (2,), 5, 7, 4)
    if wrong == "widths":
        k = k[..., :3]
    elif wrong == "batches":
        k = np.concatenate([k, k[:1]])
    elif wrong == "a broadcast batch":
        k = k[:1]
    elif wrong == "a single query":
        q, k = q[0, 0], k[0]
    elif wrong == "a number":
        q, k = q[0], np.array(1.0)
    else:
        q, k = q[..., :0], k[..., :0]
    expect_raises(submission.attention_scores, ValueError, q, k)


@pytest.mark.exercise("causal_mask")
@pytest.mark.points(2)
@pytest.mark.parametrize("seq", [1, 2, 5, 8])
def test_a_position_sees_itself_and_the_past(submission, seq):
    want = np.array([[j <= i for j in range(seq)] for i in range(seq)])
    expect_equal(submission.causal_mask(seq), want, what="mask")


@pytest.mark.exercise("causal_mask")
@pytest.mark.points(1)
@pytest.mark.parametrize("seq", [0, -3])
def test_a_sequence_without_positions_is_refused(submission, seq):
    expect_raises(submission.causal_mask, ValueError, seq)


# Lengths of every size from 0 to the whole sequence, for a batch, for a batch of one, for a grid, for one sequence.
LENGTHS = [([3, 5, 0, 1], 5), ([4], 7), ([[2, 0], [4, 1], [3, 3]], 4), ([1], 1), ([2, 2, 2], 3), (3, 5)]


@pytest.mark.exercise("padding_mask")
@pytest.mark.points(2)
@pytest.mark.parametrize("dtype", [np.int64, np.uint8])
@pytest.mark.parametrize(("lengths", "seq"), LENGTHS, ids=str)
def test_only_the_filling_is_hidden(submission, lengths, seq, dtype):
    lengths = np.array(lengths, dtype)
    want = np.zeros((*lengths.shape, 1, seq), bool)
    for place, length in np.ndenumerate(lengths):
        want[place][0, :length] = True
    expect_equal(submission.padding_mask(lengths, seq), want, what="mask")


@pytest.mark.exercise("padding_mask")
@pytest.mark.points(1)
@pytest.mark.parametrize("lengths", [[3, -1], [2, 6], [1.0, 2.0]], ids=str)
def test_impossible_lengths_are_refused(submission, lengths):
    expect_raises(submission.padding_mask, ValueError, np.array(lengths), 5)
