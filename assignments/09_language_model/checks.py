"""Visible checks of stage 9, tokenizers, steps and sampling: small cases that you can work out by hand.

Read them, change them, add to them: they are yours. The grader has tests of its own, with
other texts, other numbers and more of what the docstrings promise.
"""

import numpy as np
import pytest

from gradschool.grading import expect_raises
from gradschool.grading.expect import expect


def expect_array(got, want, story):
    """Fail with both values written out; `story` says what went in."""
    got, want = np.asarray(got), np.asarray(want)
    expect(got.shape == want.shape, f"{story}: the shape is {got.shape}; it should be {want.shape}.")
    expect(
        np.allclose(got, want, rtol=1e-6, atol=1e-6),
        f"{story}: yours is {np.array2string(got, threshold=12, precision=5)}; "
        f"it should be {np.array2string(want, threshold=12, precision=5)}.",
    )


def expect_same(got, want, story):
    """Fail with both values written out unless they are equal."""
    expect(got == want, f"{story}: yours is {got!r}; it should be {want!r}.")


@pytest.mark.exercise("char_tokenizer")
def test_the_characters_of_banana(submission):
    expect_same(submission.char_tokenizer("banana"), "abn", 'char_tokenizer("banana")')


@pytest.mark.exercise("char_tokenizer")
def test_every_character_counts(submission):
    expect_same(submission.char_tokenizer("Öl, o Ole!\n"), "\n !,OeloÖ", "capitals, signs and a line break")


@pytest.mark.exercise("bpe_train")
def test_two_merges_by_hand(submission):
    # "ab" three times, then (ab)c twice; every other pair comes once.
    got = [tuple(pair) for pair in submission.bpe_train("abcabc ab", 2)]
    expect_same(got, [(97, 98), (256, 99)], 'bpe_train("abcabc ab", 2)')


@pytest.mark.exercise("bpe_train")
def test_the_smaller_of_two_equal_pairs_is_merged(submission):
    got = [tuple(pair) for pair in submission.bpe_train("zy\nab\nzy\nab", 1)]
    expect_same(got, [(97, 98)], '"zy" and "ab" come twice each')


@pytest.mark.exercise("bpe_train")
def test_training_stops_when_nothing_repeats(submission):
    expect_same(len(submission.bpe_train("abcd", 10)), 0, 'the number of merges of "abcd"')
    expect_raises(submission.bpe_train, ValueError, "abcd", -1)


@pytest.mark.exercise("bpe_encode")
def test_merges_are_done_in_order(submission):
    merges = [(98, 99), (97, 98)]
    expect_array(submission.bpe_encode("abc ab", merges), [97, 256, 32, 257], '"bc" was learned before "ab"')


@pytest.mark.exercise("bpe_encode")
def test_a_letter_outside_ascii_is_two_bytes(submission):
    expect_array(submission.bpe_encode("é", []), [195, 169], 'bpe_encode("é", [])')


@pytest.mark.exercise("bpe_decode")
def test_a_merge_of_merges_is_spelled_out(submission):
    got = submission.bpe_decode(np.array([257, 33, 195, 169]), [(97, 98), (256, 256)])
    expect_same(got, "abab!é", "the tokens 257, 33, 195, 169")


@pytest.mark.exercise("bpe_decode")
def test_half_a_letter_is_a_replacement_character(submission):
    expect_same(submission.bpe_decode(np.array([104, 195]), []), "h\ufffd", "the tokens 104, 195")
    expect_raises(submission.bpe_decode, ValueError, np.array([256]), [])


@pytest.mark.exercise("adamw_step")
def test_one_step_with_decay(submission):
    params, grads = {"w": np.array([2.0, -4.0])}, {"w": np.array([3.0, 0.5])}
    got, _ = submission.adamw_step(params, grads, {}, 0.1, weight_decay=0.5)
    # The first step is lr long, whatever the gradient; the decay takes 0.1 * 0.5 of each weight.
    expect_array(got["w"], [2 - 0.1 - 0.1, -4 - 0.1 + 0.2], "the first step from (2, -4)")


@pytest.mark.exercise("adamw_step")
def test_two_steps_without_a_gradient_leave_only_the_decay(submission):
    params, state = {"w": np.array([8.0])}, {}
    for _ in range(2):
        params, state = submission.adamw_step(params, {"w": np.zeros(1)}, state, 0.5, weight_decay=1.0)
    expect_array(params["w"], [2.0], "8 halved twice")


