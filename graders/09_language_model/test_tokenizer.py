"""Hidden graders of the character tokenizer: exact vocabularies of ordinary and odd texts."""

import numpy as np
import pytest

from gradschool.grading import expect_equal
from gradschool.grading.expect import expect

TEXTS = {
    "one word": "banana",
    "both cases": "Anna and Otto saw a Civic",
    "signs and digits": "x = 3.14 * (y - 2)  # y > 0!",
    "white space": "one\ttwo\r\nthree \n\n four",
    "white space around": "\t\nwell then\r ",
    "accents": "Übermut tut selten gut: naïve café",
    "three scripts": "Привет, κόσμε, 世界",
    "emoji": "👩‍🚀 to the 🌙, and back 👩‍🚀",
    "one character": "z",
}


def _random_text(rng):
    """Characters from all planes, many of them several times, none of them half of a pair."""
    points = np.concatenate([rng.integers(1, 0xD800, 60), rng.integers(0xE000, 0x110000, 60)])
    return "".join(chr(int(point)) for point in rng.choice(points, 300))


@pytest.mark.exercise("char_tokenizer")
@pytest.mark.points(2)
@pytest.mark.parametrize("name", TEXTS)
def test_the_vocabulary_is_every_character_once_in_order(submission, reference, name):
    got = submission.char_tokenizer(TEXTS[name])
    expect_equal(got, reference.char_tokenizer(TEXTS[name]), what="the vocabulary")


@pytest.mark.exercise("char_tokenizer")
@pytest.mark.points(1)
def test_the_vocabulary_of_random_characters(submission, reference, rng):
    text = _random_text(rng)
    got = submission.char_tokenizer(text)
    expect_equal(got, reference.char_tokenizer(text), what="the vocabulary")


@pytest.mark.exercise("char_tokenizer")
@pytest.mark.points(1)
@pytest.mark.parametrize("name", TEXTS)
def test_characters_come_back_from_their_tokens(submission, reference, name):
    vocab = submission.char_tokenizer(TEXTS[name])
    expect(isinstance(vocab, str), "The vocabulary is one string.")
    missing = set(TEXTS[name]) - set(vocab)
    expect(not missing, "A character of the text has no token.")
    tokens = reference.char_encode(TEXTS[name], vocab)
    expect_equal(reference.char_decode(tokens, vocab), TEXTS[name], what="the text")
    expect(tokens.max() < len(set(TEXTS[name])), "There are more tokens than different characters.")


@pytest.mark.exercise("char_tokenizer")
@pytest.mark.points(1)
def test_no_text_has_no_vocabulary(submission):
    expect_equal(submission.char_tokenizer(""), "", what="the vocabulary of an empty text")
