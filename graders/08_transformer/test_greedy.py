"""Hidden graders of greedy decoding: what is written, when it ends, what stands behind the end."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_equal, expect_raises
from gradschool.grading.expect import expect

BOS = 8
# batch, src_seq, n_layers, n_heads, norm, max_len
CASES = [(3, 5, 1, 2, "pre", 7), (1, 1, 1, 1, "post", 1), (5, 4, 2, 3, "post", 6)]


def _model(rng, case, n_vocab=9, pad=0, d_model=6):
    """A source with padding, parameters of a model that writes many different tokens, its configuration."""
    batch, src_seq, n_layers, n_heads, norm, _ = case
    config = {"n_heads": n_heads, "n_layers": n_layers, "norm": norm, "pad": pad}
    params = {"table": rng.standard_normal((n_vocab, d_model))}
    for i in range(n_layers):
        for side, kinds in (("enc", ("attn",)), ("dec", ("self", "cross"))):
            block = {f"{kind}.{w}": (d_model, d_model) for kind in kinds for w in ("wq", "wk", "wv", "wo")}
            block |= {"ff.w1": (d_model, 8), "ff.b1": (8,), "ff.w2": (8, d_model), "ff.b2": (d_model,)}
            params |= {f"{side}{i}.{name}": rng.standard_normal(shape) for name, shape in block.items()}
            for k in range(1, len(kinds) + 2):
                params |= {
                    f"{side}{i}.norm{k}.gamma": np.ones(d_model),
                    f"{side}{i}.norm{k}.beta": np.zeros(d_model),
                }
    for name in ("enc_norm", "dec_norm") if norm == "pre" else ():
        params |= {f"{name}.gamma": np.ones(d_model), f"{name}.beta": np.zeros(d_model)}
    params["w_out"] = rng.standard_normal((d_model, n_vocab))
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


def _writer(reference, rng, paths, pad, d_model=48, n_vocab=9):
    """A source and a model that writes `paths` (batch, steps), a row for each source.

    There are more features than steps in all. So one matrix turns what the decoder ends with, at each of these
    steps, into logits that are random but for the path: there they are largest.
    """
    batch, n_steps = paths.shape
    src, params, config = _model(rng, (batch, 4, 1, 2, "pre", n_steps), n_vocab, pad, d_model)
    # Sources that begin differently: equal ones would have to be followed by the same.
    src[:, 0] = rng.permutation(np.delete(np.arange(n_vocab), pad))[:batch]
    params = {
        name: value / np.sqrt(value.shape[0]) if value.ndim == 2 else value for name, value in params.items()
    }
    before = np.concatenate([np.full((batch, 1), BOS), paths[:, :-1]], axis=1)
    y, _ = reference.transformer_forward(src, before, params | {"w_out": np.eye(d_model)}, config)
    logits = rng.standard_normal((batch, n_steps, n_vocab))
    np.put_along_axis(logits, paths[..., None], 5.0, axis=-1)
    params["w_out"] = np.linalg.lstsq(y.reshape(-1, d_model), logits.reshape(-1, n_vocab), rcond=None)[0]
    return src, params, config


def _paths(rng, batch, pad, n_steps=6, n_vocab=9):
    """What each row is to write: tokens that all differ, none of them padding."""
    tokens = np.delete(np.arange(n_vocab), pad)
    return np.stack([rng.permutation(tokens)[:n_steps] for _ in range(batch)])


@pytest.mark.exercise("greedy_decode")
@pytest.mark.points(2)
@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("pad", [0, 5])
@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_row_ends_with_eos_and_goes_on_as_padding(submission, reference, rng, place, pad, batch):
    paths = _paths(rng, batch, pad)
    # The last row writes eos at `place`, the others wherever it stands in theirs, if it does.
    arguments = (*_writer(reference, rng, paths, pad), BOS, int(paths[-1, place]), 6)
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


@pytest.mark.exercise("greedy_decode")
@pytest.mark.points(1)
@pytest.mark.parametrize("pad", [0, 5])
def test_the_padding_token_ends_nothing(submission, reference, rng, pad):
    paths = _paths(rng, 5, pad)
    paths[np.arange(5), rng.integers(0, 5, 5)] = pad
    arguments = (*_writer(reference, rng, paths, pad), BOS, -1, 6)
    expect_equal(submission.greedy_decode(*arguments), reference.greedy_decode(*arguments), what="tokens")


@pytest.mark.exercise("greedy_decode")
@pytest.mark.points(1)
def test_tokens_are_int64_whatever_padding_is(submission, reference, rng):
    src, params, config = _model(rng, CASES[0])
    arguments = (src, params, config | {"pad": np.int32(0)}, BOS, 3, 7)
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
@pytest.mark.parametrize("wrong", ["max_len", "one source", "one token"])
def test_what_cannot_be_decoded_is_refused(submission, rng, wrong):
    src, params, config = _model(rng, CASES[0])
    src = {"one source": src[0], "one token": src[0, 0]}.get(wrong, src)
    max_len = 0 if wrong == "max_len" else 3
    expect_raises(submission.greedy_decode, ValueError, src, params, config, BOS, 3, max_len)
