"""Hidden graders of greedy decoding: what is written, when it ends, what stands behind the end."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_equal, expect_raises
from gradschool.grading.expect import expect

BOS = 8
# batch, src_seq, n_layers, n_heads, norm, max_len
CASES = [(3, 5, 1, 2, "pre", 7), (1, 1, 1, 1, "post", 1), (5, 4, 2, 3, "post", 6)]


def _model(rng, case, n_vocab=9, pad=0):
    """A source with padding, parameters of a model that writes many different tokens, its configuration."""
    batch, src_seq, n_layers, n_heads, norm, _ = case
    config = {"n_heads": n_heads, "n_layers": n_layers, "norm": norm, "pad": pad}
    d_model, params = 6, {"table": rng.standard_normal((n_vocab, 6))}
    for i in range(n_layers):
        for side, kinds in (("enc", ("attn",)), ("dec", ("self", "cross"))):
            block = {f"{kind}.{w}": (d_model, d_model) for kind in kinds for w in ("wq", "wk", "wv", "wo")}
            block |= {"ff.w1": (d_model, 8), "ff.b1": (8,), "ff.w2": (8, d_model), "ff.b2": (d_model,)}
            params |= {f"{side}{i}.{name}": rng.standard_normal(shape) for name, shape in block.items()}
            for k in range(1, len(kinds) + 2):
                params |= {f"{side}{i}.norm{k}.gamma": np.ones(6), f"{side}{i}.norm{k}.beta": np.zeros(6)}
    for name in ("enc_norm", "dec_norm") if norm == "pre" else ():
        params |= {f"{name}.gamma": np.ones(6), f"{name}.beta": np.zeros(6)}
    params["w_out"] = rng.standard_normal((6, n_vocab))
    src = rng.integers(1, n_vocab, (batch, src_seq))
    lengths = rng.integers(1, src_seq + 1, batch)
    return np.where(np.arange(src_seq) < lengths[:, None], src, pad), params, config


@pytest.mark.exercise("greedy_decode")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_most_likely_token_is_written_again_and_again(submission, reference, rng, case):
    src, params, config = _model(rng, case)
    # No token is -1: nothing ever ends.
    arguments = (src, params, config, BOS, -1, case[-1])
    expect_equal(submission.greedy_decode(*arguments), reference.greedy_decode(*arguments), what="tokens")


def _lively(rng, batch, pad, d_model=8, n_vocab=9):
    """A model that writes something else at every step: token, place and the source's mean, mixed by `w_out`.

    Queries of 0 look at the whole source alike, and identity matrices add what they see.
    """
    config = {"n_heads": 2, "n_layers": 1, "norm": "pre", "pad": pad, "without": ("norm", "feed_forward")}
    square = {"wq": 0.0, "wk": 1.0, "wv": 1.0, "wo": 1.0}
    params = {f"dec0.cross.{name}": size * np.eye(d_model) for name, size in square.items()}
    params |= {
        f"{block}.{name}": np.zeros((d_model, d_model))
        for block in ("enc0.attn", "dec0.self")
        for name in square
    }
    params["table"] = rng.standard_normal((n_vocab, d_model)) / np.sqrt(d_model)
    params["w_out"] = rng.standard_normal((d_model, n_vocab))
    src = rng.integers(1, n_vocab, (batch, 4))
    return np.where(np.arange(4) < rng.integers(1, 5, batch)[:, None], src, pad), params, config


def _ending(reference, rng, batch, place, pad):
    """A model and an eos that its last row writes first at `place`, and would not write again at the next place."""
    while True:
        src, params, config = _lively(rng, batch, pad)
        row = reference.greedy_decode(src, params, config, BOS, -1, 6)[-1]
        eos = int(row[place])
        if eos not in (*row[:place], row[place + 1], pad) and row[place + 1] != pad:
            return src, params, config, BOS, eos, 6


@pytest.mark.exercise("greedy_decode")
@pytest.mark.points(2)
@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("pad", [0, 5])
@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_row_ends_with_eos_and_goes_on_as_padding(submission, reference, rng, place, pad, batch):
    arguments = _ending(reference, rng, batch, place, pad)
    expect_equal(submission.greedy_decode(*arguments), reference.greedy_decode(*arguments), what="tokens")


@pytest.mark.exercise("greedy_decode")
@pytest.mark.points(1)
def test_a_row_is_written_as_if_it_were_alone(submission, rng):
    src, params, config = _model(rng, CASES[0])
    together = submission.greedy_decode(src, params, config, BOS, 3, 7)
    for row in range(3):
        alone = submission.greedy_decode(src[row : row + 1], params, config, BOS, 3, 7)
        expect(
            np.shape(alone) == (1, 7), f"One source and max_len 7 give {np.shape(alone)}; expected (1, 7)."
        )
        expect_close(together[row], alone[0], 0, what="a row beside others", dtype=np.int64)


@pytest.mark.exercise("greedy_decode")
@pytest.mark.points(1)
@pytest.mark.parametrize("bos", [1, 4, 7])
@pytest.mark.parametrize("eos", [2, None], ids=["another eos", "eos is bos"])
def test_what_is_written_goes_on_from_bos(submission, reference, rng, bos, eos):
    src, params, config = _model(rng, CASES[0])
    arguments = (src, params, config, bos, bos if eos is None else eos, 5)
    expect_equal(submission.greedy_decode(*arguments), reference.greedy_decode(*arguments), what="tokens")


def _writes_padding(reference, rng, pad):
    """A model that writes the padding token somewhere before the end, and something else behind it."""
    while True:
        src, params, config = _lively(rng, 5, pad)
        tokens = reference.greedy_decode(src, params, config, BOS, -1, 6)
        if np.any((tokens[:, :-1] == pad) & (tokens[:, 1:] != pad)):
            return src, params, config, BOS, -1, 6


@pytest.mark.exercise("greedy_decode")
@pytest.mark.points(1)
@pytest.mark.parametrize("pad", [0, 5])
def test_the_padding_token_ends_nothing(submission, reference, rng, pad):
    arguments = _writes_padding(reference, rng, pad)
    expect_equal(submission.greedy_decode(*arguments), reference.greedy_decode(*arguments), what="tokens")


@pytest.mark.exercise("greedy_decode")
@pytest.mark.points(1)
def test_of_equal_logits_the_first_is_taken(submission, reference, rng):
    src, params, config = _model(rng, CASES[0])
    params["w_out"] = np.zeros_like(params["w_out"])
    arguments = (src, params, config, BOS, -1, 7)
    expect_equal(submission.greedy_decode(*arguments), reference.greedy_decode(*arguments), what="tokens")


@pytest.mark.exercise("greedy_decode")
@pytest.mark.points(1)
@pytest.mark.parametrize("wrong", ["max_len", "src"])
def test_what_cannot_be_decoded_is_refused(submission, rng, wrong):
    src, params, config = _model(rng, CASES[0])
    src, max_len = (src, 0) if wrong == "max_len" else (src[0], 3)
    expect_raises(submission.greedy_decode, ValueError, src, params, config, BOS, 3, max_len)