@pytest.mark.exercise("adamw_step")
def test_wrong_gradients_are_refused(submission):
    w = {"w": np.ones(3)}
    expect_raises(submission.adamw_step, ValueError, w, {"w": np.ones(2)}, {}, 0.1)
    expect_raises(submission.adamw_step, ValueError, w, {}, {}, 0.1)


@pytest.mark.exercise("clip_gradients")
def test_three_four_five(submission):
    got, norm = submission.clip_gradients({"a": np.array([3.0]), "b": np.array([[4.0]])}, 1.0)
    expect_array(norm, 5.0, "the length of 3 and 4")
    expect_array(got["a"], [0.6], "3 of a gradient of length 5, clipped to 1")
    expect_array(got["b"], [[0.8]], "4 of a gradient of length 5, clipped to 1")


@pytest.mark.exercise("clip_gradients")
def test_a_short_gradient_is_left_alone(submission):
    got, norm = submission.clip_gradients({"a": np.array([3.0]), "b": np.array([[4.0]])}, 6.0)
    expect_array(norm, 5.0, "the length of 3 and 4")
    expect_array(got["b"], [[4.0]], "4 of a gradient of length 5, with 6 allowed")
    expect_raises(submission.clip_gradients, ValueError, {"a": np.ones(1)}, 0.0)


@pytest.mark.exercise("cosine_schedule")
def test_up_and_down(submission):
    rates = [submission.cosine_schedule(step, 4, 12, 1.0, 0.2) for step in (1, 2, 4, 8, 12, 20)]
    expect_array(rates, [0.25, 0.5, 1.0, 0.6, 0.2, 0.2], "steps 1, 2, 4, 8, 12 and 20 of 4 + 8")


@pytest.mark.exercise("cosine_schedule")
def test_a_warm_up_as_long_as_everything_is_refused(submission):
    expect_raises(submission.cosine_schedule, ValueError, 1, 5, 5, 1.0, 0.0)


@pytest.mark.exercise("next_token_logits")
def test_the_last_of_three_positions(submission):
    logits = np.arange(12.0).reshape(1, 3, 4)
    expect_array(submission.next_token_logits(logits), [[8, 9, 10, 11]], "scores 0 to 11 in three rows")
    expect_array(submission.next_token_logits(logits[0]), [8, 9, 10, 11], "the same without a batch")
    expect_raises(submission.next_token_logits, ValueError, np.zeros(4))


def draw(submission, scores, *setting):
    """Draw 4000 tokens; return how often each came."""
    rows = np.broadcast_to(scores, (4000, len(scores))).copy()
    tokens = np.asarray(submission.sample(rows, *setting, np.random.default_rng(5)))
    expect(tokens.shape == (4000,), f"The shape is {tokens.shape}; 4000 rows give (4000,).")
    return np.bincount(tokens, minlength=len(scores)) / 4000


@pytest.mark.exercise("sample")
def test_greedy_needs_no_luck(submission):
    logits = np.array([[1.0, 3.0, 2.0], [4.0, 0.0, 4.0]])
    got = submission.sample(logits, 0, None, None, np.random.default_rng(0))
    expect_array(got, [1, 0], "the largest of two rows, the first of equal ones")


@pytest.mark.exercise("sample")
def test_shares_follow_the_probabilities(submission):
    shares = draw(submission, np.log([0.5, 0.3, 0.2]), 1.0, None, None)
    expect(
        bool(np.allclose(shares, [0.5, 0.3, 0.2], atol=0.06)),
        f"Probabilities 0.5, 0.3, 0.2 came as {shares.round(2)}.",
    )


@pytest.mark.exercise("sample")
def test_top_k_and_top_p_silence_the_rest(submission):
    scores = np.log([0.15, 0.4, 0.1, 0.35])
    shares = draw(submission, scores, 1.0, 2, None)
    expect(
        bool(np.allclose(shares, [0, 8 / 15, 0, 7 / 15], atol=0.06)), f"top_k = 2 came as {shares.round(2)}."
    )
    shares = draw(submission, scores, 1.0, None, 0.8)
    expect(
        bool(np.allclose(shares, [1 / 6, 4 / 9, 0, 7 / 18], atol=0.06)),
        f"top_p = 0.8 came as {shares.round(2)}; 0.4 + 0.35 is less than 0.8, so a third token stays.",
    )


@pytest.mark.exercise("sample")
def test_impossible_settings_are_refused(submission):
    rng = np.random.default_rng(0)
    expect_raises(submission.sample, ValueError, np.ones(3), -1.0, None, None, rng)
    expect_raises(submission.sample, ValueError, np.ones(3), 1.0, 0, None, rng)
    expect_raises(submission.sample, ValueError, np.ones(3), 1.0, None, 0.0, rng)
