"""Hidden graders of the KV cache: step by step the same numbers as the full forward."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises
from gradschool.grading.expect import expect

# batch, seq, max_seq, n_vocab, d_model, n_heads, n_layers, d_ff
CASES = [
    (2, 5, 7, 11, 6, 3, 2, 10),
    (1, 1, 1, 3, 4, 1, 1, 5),
    (3, 6, 6, 5, 8, 2, 3, 7),
    (2, 3, 5, 4, 4, 2, 1, 3),
]


def _gpt(rng, case, dtype=np.float64):
    batch, seq, max_seq, n_vocab, d_model, n_heads, n_layers, d_ff = case
    shapes = {"table": (n_vocab, d_model), "positions": (max_seq, d_model)}
    for i in range(n_layers):
        block = {f"attn.{name}": (d_model, d_model) for name in ("wq", "wk", "wv", "wo")}
        block |= {f"{norm}.{name}": (d_model,) for norm in ("norm1", "norm2") for name in ("gamma", "beta")}
        block |= {"ff.w1": (d_model, d_ff), "ff.b1": (d_ff,), "ff.w2": (d_ff, d_model), "ff.b2": (d_model,)}
        shapes |= {f"block{i}.{name}": shape for name, shape in block.items()}
    shapes |= {"norm.gamma": (d_model,), "norm.beta": (d_model,)}
    params = {
        name: (rng.standard_normal(shape) / (1 if len(shape) == 1 else np.sqrt(shape[0]) / 2)).astype(dtype)
        for name, shape in shapes.items()
    }
    tokens = rng.integers(0, n_vocab, (batch, seq))
    return tokens, params, {"n_layers": n_layers, "n_heads": n_heads}


def _read(submission, tokens, params, config):
    """Feed the tokens one by one; return the logits after each, and the last cache."""
    kv_cache, rows = {}, []
    for column in tokens.T:
        logits, kv_cache = submission.gpt_decode_step(column, kv_cache, params, config)
        rows.append(logits)
    return rows, kv_cache


def _expect_rows(rows, want, relative=1e-12, **how):
    size = relative * max(float(np.abs(want).max()), 1.0)
    for t, row in enumerate(rows):
        expect_close(row, want[:, t], size, what=f"the logits after token {t + 1}", **how)


@pytest.mark.exercise("gpt_decode_step")
@pytest.mark.points(3)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_step_by_step_the_logits_are_those_of_the_full_forward(submission, reference, rng, case):
    gpt = _gpt(rng, case)
    rows, _ = _read(submission, *gpt)
    _expect_rows(rows, reference.gpt_forward(*gpt)[0])


@pytest.mark.exercise("gpt_decode_step")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES[:3], ids=str)
def test_the_cache_holds_keys_and_values_of_every_block_in_order(submission, reference, rng, case):
    gpt = _gpt(rng, case)
    _, kv_cache = _read(submission, *gpt)
    _, want = _read(reference, *gpt)
    expect(isinstance(kv_cache, dict), f"kv_cache is {type(kv_cache).__name__}; it should be a dict.")
    expect(set(kv_cache) == set(want), f"kv_cache has the names {sorted(kv_cache)}; expected {sorted(want)}.")
    for name, value in want.items():
        expect_close(kv_cache[name], value, 1e-12 * max(np.abs(value).max(), 1.0), what=f"kv_cache[{name!r}]")


@pytest.mark.exercise("gpt_decode_step")
@pytest.mark.points(1)
def test_scores_may_be_large(submission, reference, rng):
    tokens, params, config = _gpt(rng, CASES[2])
    for i in range(config["n_layers"]):
        for name in ("wq", "wk"):
            params[f"block{i}.attn.{name}"] *= 30
    # Scores in the thousands, far apart from head to head; exp passes their rounding on.
    rows, _ = _read(submission, tokens, params, config)
    _expect_rows(rows, reference.gpt_forward(tokens, params, config)[0], 1e-10)


@pytest.mark.exercise("gpt_decode_step")
@pytest.mark.points(1)
def test_one_cache_continues_in_two_ways(submission, reference, rng):
    tokens, params, config = _gpt(rng, CASES[0])
    _, kv_cache = _read(submission, tokens[:, :3], params, config)
    for shift in (1, 2):
        other = np.concatenate([tokens[:, :3], (tokens[:, 3:] + shift) % 11], axis=1)
        rows, branch = [], kv_cache
        for t in (3, 4):
            logits, branch = submission.gpt_decode_step(other[:, t], branch, params, config)
            rows.append(logits)
        want, _ = reference.gpt_forward(other, params, config)
        _expect_rows(rows, want[:, 3:])


@pytest.mark.exercise("gpt_decode_step")
@pytest.mark.points(1)
def test_texts_of_different_length_do_not_meet(submission, reference, rng):
    long, params, config = _gpt(rng, (1, 6, 7, 11, 6, 3, 2, 10))
    short = long[:, 3:]
    caches, rows = [{}, {}], [[], []]
    for t in range(6):
        for which, text in enumerate((long, short)):
            if t < text.shape[1]:
                step = submission.gpt_decode_step(text[:, t], caches[which], params, config)
                rows[which].append(step[0])
                caches[which] = step[1]
    for which, text in enumerate((long, short)):
        _expect_rows(rows[which], reference.gpt_forward(text, params, config)[0])


@pytest.mark.exercise("gpt_decode_step")
@pytest.mark.points(1)
def test_float32_parameters_give_float32_logits_and_cache(submission, reference, rng):
    tokens, params, config = _gpt(rng, CASES[0], np.float32)
    rows, kv_cache = _read(submission, tokens, params, config)
    wide = {name: value.astype(np.float64) for name, value in params.items()}
    _expect_rows(rows, reference.gpt_forward(tokens, wide, config)[0], 1e-4, dtype=np.float32)
    for name, value in kv_cache.items():
        expect(value.dtype == np.float32, f"kv_cache[{name!r}] is {value.dtype}; the parameters are float32.")


@pytest.mark.exercise("gpt_decode_step")
@pytest.mark.points(1)
@pytest.mark.parametrize("wrong", ["axes", "axes of one text", "negative", "unknown", "full", "batch"])
def test_a_token_that_does_not_fit_is_refused(submission, rng, wrong):
    tokens, params, config = _gpt(rng, CASES[2])
    kv_cache = {}
    if wrong in ("full", "batch"):
        _, kv_cache = _read(submission, tokens if wrong == "full" else tokens[:, :2], params, config)
    token = {
        "axes": tokens[:, :1],
        "axes of one text": tokens[:1, :1],
        "negative": np.array([0, -1, 2]),
        "unknown": np.array([0, 1, 5]),
        "full": tokens[:, 0],
        "batch": tokens[:1, 0],
    }[wrong]
    expect_raises(submission.gpt_decode_step, ValueError, token, kv_cache, params, config)
