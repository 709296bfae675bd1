"""Hidden graders of the GPT: logits, the mask, the tied table, gradients of every parameter."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance
from gradschool.grading.expect import expect

# batch, seq, max_seq, n_vocab, d_model, n_heads, n_layers, d_ff: two blocks; all ones; three blocks and a full
# window; no block; eleven (block10 comes after block9); more texts than positions.
CASES = [
    (2, 5, 7, 11, 6, 3, 2, 10),
    (1, 1, 1, 3, 4, 1, 1, 5),
    (3, 7, 7, 5, 8, 2, 3, 7),
    (2, 3, 5, 4, 4, 2, 0, 3),
    (1, 3, 4, 5, 4, 2, 11, 3),
    (5, 2, 3, 7, 6, 2, 1, 4),
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


def _wide(gpt):
    tokens, params, config = gpt
    return tokens, {name: value.astype(np.float64) for name, value in params.items()}, config


def _expect_logits(got, want, relative=1e-12, **how):
    expect_close(got, want, relative * max(np.abs(want).max(), 1.0), what="logits", **how)


def _expect_grads(got, want, relative=1e-12, **how):
    expect(isinstance(got, dict), f"grads is {type(got).__name__}; it should be a dict.")
    expect(
        set(got) == set(want),
        f"grads lacks {sorted(set(want) - set(got))}, has beside it {sorted(set(got) - set(want))}.",
        help="One entry for each parameter, under its own name.",
    )
    # One size for all: the gradient of a key that attends to itself alone is 0 but for rounding.
    largest = max(float(np.abs(value).max()) for value in want.values())
    for name, value in want.items():
        expect_close(got[name], value, relative * largest, what=name, **how)


@pytest.mark.exercise("gpt_forward")
@pytest.mark.points(3)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_logits_of_embedding_blocks_norm_and_table(submission, reference, rng, case):
    gpt = _gpt(rng, case)
    logits, _ = submission.gpt_forward(*gpt)
    want, _ = reference.gpt_forward(*gpt)
    _expect_logits(logits, want)


@pytest.mark.exercise("gpt_forward")
@pytest.mark.points(1)
def test_no_position_sees_a_later_token(submission, rng):
    tokens, params, config = _gpt(rng, CASES[2])
    changed = tokens.copy()
    changed[:, 4] = (tokens[:, 4] + 1) % 5
    before, _ = submission.gpt_forward(tokens, params, config)
    after, _ = submission.gpt_forward(changed, params, config)
    expect_close(after[:, :4], before[:, :4], 1e-12, what="the logits before a changed token")
    expect(
        bool((np.abs(after[:, 4:] - before[:, 4:]).max(axis=-1) > 1e-9).all()),
        "A changed token does not change the logits at its own place and after it.",
        help="Position t sees the positions 0 to t, its own included.",
    )


@pytest.mark.exercise("gpt_forward")
@pytest.mark.points(1)
def test_logits_of_float32_parameters_are_float32(submission, reference, rng):
    gpt = _gpt(rng, CASES[0], np.float32)
    logits, _ = submission.gpt_forward(*gpt)
    want, _ = reference.gpt_forward(*_wide(gpt))
    _expect_logits(logits, want, 1e-4, dtype=np.float32)


@pytest.mark.exercise("gpt_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize(
    "wrong", ["flat", "empty", "long", "two for one place", "negative", "unknown", "heads", "no block"]
)
def test_input_that_does_not_fit_the_model_is_refused(submission, rng, wrong):
    tokens, params, config = _gpt(rng, CASES[3 if wrong == "no block" else 0])
    if wrong == "flat":
        tokens = tokens[0]
    elif wrong == "empty":
        tokens = tokens[:, :0]
    elif wrong == "long":
        tokens = rng.integers(0, 11, (2, 8))
    elif wrong == "two for one place":
        # A single row of positions would fit any number of tokens.
        params["positions"], tokens = params["positions"][:1], tokens[:, :2]
    elif wrong == "negative":
        tokens = np.where(np.arange(5) == 3, -1, tokens)
    elif wrong == "unknown":
        tokens = np.where(np.arange(5) == 2, 11, tokens)
    else:
        # No multiple, be there blocks to split the vectors or none.
        config = {**config, "n_heads": 4 if wrong == "heads" else 3}
    expect_raises(submission.gpt_forward, ValueError, tokens, params, config)


def _gradients(submission, reference, gpt, rng):
    logits, want_cache = reference.gpt_forward(*_wide(gpt))
    dlogits = rng.standard_normal(logits.shape).astype(gpt[1]["table"].dtype)
    _, cache = submission.gpt_forward(*gpt)
    got = submission.gpt_backward(dlogits, cache)
    return got, reference.gpt_backward(dlogits.astype(np.float64), want_cache)


@pytest.mark.exercise("gpt_backward")
@pytest.mark.points(3)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_parameter_of_the_gpt_has_its_gradient(submission, reference, rng, case):
    _expect_grads(*_gradients(submission, reference, _gpt(rng, case), rng))


@pytest.mark.exercise("gpt_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("same", [True, False], ids=["one token throughout", "tokens in pairs"])
def test_a_token_collects_a_gradient_each_time_it_occurs(submission, reference, rng, same):
    tokens, params, config = _gpt(rng, (2, 6, 7, 9, 6, 2, 1, 5))
    tokens = np.full_like(tokens, 3) if same else np.repeat(tokens[:, ::2], 2, axis=1)
    got, want = _gradients(submission, reference, (tokens, params, config), rng)
    expect_close(got["table"], want["table"], tolerance.gradient(want["table"], 100), what="table")


@pytest.mark.exercise("gpt_backward")
@pytest.mark.points(1)
def test_the_gradient_of_the_table_has_two_shares(submission, reference, rng):
    tokens, params, config = _gpt(rng, (2, 4, 6, 12, 4, 2, 1, 5))
    tokens = tokens % 5  # tokens 5 to 11 never occur
    got, want = _gradients(submission, reference, (tokens, params, config), rng)
    bound = tolerance.gradient(want["table"], 100)
    expect_close(
        got["table"][5:],
        want["table"][5:],
        bound,
        what="table, tokens that do not occur",
        help="They are scored at every position, so the logits bring them a gradient.",
    )
    expect_close(
        got["table"][:5],
        want["table"][:5],
        bound,
        what="table, tokens that occur",
        help="They are read and they are scored: two gradients, added.",
    )


@pytest.mark.exercise("gpt_backward")
@pytest.mark.points(1)
def test_gradients_of_float32_parameters_are_float32(submission, reference, rng):
    got, want = _gradients(submission, reference, _gpt(rng, CASES[0], np.float32), rng)
    _expect_grads(got, want, 1e-4, dtype=np.float32)


@pytest.mark.exercise("gpt_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("shape", [(2, 5, 1), (3, 5, 11), (2, 4, 11), (5, 11)], ids=str)
def test_the_gpt_refuses_an_upstream_gradient_of_another_shape(submission, rng, shape, batch):
    _, cache = submission.gpt_forward(*_gpt(rng, (batch, *CASES[0][1:])))
    expect_raises(submission.gpt_backward, ValueError, rng.standard_normal(shape), cache)
