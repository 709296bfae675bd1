"""Hidden graders of the two ways to tell the order: waves that are added, pairs that turn."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance
from gradschool.grading.expect import expect

# seq, d_model: even and odd widths, one of each, far positions.
TABLES = [(5, 8), (7, 5), (1, 1), (4, 1), (9, 2), (6, 3), (150, 12)]


@pytest.mark.exercise("sinusoidal_positions")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", [case for case in TABLES if case[1] % 2 == 0], ids=str)
def test_sines_and_cosines_take_turns(submission, reference, case):
    got = submission.sinusoidal_positions(*case)
    expect_close(got, reference.sinusoidal_positions(*case), 1e-12 * case[0], what="out")


@pytest.mark.exercise("sinusoidal_positions")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [case for case in TABLES if case[1] % 2 == 1], ids=str)
def test_an_odd_width_ends_in_a_sine(submission, reference, case):
    got = submission.sinusoidal_positions(*case)
    expect_close(got, reference.sinusoidal_positions(*case), 1e-12 * case[0], what="out")


@pytest.mark.exercise("sinusoidal_positions")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(0, 4), (4, 0), (-1, 4), (4, -2)], ids=str)
def test_there_is_no_table_without_rows_or_columns(submission, case):
    expect_raises(submission.sinusoidal_positions, ValueError, *case)


# leading axes, positions, d_head
TURNS = [
    ((2, 3), (0, 1, 2, 3, 4), 4),
    ((), (3, 7, 8), 6),
    ((4,), (5,), 2),
    ((2,), (-4, 0, 1000, 2, 2), 10),
    ((1, 1), (0,), 2),
]


def _turn(rng, case, dtype=np.float64):
    batch, positions, d_head = case
    x = rng.standard_normal((*batch, len(positions), d_head)).astype(dtype)
    return x, np.array(positions)


@pytest.mark.exercise("rotary_forward")
@pytest.mark.points(3)
@pytest.mark.parametrize("case", TURNS, ids=str)
def test_each_pair_turns_by_its_angle(submission, reference, rng, case):
    x, positions = _turn(rng, case)
    got = submission.rotary_forward(x, positions)
    expect_close(got, reference.rotary_forward(x, positions), 1e-11, what="out")


@pytest.mark.exercise("rotary_forward")
@pytest.mark.points(1)
def test_scores_depend_on_the_distance_only_and_norms_stay(submission, rng):
    q, k = rng.standard_normal((2, 1, 8))
    q, k = (np.repeat(value, 6, axis=0) for value in (q, k))
    places = np.array([0, 1, 4, 9, 30, 57])
    turned_q = submission.rotary_forward(q, places + 3)
    turned_k = submission.rotary_forward(k, places)
    moved_q = submission.rotary_forward(q, places + 20)
    moved_k = submission.rotary_forward(k, places + 17)
    for value in (turned_q, turned_k, moved_q, moved_k):
        fits = isinstance(value, np.ndarray) and value.shape == q.shape
        expect(fits, f"x of shape {q.shape} becomes {np.shape(value)}; turning keeps the shape.")
    scores, moved = turned_q @ turned_k.T, moved_q @ moved_k.T
    expect_close(moved, scores, 1e-12, what="the scores after all positions moved on by 17")
    expect_close(np.diagonal(scores), np.full(6, scores[0, 0]), 1e-12, what="the scores at distance 3")
    norms = np.linalg.norm(turned_q, axis=-1)
    expect_close(norms, np.linalg.norm(q, axis=-1), 1e-12, what="the norms of the turned vectors")


@pytest.mark.exercise("rotary_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", TURNS[:2], ids=str)
def test_turning_keeps_float32(submission, reference, rng, case):
    x, positions = _turn(rng, case, np.float32)
    got = submission.rotary_forward(x, positions)
    want = reference.rotary_forward(x.astype(np.float64), positions)
    # Angles of a few radians, known to a few units of their own size.
    expect_close(got, want, 60 * tolerance.U32 * np.abs(x).max(), what="out", dtype=np.float32)


BAD = {
    "odd width": ((3, 5), 3),
    "one axis": ((6,), 6),
    "too few positions": ((2, 3, 4), 2),
    "one position for all": ((2, 3, 4), 1),
    "too many positions": ((2, 3, 4), 4),
}


@pytest.mark.exercise("rotary_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_turned_is_refused(submission, rng, what):
    shape, n_positions = BAD[what]
    expect_raises(submission.rotary_forward, ValueError, rng.standard_normal(shape), np.arange(n_positions))


@pytest.mark.exercise("rotary_forward")
@pytest.mark.points(1)
def test_a_position_per_row_of_the_batch_is_refused(submission, rng):
    expect_raises(
        submission.rotary_forward, ValueError, rng.standard_normal((2, 3, 4)), np.arange(6).reshape(2, 3)
    )


@pytest.mark.exercise("rotary_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize(
    ("case", "dtype"), [*((case, np.int64) for case in TURNS), (TURNS[1], np.uint8)], ids=str
)
def test_the_gradient_turns_back(submission, reference, rng, case, dtype):
    dout, positions = _turn(rng, case)
    positions = positions.astype(dtype)
    got = submission.rotary_backward(dout, positions)
    expect_close(got, reference.rotary_backward(dout, positions), 1e-11, what="dx")


@pytest.mark.exercise("rotary_backward")
@pytest.mark.points(1)
def test_the_gradient_keeps_float32(submission, reference, rng):
    dout, positions = _turn(rng, TURNS[0], np.float32)
    got = submission.rotary_backward(dout, positions)
    want = reference.rotary_backward(dout.astype(np.float64), positions)
    expect_close(got, want, 60 * tolerance.U32 * np.abs(dout).max(), what="dx", dtype=np.float32)


@pytest.mark.exercise("rotary_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("what", BAD)
def test_a_gradient_that_cannot_be_turned_is_refused(submission, rng, what):
    shape, n_positions = BAD[what]
    expect_raises(submission.rotary_backward, ValueError, rng.standard_normal(shape), np.arange(n_positions))
