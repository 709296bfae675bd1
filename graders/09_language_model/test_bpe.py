"""Hidden graders of byte pair encoding: what is learned, what it encodes, and what comes back."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_equal, expect_raises

# Each text with how many merges to learn: more than there are for some.
TRAINING = {
    "one word often": ("low low low lower lowest", 6),
    "nothing twice": ("abcdefg", 4),
    "a single run": ("aaaaaaaaaaaa", 5),
    "three of a kind": ("xaaay xaaay bcbc", 4),
    "ties": ("zy zy yx yx xw xw", 3),
    "ties of late tokens": ("dabc dabc dabc eabc", 8),
    "borders": ("a b a b a b a b", 5),
    "signs": ("x=1; y=1; z=1; (x, y), (y, z)", 9),
    "capitals": ("The THE the The tHe the", 6),
    "white space": ("if a:\n    b\n    c\nelse:\n    d\n", 7),
    "accents": ("naïve café, naïve café, später, später", 12),
    "emoji": ("🌙🌙🌙 👩‍🚀👩‍🚀 世界世界", 9),
}
OTHER = {
    "the same words": "lowest lower low slow",
    "other words": "There were other theorems, thereafter: the end.",
    "never seen": "Ωmega №5 🦊 \x00\x7f",
    "runs": "aaaaaaa bbb aaaa",
    "white space": "  a\n\n\tb   \r\n",
    "one character": "e",
    "one emoji": "🚀",
}
# Learned from no text: the first merge must win although the second comes first in the text.
# The last one joins a word with the space after it, which lies in another chunk: it is never possible.
RANKED = [(98, 99), (97, 98), (256, 100), (97, 257), (257, 32)]
ENGLISH = (
    "the cat sat on the mat and the rat sat on that cat; then the other cat and the other rat "
    "went there together, though neither the mat nor the weather mattered. "
)


def _words(rng, n_words):
    """Words over few letters, so that many pairs are equally frequent."""
    words = ["".join(rng.choice(list("abcde"), int(n))) for n in rng.integers(1, 7, 12)]
    return " ".join(rng.choice(words, n_words))


@pytest.mark.exercise("bpe_train")
@pytest.mark.points(2)
@pytest.mark.parametrize("name", TRAINING)
def test_merges_are_learned_in_order_of_frequency(submission, reference, name):
    text, n_merges = TRAINING[name]
    got = submission.bpe_train(text, n_merges)
    expect_equal(got, reference.bpe_train(text, n_merges), what="merges")


@pytest.mark.exercise("bpe_train")
@pytest.mark.points(2)
@pytest.mark.parametrize("n_merges", [1, 7, 30])
def test_merges_of_random_words(submission, reference, rng, n_merges):
    text = _words(rng, 60)
    got = submission.bpe_train(text, n_merges)
    expect_equal(got, reference.bpe_train(text, n_merges), what="merges")


@pytest.mark.exercise("bpe_train")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [("", 5), ("a", 5), ("any text at all, any text", 0)], ids=str)
def test_nothing_to_merge_gives_no_merges(submission, case):
    expect_equal(submission.bpe_train(*case), [], what="merges")


@pytest.mark.exercise("bpe_train")
@pytest.mark.points(1)
def test_fewer_than_no_merges_are_refused(submission):
    expect_raises(submission.bpe_train, ValueError, "some text", -1)


def _expect_tokens(got, want):
    expect_close(got, want, 0.0, what="tokens", dtype=np.int64)


@pytest.mark.exercise("bpe_encode")
@pytest.mark.points(2)
@pytest.mark.parametrize("name", OTHER)
@pytest.mark.parametrize("n_merges", [0, 5, 60])
def test_any_text_is_encoded_with_given_merges(submission, reference, name, n_merges):
    merges = reference.bpe_train(ENGLISH + TRAINING["a single run"][0], n_merges)
    _expect_tokens(submission.bpe_encode(OTHER[name], merges), reference.bpe_encode(OTHER[name], merges))


@pytest.mark.exercise("bpe_encode")
@pytest.mark.points(1)
@pytest.mark.parametrize("text", ["abc", "abcd", "aabcab", "dabcdabcab", "ab abcd bc"])
def test_the_merge_learned_first_wins(submission, reference, text):
    _expect_tokens(submission.bpe_encode(text, RANKED), reference.bpe_encode(text, RANKED))


@pytest.mark.exercise("bpe_encode")
@pytest.mark.points(1)
def test_random_words_are_encoded(submission, reference, rng):
    merges = reference.bpe_train(_words(rng, 80), 25)
    text = _words(rng, 60)
    _expect_tokens(submission.bpe_encode(text, merges), reference.bpe_encode(text, merges))


@pytest.mark.exercise("bpe_encode")
@pytest.mark.points(1)
@pytest.mark.parametrize("merges", [[], RANKED], ids=["no merges", "merges"])
def test_no_text_gives_no_tokens(submission, merges):
    _expect_tokens(submission.bpe_encode("", merges), np.zeros(0, np.int64))


@pytest.mark.exercise("bpe_decode")
@pytest.mark.points(2)
@pytest.mark.parametrize("name", [*OTHER, "english"])
@pytest.mark.parametrize("n_merges", [0, 5, 60])
def test_text_comes_back_from_its_tokens(submission, reference, name, n_merges):
    text = OTHER.get(name, ENGLISH)
    merges = reference.bpe_train(ENGLISH + TRAINING["emoji"][0], n_merges)
    got = submission.bpe_decode(reference.bpe_encode(text, merges), merges)
    expect_equal(got, text, what="the text")


@pytest.mark.exercise("bpe_decode")
@pytest.mark.points(1)
@pytest.mark.parametrize(
    "tokens",
    [[0xF0, 0x9F], [104, 0xC3, 105], [0xFF, 97, 0xFE], [0xE4, 0xB8, 97, 0x80], [257, 0xC3], [0x80]],
    ids=["half an emoji", "half a letter", "never a byte", "broken off", "after a merge", "stray"],
)
def test_bytes_that_are_no_text_become_replacement_characters(submission, reference, tokens):
    tokens = np.array(tokens)
    expect_equal(submission.bpe_decode(tokens, RANKED), reference.bpe_decode(tokens, RANKED), what="the text")


@pytest.mark.exercise("bpe_decode")
@pytest.mark.points(1)
def test_no_tokens_give_no_text(submission):
    expect_equal(submission.bpe_decode(np.zeros(0, np.int64), RANKED), "", what="the text")


@pytest.mark.exercise("bpe_decode")
@pytest.mark.points(1)
@pytest.mark.parametrize("tokens", [[97, -1], [261], [97, 10_000], [-256]], ids=str)
def test_unknown_tokens_are_refused(submission, tokens):
    expect_raises(submission.bpe_decode, ValueError, np.array(tokens), RANKED)
