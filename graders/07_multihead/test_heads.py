"""Hidden graders of cutting the width into heads and of joining them again: numbers only move."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance
from gradschool.grading.expect import expect

# leading axes, seq, n_heads, d_head: all different; one of each; batch equal to heads; none and two leading axes.
CASES = [((2,), 5, 3, 4), ((1,), 1, 1, 1), ((3,), 4, 3, 2), ((), 7, 2, 5), ((2, 3), 4, 5, 1), ((4,), 2, 1, 6)]


def _wide(rng, case):
    batch, seq, n_heads, d_head = case
    return rng.standard_normal((*batch, seq, n_heads * d_head))


def _cut(rng, case):
    batch, seq, n_heads, d_head = case
    return rng.standard_normal((*batch, n_heads, seq, d_head))


@pytest.mark.exercise("split_heads")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_head_gets_its_own_columns(submission, reference, rng, case):
    x = _wide(rng, case)
    got = submission.split_heads(x, case[2])
    expect_close(got, reference.split_heads(x, case[2]), tolerance.exact(), what="out")


@pytest.mark.exercise("split_heads")
@pytest.mark.points(1)
def test_splitting_keeps_float32_and_takes_any_memory_layout(submission, reference, rng):
    x = rng.standard_normal((7, 2, 12)).astype(np.float32).swapaxes(0, 1)
    got = submission.split_heads(x, 4)
    expect_close(got, reference.split_heads(x, 4), tolerance.exact(), what="out", dtype=np.float32)


@pytest.mark.exercise("split_heads")
@pytest.mark.points(1)
@pytest.mark.parametrize("n_heads", [3, 4, 20, 0, -2])
def test_heads_that_do_not_divide_the_width_are_refused(submission, rng, n_heads):
    expect_raises(submission.split_heads, ValueError, rng.standard_normal((2, 5, 10)), n_heads)


@pytest.mark.exercise("split_heads")
@pytest.mark.points(1)
def test_a_vector_has_no_positions_to_split(submission, rng):
    expect_raises(submission.split_heads, ValueError, rng.standard_normal(6), 2)


@pytest.mark.exercise("merge_heads")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_heads_lie_side_by_side(submission, reference, rng, case):
    x = _cut(rng, case)
    expect_close(submission.merge_heads(x), reference.merge_heads(x), tolerance.exact(), what="out")


@pytest.mark.exercise("merge_heads")
@pytest.mark.points(1)
def test_merging_keeps_float32_and_takes_any_memory_layout(submission, reference, rng):
    x = rng.standard_normal((2, 7, 3, 4)).astype(np.float32).swapaxes(1, 2)
    got = submission.merge_heads(x)
    expect_close(got, reference.merge_heads(x), tolerance.exact(), what="out", dtype=np.float32)


@pytest.mark.exercise("merge_heads")
@pytest.mark.points(1)
def test_merging_undoes_splitting(submission, reference, rng):
    """What the right split makes goes in; the sequence must come out as it was."""
    x = _wide(rng, ((2,), 5, 3, 4))
    got = submission.merge_heads(np.ascontiguousarray(reference.split_heads(x, 3)))
    expect_close(got, x, tolerance.exact(), what="merge_heads of split heads")


@pytest.mark.exercise("merge_heads")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(5, 4), (6,)], ids=str)
def test_merging_needs_heads_positions_and_columns(submission, rng, shape):
    expect_raises(submission.merge_heads, ValueError, rng.standard_normal(shape))


@pytest.mark.exercise("merge_heads")
@pytest.mark.points(1)
def test_merging_returns_an_array_of_three_axes_for_a_batch(submission, rng):
    got = submission.merge_heads(_cut(rng, ((3,), 5, 3, 2)))
    shape = np.shape(got)
    expect(shape == (3, 5, 6), f"(3, 3, 5, 2), heads before positions, becomes {shape}; expected (3, 5, 6).")
