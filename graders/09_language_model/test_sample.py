"""Hidden graders of sampling: which position speaks, which tokens may come, and how often they do."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises
from gradschool.grading.expect import expect

CASES = [(1, 1), (2, 1), (1, 5), (5, 3), (2, 5, 7), (3, 4, 2, 6)]


@pytest.mark.exercise("next_token_logits")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
def test_the_last_position_speaks(submission, reference, rng, case, dtype):
    logits = rng.standard_normal(case).astype(dtype)
    got = submission.next_token_logits(logits)
    expect_close(got, reference.next_token_logits(logits), 0.0, what="the scores", dtype=dtype)


@pytest.mark.exercise("next_token_logits")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(5,), (), (3, 0, 4), (0, 4)], ids=str)
def test_scores_without_a_position_are_refused(submission, shape):
    expect_raises(submission.next_token_logits, ValueError, np.zeros(shape))


N_DRAWS = 6000
SCORES = np.array([0.4, 2.1, -1.3, 1.6, 0.9, -0.2, 1.3])  # no two equal, none certain
# (temperature, top_k, top_p); no running sum of probabilities comes near a top_p.
SETTINGS = [
    (1.0, None, None),
    (0.5, None, None),
    (2.5, None, None),
    (1.0, 3, None),
    (0.7, 5, None),
    (1.0, None, 0.5),
    (1.0, None, 0.9),
    (2.0, None, 0.5),
    (0.6, None, 0.7),
    (1.0, 4, 0.65),
    (1.8, 5, 0.6),
    (1.3, 50, 1.0),
]


def _probabilities(scores, temperature, top_k, top_p):
    """The exact probabilities, worked out token by token."""
    probs = np.exp((scores - scores.max()) / temperature)
    ranked = sorted(range(len(scores)), key=lambda c: (-scores[c], c))
    if top_k is not None:
        probs[ranked[top_k:]] = 0
    probs /= probs.sum()
    kept, reached = [], 0.0
    for c in ranked:
        kept.append(c)
        reached += probs[c]
        if top_p is not None and reached >= top_p:
            break
    final = np.zeros(len(scores))
    final[kept] = probs[kept]
    return final / final.sum()


def _draw(submission, scores, temperature, top_k, top_p, seed):
    """Draw many tokens from the same scores, in one call."""
    rows = np.broadcast_to(scores, (N_DRAWS, len(scores))).copy()
    got = submission.sample(rows, temperature, top_k, top_p, np.random.default_rng(seed))
    expect(isinstance(got, np.ndarray) and got.shape == (N_DRAWS,), "There is one token for each row.")
    expect(got.dtype == np.int64, f"The tokens are {got.dtype}; they should be int64.")
    expect(bool(np.all((got >= 0) & (got < len(scores)))), "A token lies outside the vocabulary.")
    return got


def _expect_frequencies(got, setting):
    probs = _probabilities(SCORES, *setting)
    # Seven standard deviations, and a little for the rarest: no right answer fails by bad luck.
    bound = 7 * np.sqrt(N_DRAWS * probs * (1 - probs)) + 8
    off = np.abs(np.bincount(got, minlength=7) - N_DRAWS * probs)
    expect(bool(np.all(got[:, None] != np.flatnonzero(probs == 0))), "A token came that must never come.")
    expect(bool(np.all(off <= bound)), "Some tokens come too often and others too seldom.")


@pytest.mark.exercise("sample")
@pytest.mark.points(3)
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_tokens_come_as_often_as_they_should(submission, setting):
    _expect_frequencies(_draw(submission, SCORES, *setting, seed=11), setting)


@pytest.mark.exercise("sample")
@pytest.mark.points(1)
@pytest.mark.parametrize("setting", [(1.0, None, None), (0.7, 5, 0.9)], ids=str)
@pytest.mark.parametrize("shift", [-1e8, 1e8], ids=["far below 0", "far above 0"])
def test_only_differences_of_scores_count(submission, setting, shift):
    _expect_frequencies(_draw(submission, SCORES + shift, *setting, seed=15), setting)


@pytest.mark.exercise("sample")
@pytest.mark.points(1)
@pytest.mark.parametrize(
    ("setting", "kept"),
    [
        ((1.0, 3, None), [0, 2, 3]),
        ((3.0, 1, None), [2]),
        ((1.0, 6, None), [0, 1, 2, 3, 4, 6]),
        ((1.0, 7, None), range(7)),
        ((9.0, None, 0.01), [2]),
    ],
    ids=str,
)
def test_of_equal_scores_the_first_stay(submission, setting, kept):
    got = _draw(submission, np.array([1.0, 0.5, 2.0, 1.0, 1.0, 0.2, 1.0]), *setting, seed=12)
    expect(
        bool(np.array_equal(np.unique(got), list(kept))),
        "Other tokens came than those that top_k and top_p leave.",
        help="Of equal scores the lower index counts as larger, and exactly k tokens stay.",
    )


@pytest.mark.exercise("sample")
@pytest.mark.points(1)
@pytest.mark.parametrize(("top_p", "n_kept"), [(0.25, 1), (0.5, 2), (0.625, 3), (0.75, 3), (1.0, 4)], ids=str)
def test_top_p_stops_at_the_token_that_reaches_it(submission, top_p, n_kept):
    got = _draw(submission, np.zeros(4), 1.0, None, top_p, seed=13)
    expect(bool(np.array_equal(np.unique(got), range(n_kept))), "top_p keeps too many tokens or too few.")


@pytest.mark.exercise("sample")
@pytest.mark.points(1)
@pytest.mark.parametrize(("top_p", "n_kept"), [(0.25, 1), (0.5, 2), (0.75, 3), (1.0, 4)], ids=str)
def test_top_p_leaves_each_row_a_set_of_its_own(submission, top_p, n_kept):
    # A row that is sure, one where all are equal, and one that leans to a token: 0.71 to it, the others share.
    kinds = np.array([[0, 0, 0, 60], [0, 0, 0, 0], [0, 2, 0, 0]], float)
    got = submission.sample(np.tile(kinds, (200, 1)), 1.0, None, top_p, np.random.default_rng(13))
    expect(np.shape(got) == (600,), "There is one token for each row.")
    leaning = [1] if top_p < 0.7 else [0, 1] if top_p < 1 else range(4)
    for first, kept in enumerate([[3], range(n_kept), leaning]):
        expect(
            bool(np.array_equal(np.unique(got[first::3]), list(kept))),
            "Rows of different scores stand together, and one keeps other tokens than its own scores say.",
            help="top_p counts the tokens in each row anew.",
        )


@pytest.mark.exercise("sample")
@pytest.mark.points(1)
@pytest.mark.parametrize(
    "setting", [(0, None, None), (0.0, 3, 0.9), (5.0, 1, None), (5.0, None, 1e-9)], ids=str
)
@pytest.mark.parametrize("case", [(6,), *CASES], ids=str)
def test_greedy_takes_the_largest_score(submission, rng, setting, case):
    logits = np.round(2 * rng.standard_normal(case))  # many equal ones
    got = submission.sample(logits, *setting, np.random.default_rng(3))
    expect_close(got, logits.argmax(axis=-1), 0.0, what="the tokens")


@pytest.mark.exercise("sample")
@pytest.mark.points(1)
@pytest.mark.parametrize("setting", [(0.1, None, None), (1.0, 2, 0.9)], ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("size", [50, 1e4])
def test_each_row_follows_its_own_scores(submission, rng, setting, dtype, size):
    want = rng.integers(0, 9, (4, 5))
    logits = rng.standard_normal((4, 5, 9)).astype(dtype)
    np.put_along_axis(logits, want[..., None], size, axis=-1)
    # Whole rows far above and far below others: only differences inside a row count.
    logits += (1000 * rng.integers(-3, 4, (4, 5, 1))).astype(dtype)
    got = submission.sample(logits, *setting, np.random.default_rng(4))
    expect_close(got, want, 0.0, what="the tokens")


@pytest.mark.exercise("sample")
@pytest.mark.points(1)
@pytest.mark.parametrize("setting", [(1.0, None, None), (1.0, 5, None), (1.0, None, 0.99)], ids=str)
def test_impossible_tokens_never_come(submission, setting):
    scores = np.where(np.arange(7) % 2 == 0, -np.inf, SCORES)
    got = _draw(submission, scores, *setting, seed=14)
    expect(bool(np.array_equal(np.unique(got), [1, 3, 5])), "A token came whose score is -inf.")


@pytest.mark.exercise("sample")
@pytest.mark.points(1)
@pytest.mark.parametrize("setting", [(1.0, None, None), (1.0, 5, 0.9)], ids=str)
def test_the_draws_come_from_the_generator_that_is_given(submission, setting):
    first, again, other = (_draw(submission, SCORES, *setting, seed=seed) for seed in (21, 21, 22))
    expect(bool(np.array_equal(first, again)), "The same seed gave other tokens.")
    expect(not np.array_equal(first, other), "Another seed gave the same tokens.")
    same = np.mean(first[1:] == first[:-1])
    expect(same < 0.9, "Neighbouring rows get the same token: each row needs a draw of its own.")


@pytest.mark.exercise("sample")
@pytest.mark.points(1)
@pytest.mark.parametrize(
    "setting",
    [
        (-0.1, None, None),
        (1.0, 0, None),
        (1.0, -2, None),
        (1.0, None, 0.0),
        (1.0, None, 1.5),
        (1.0, None, -0.1),
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(submission, setting):
    expect_raises(submission.sample, ValueError, np.ones((2, 4)), *setting, np.random.default_rng(0))


@pytest.mark.exercise("sample")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0)], ids=str)
def test_scores_of_no_tokens_are_refused(submission, shape):
    expect_raises(submission.sample, ValueError, np.zeros(shape), 1.0, None, None, np.random.default_rng(0))
