"""Visible checks of the blocks and the model: small cases that you can work out by hand.

Read them, change them, add to them: they are yours. The grader has tests of its own, with
other sizes, other numbers and more of what the docstrings promise.
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
        np.allclose(got, want, rtol=1e-4, atol=1e-4),
        f"{story}: yours is {np.array2string(got, threshold=24, precision=4)}; "
        f"it should be {np.array2string(want, threshold=24, precision=4)}.",
    )


def silent(kinds, d_model=2):
    """Parameters of a block whose branches add nothing: all weights 0, plain norms."""
    params = {}
    for i, kind in enumerate(kinds, start=1):
        params |= {f"norm{i}.gamma": np.ones(d_model), f"norm{i}.beta": np.zeros(d_model)}
        if kind != "ff":
            params |= {f"{kind}.{name}": np.zeros((d_model, d_model)) for name in ("wq", "wk", "wv", "wo")}
    narrow = {"ff.w1": np.zeros((d_model, 3)), "ff.b1": np.zeros(3), "ff.w2": np.zeros((3, d_model))}
    return params | narrow | {"ff.b2": np.zeros(d_model)}


X = np.array([[[1.0, 3.0], [2.0, 8.0], [0.0, -4.0]]])
NORMAL = np.array([[[-1.0, 1.0], [-1.0, 1.0], [1.0, -1.0]]])  # each vector of X, normalized


@pytest.mark.exercise("encoder_block_forward")
def test_silent_branches_leave_the_stream(submission):
    out, _ = submission.encoder_block_forward(X, silent(("attn", "ff")), 1)
    expect_array(out, X, "pre-norm, all weights 0: x is left")
    out, _ = submission.encoder_block_forward(X, silent(("attn", "ff")), 1, None, "post")
    expect_array(out, NORMAL, "post-norm, all weights 0: x normalized is left")


@pytest.mark.exercise("encoder_block_forward")
def test_attention_reads_what_the_mask_allows(submission):
    params = silent(("attn", "ff")) | {"attn.wv": np.eye(2), "attn.wo": np.eye(2)}
    mask = np.array([[True, False, False], [False, False, True], [False, True, False]])
    out, _ = submission.encoder_block_forward(X, params, 1, mask)
    expect_array(out, X + NORMAL[:, [0, 2, 1]], "wv = wo = 1, each place may read one: x + norm(x[read])")


@pytest.mark.exercise("encoder_block_forward")
def test_without_residual_the_last_branch_is_left(submission):
    params = silent(("attn", "ff")) | {"ff.b2": np.array([5.0, 6.0])}
    out, _ = submission.encoder_block_forward(X, params, 1, None, "pre", ("residual",))
    expect_array(
        out, np.broadcast_to([5.0, 6.0], X.shape), "b2 = [5 6], other weights 0, no residual: b2 is left"
    )
    expect_raises(submission.encoder_block_forward, ValueError, X[0], params, 1)


@pytest.mark.exercise("encoder_block_backward")
def test_silent_branches_let_the_gradient_pass(submission):
    params = silent(("attn", "ff"))
    _, cache = submission.encoder_block_forward(X, params, 1)
    dout = np.arange(6.0).reshape(X.shape)
    dx, grads = submission.encoder_block_backward(dout, cache)
    expect_array(dx, dout, "pre-norm, all weights 0: dx = dout")
    expect(set(grads) == set(params), f"grads has the names {sorted(grads)}; params has {sorted(params)}.")
    expect_array(grads["ff.b2"], [6.0, 9.0], "all weights 0, dout = 0, 1, ..., 5: the gradient of ff.b2")


@pytest.mark.exercise("decoder_block_forward")
def test_cross_attention_adds_the_mean_of_the_memory(submission):
    params = silent(("self", "cross", "ff")) | {"cross.wv": np.eye(2), "cross.wo": np.eye(2)}
    memory = np.array([[[2.0, 0.0], [4.0, 6.0], [99.0, 99.0]]])
    mask = np.array([[[True, True, False]]])
    out, cache = submission.decoder_block_forward(X, memory, params, 1, None, mask)
    expect_array(out, X + 3.0, "cross.wv = cross.wo = 1, other weights 0: x + mean of the two real keys")
    expect_array(cache["cross_attn"], np.full((1, 1, 3, 3), 0.5) * mask[0], "cache['cross_attn'] of that")


@pytest.mark.exercise("decoder_block_backward")
def test_the_memory_gets_its_share(submission):
    params = silent(("self", "cross", "ff")) | {"cross.wv": np.eye(2), "cross.wo": np.eye(2)}
    _, cache = submission.decoder_block_forward(X, np.zeros((1, 2, 2)), params, 1)
    dx, dmemory, grads = submission.decoder_block_backward(np.ones_like(X), cache)
    expect_array(dx, np.ones_like(X), "a memory of zeros, dout = 1: dx")
    expect_array(dmemory, np.full((1, 2, 2), 1.5), "three queries read two keys evenly, dout = 1: dmemory")
    expect(set(grads) == set(params), f"grads has the names {sorted(grads)}; params has {sorted(params)}.")


def no_blocks(**more):
    """A configuration without blocks and positions: logits are table[tgt] * sqrt(d_model) @ output."""
    return {"n_heads": 1, "n_layers": 0, "norm": "post", "pad": 0, "without": ("positions",)} | more


SRC, TGT = np.array([[1, 2, 0]]), np.array([[1, 3]])


@pytest.mark.exercise("transformer_forward")
def test_a_tied_table_scores_each_token_against_itself(submission):
    logits, _ = submission.transformer_forward(SRC, TGT, {"table": np.eye(4)}, no_blocks())
    expect_array(logits, 2 * np.eye(4)[TGT], "table = 1, d_model = 4, no blocks: 2 where the token itself is")


@pytest.mark.exercise("transformer_forward")
def test_positions_are_added_after_the_scale(submission):
    logits, _ = submission.transformer_forward(SRC, TGT, {"table": np.eye(4)}, no_blocks(without=()))
    want = 2 * np.eye(4)[TGT] + [[0, 1, 0, 1], [0.84147, 0.5403, 0.01, 0.99995]]
    expect_array(logits, want, "the same with positions")


@pytest.mark.exercise("transformer_backward")
def test_a_tied_table_gets_both_gradients(submission):
    _, cache = submission.transformer_forward(SRC, TGT, {"table": np.eye(4)}, no_blocks())
    dlogits = np.zeros((1, 2, 4))
    dlogits[0, 0, 2] = 1
    grads = submission.transformer_backward(dlogits, cache)
    want = np.zeros((4, 4))
    want[1, 2] = want[2, 1] = 2
    expect_array(
        grads["table"], want, "token 1 asked for the score of token 2: rows 1 and 2 of the table move"
    )


@pytest.mark.exercise("greedy_decode")
def test_a_model_that_counts(submission):
    params = {"table": np.eye(5), "w_out": np.roll(np.eye(5), 1, axis=1)}
    tokens = submission.greedy_decode(np.array([[1], [2]]), params, no_blocks(), 1, 4, 6)
    expect_array(
        tokens, [[2, 3, 4, 0, 0, 0]] * 2, "each token is followed by the next, bos = 1, eos = 4, pad = 0"
    )


@pytest.mark.exercise("ablate")
def test_parts_go_one_after_another(submission):
    config = {"n_heads": 4, "norm": "pre"}
    once = submission.ablate(config, "norm")
    expect(once == config | {"without": ("norm",)}, f"without norm: {once}.")
    twice = submission.ablate(once, "heads")
    expect(twice == {"n_heads": 1, "norm": "pre", "without": ("norm",)}, f"without norm and heads: {twice}.")
    expect_raises(submission.ablate, ValueError, config, "weights")


def language_model(d_model=2, n_vocab=4):
    """Parameters of a model with random weights, the same each time."""
    rng = np.random.default_rng(0)
    shapes = dict.fromkeys(("wq", "wk", "wv", "wo"), (d_model, d_model))
    shapes |= {"table": (n_vocab, d_model), "positions": (5, d_model), "w_out": (d_model, n_vocab)}
    shapes |= {"w1": (d_model, 3), "b1": (3,), "w2": (3, d_model), "b2": (d_model,), "b_out": (n_vocab,)}
    norms = {f"{name}.{kind}" for name in ("norm1", "norm2", "norm") for kind in ("gamma", "beta")}
    shapes |= dict.fromkeys(sorted(norms), (d_model,))
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


@pytest.mark.exercise("fix_the_transformer")
def test_the_last_token_is_only_a_target(submission):
    params = language_model() | {"b_out": np.array([0.0, 0.0, 0.0, np.log(2.0)]), "w_out": np.zeros((2, 4))}
    logits, loss = submission.fix_the_transformer(np.array([[1, 2, 3]]), params, 1)
    expect(
        np.shape(logits) == (1, 2, 4), f"three tokens, four words: logits {np.shape(logits)}, not (1, 2, 4)."
    )
    want = np.log(5.0) - np.log(2.0) / 2  # targets 2 and 3, with probabilities 1/5 and 2/5
    expect_array(
        loss, want, "w_out = 0, b_out = [0 0 0 log 2], tokens 1 2 3: the loss over the targets 2 and 3"
    )


@pytest.mark.exercise("fix_the_transformer")
def test_the_future_is_hidden(submission):
    one, _ = submission.fix_the_transformer(np.array([[1, 2, 3, 1, 2]]), language_model(), 1)
    other, _ = submission.fix_the_transformer(np.array([[1, 2, 1, 3, 2]]), language_model(), 1)
    expect_array(
        other[:, :2], one[:, :2], "tokens 1 2 3 1 2 and 1 2 1 3 2: the first two predictions are alike"
    )
