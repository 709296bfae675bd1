"""Hidden graders of the mended transformer: one test per fault, blind to the other seven, and one of the whole.

Each of the eight chooses parameters under which only its own fault can show. So a fault that is mended
earns its points whatever the rest of the function still does. The ninth compares every number.
"""

import numpy as np
import pytest

from gradschool.grading import expect_close
from gradschool.grading.expect import expect


def _model(rng, n_vocab=7, d_model=4, d_ff=5, max_seq=9):
    shapes = dict.fromkeys(("wq", "wk", "wv", "wo"), (d_model, d_model))
    shapes |= {"table": (n_vocab, d_model), "positions": (max_seq, d_model), "w_out": (d_model, n_vocab)}
    shapes |= {
        "w1": (d_model, d_ff),
        "b1": (d_ff,),
        "w2": (d_ff, d_model),
        "b2": (d_model,),
        "b_out": (n_vocab,),
    }
    params = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    for name in ("norm1", "norm2", "norm"):
        params |= {f"{name}.gamma": 0.5 + rng.random(d_model), f"{name}.beta": rng.standard_normal(d_model)}
    return params


def _plain_norms(params):
    """The same with norms that neither scale nor shift."""
    plain = {name: np.ones_like(value) for name, value in params.items() if name.endswith("gamma")}
    return params | plain | {name: np.zeros_like(value) for name, value in params.items() if "beta" in name}


def _zero(params, *names):
    return params | {name: np.zeros_like(params[name]) for name in names}


def _tokens(rng, shape=(2, 7), n_vocab=7):
    """Tokens without the padding 0; neighbours differ."""
    steps = rng.integers(1, n_vocab - 1, shape)
    return 1 + steps.cumsum(axis=1) % (n_vocab - 1)


def _normal(x):
    centered = x - x.mean(axis=-1, keepdims=True)
    return centered / np.sqrt((centered**2).mean(axis=-1, keepdims=True) + 1e-5)


def _expect_change(one, other, message):
    expect(np.shape(one) == np.shape(other), f"The logits have shapes {np.shape(one)} and {np.shape(other)}.")
    expect(bool(np.all(np.isfinite(one))), "The logits are not finite.")
    expect(float(np.abs(np.asarray(one) - np.asarray(other)).max()) > 1e-9, message)


@pytest.mark.exercise("fix_the_transformer")
@pytest.mark.points(2)
def test_the_model_knows_where_a_token_stands(submission, rng):
    params = _plain_norms(_zero(_model(rng), "w2", "b2"))
    params |= {
        "wv": np.eye(4),
        "wo": np.eye(4),
        "table": 5 * params["table"],
        "positions": 5 * params["positions"],
    }
    tokens = _tokens(rng, (5, 2))
    logits, _ = submission.fix_the_transformer(tokens, params, 1)
    # One place reads itself alone and adds its own normalized vector: the last norm undoes that.
    x = _normal(params["table"][tokens[:, :1]] + params["positions"][:1])
    want = x @ params["w_out"] + params["b_out"]
    expect_close(
        logits, want, 1e-3 * np.abs(want).max(), what="logits of one place", help="Are positions added?"
    )
    params, tokens = _model(rng), _tokens(rng)
    logits, _ = submission.fix_the_transformer(tokens, params, 1)
    moved = params | {"positions": params["positions"] + rng.standard_normal((9, 1)) * np.eye(4)[0]}
    moved["positions"][:3] = params["positions"][:3]
    changed, _ = submission.fix_the_transformer(tokens, moved, 1)
    _expect_change(
        logits[:, 3:],
        changed[:, 3:],
        "Other positions from place 3 on, but the same logits: they are not used.",
    )


@pytest.mark.exercise("fix_the_transformer")
@pytest.mark.points(2)
def test_no_place_sees_a_later_one(submission, rng):
    # With wq = 0 all scores are equal, and only the mask decides who is seen.
    params, tokens = _zero(_model(rng), "wq"), _tokens(rng)
    logits, _ = submission.fix_the_transformer(tokens, params, 1)
    later, earlier = tokens.copy(), tokens.copy()
    later[:, 4:] = 1 + tokens[:, 4:] % 6
    earlier[:, 0] = 1 + tokens[:, 0] % 6
    changed, _ = submission.fix_the_transformer(later, params, 1)
    expect_close(
        changed[:, :4],
        logits[:, :4],
        1e-12 * np.abs(logits).max(),
        what="logits before the changed tokens",
        help="A later token must not change an earlier prediction.",
    )
    changed, _ = submission.fix_the_transformer(earlier, params, 1)
    _expect_change(logits[:, 1:], changed[:, 1:], "The first token changes no later prediction.")


@pytest.mark.exercise("fix_the_transformer")
@pytest.mark.points(2)
def test_every_head_has_its_own_columns(submission, rng):
    params, tokens = _model(rng, d_model=6), _tokens(rng)
    params["wo"][:2] = 0  # nobody reads head 0
    logits, _ = submission.fix_the_transformer(tokens, params, 3)
    for name in ("wq", "wk", "wv"):
        other = params | {name: params[name].copy()}
        other[name][:, :2] = rng.standard_normal((6, 2))
        changed, _ = submission.fix_the_transformer(tokens, other, 3)
        expect_close(
            changed,
            logits,
            1e-12 * np.abs(logits).max(),
            what=f"logits after a change of head 0 in {name}, which nobody reads",
            help="Head h owns the columns h * d_head to (h + 1) * d_head.",
        )
        other[name] = params[name].copy()
        other[name][:, 4:] = rng.standard_normal((6, 2))
        changed, _ = submission.fix_the_transformer(tokens, other, 3)
        _expect_change(logits, changed, f"Head 2 of {name} changes nothing.")


def _four_times_wider(params):
    """The same model with each feature four times; scores are then four times as large, before any scale."""
    wide = params | {name: np.repeat(params[name], 4, axis=-1) for name in ("table", "positions", "w2", "b2")}
    wide |= {name: np.repeat(value, 4) for name, value in params.items() if "norm" in name}
    wide |= {name: np.kron(params[name], np.full((4, 4), 0.25)) for name in ("wq", "wk", "wv", "wo")}
    return wide | {name: np.repeat(params[name], 4, axis=0) / 4 for name in ("w1", "w_out")}


@pytest.mark.exercise("fix_the_transformer")
@pytest.mark.points(2)
def test_scores_are_divided_by_the_root_of_d_head(submission, rng):
    params, tokens = _model(rng), _tokens(rng)
    wide = _four_times_wider(params)
    wide["wq"] = wide["wq"] / 2  # four times the score over twice the root
    logits, _ = submission.fix_the_transformer(tokens, params, 1)
    same, _ = submission.fix_the_transformer(tokens, wide, 1)
    expect_close(
        same,
        logits,
        1e-12 * np.abs(logits).max(),
        what="logits of a model four times as wide, made to score alike",
        help="Divide the scores by sqrt(d_head), so that wide heads do not score higher.",
    )
    changed, _ = submission.fix_the_transformer(tokens, params | {"wq": 2 * params["wq"]}, 1)
    _expect_change(logits, changed, "Scores twice as large change nothing.")


@pytest.mark.exercise("fix_the_transformer")
@pytest.mark.points(2)
def test_the_weights_of_a_query_sum_to_one(submission, rng):
    # Every token has the same value vector. A weighted mean of equal things is that thing.
    angles = 2 * np.pi * (np.arange(7) + 0.4 * rng.random(7)) / 7
    around = np.array([[1, -1, 0], [1, 1, -2]]) / np.sqrt([[2], [6]])
    rest = 3 * np.stack([np.cos(angles), np.sin(angles)], axis=1) @ around - 1 / 3
    table = np.concatenate([np.ones((7, 1)), rest], axis=1)  # equal mean, equal length, first feature 1
    params = _plain_norms(_zero(_model(rng), "positions", "w2")) | {"table": table}
    params["wv"][1:] = 0
    tokens = _tokens(rng)
    logits, _ = submission.fix_the_transformer(tokens, params, 1)
    alone, _ = submission.fix_the_transformer(np.stack([tokens[:, :-1].ravel()] * 2, axis=1), params, 1)
    expect(np.shape(alone) == (12, 1, 7), f"Logits of 12 sequences with one input: {np.shape(alone)}.")
    expect_close(
        logits,
        alone.reshape(2, 6, 7),
        1e-12 * np.abs(alone).max(),
        what="logits where all values are equal",
        help="Each query's weights over its keys must sum to 1: which axis holds the keys?",
    )
    changed, _ = submission.fix_the_transformer(tokens, params | {"wv": -params["wv"]}, 1)
    _expect_change(logits, changed, "Other values change nothing.")


@pytest.mark.exercise("fix_the_transformer")
@pytest.mark.points(2)
def test_attention_is_added_to_the_stream(submission, rng):
    # With wo = 0 attention adds nothing, and the stream must come through as it was.
    params, tokens = _zero(_model(rng), "wo", "w2", "b2", "positions"), _tokens(rng)
    logits, _ = submission.fix_the_transformer(tokens, params, 1)
    x = _normal(params["table"][tokens[:, :-1]]) * params["norm.gamma"] + params["norm.beta"]
    want = x @ params["w_out"] + params["b_out"]
    expect_close(logits, want, 1e-12 * np.abs(want).max(), what="logits where attention adds nothing")


def _loss_of(b_out, labels):
    return float(np.mean(np.log(np.exp(b_out).sum()) - b_out[labels]))


@pytest.mark.exercise("fix_the_transformer")
@pytest.mark.points(2)
def test_the_target_is_the_next_token(submission, rng):
    # With w_out = 0 the logits are b_out everywhere, and the loss tells which targets were asked for.
    params, tokens = _zero(_model(rng), "w_out"), _tokens(rng)
    tokens[:, 0], tokens[:, -1] = 1, 2
    params["b_out"][1:3] = [1.5, -1.5]
    _, loss = submission.fix_the_transformer(tokens, params, 1)
    expect_close(loss, _loss_of(params["b_out"], tokens[:, 1:]), 1e-12, what="the loss")


@pytest.mark.exercise("fix_the_transformer")
@pytest.mark.points(2)
@pytest.mark.parametrize("pad", [0, 3])
def test_padding_costs_nothing(submission, rng, pad):
    # All real tokens are equally likely, so the mean over real targets is known whatever they are.
    params, tokens = _zero(_model(rng), "w_out"), _tokens(rng)
    params["b_out"] = np.where(np.arange(7) == pad, -2.0, 0.5)
    tokens = np.where(tokens == pad, 1 if pad != 1 else 2, tokens)
    tokens[0, 4:], tokens[1, 6:] = pad, pad
    arguments = (tokens, params, 1) if pad == 0 else (tokens, params, 1, pad)
    _, loss = submission.fix_the_transformer(*arguments)
    want = _loss_of(params["b_out"], np.array([1 if pad != 1 else 2]))
    expect_close(loss, want, 1e-12, what="the loss", help="Only targets that are no padding count.")


@pytest.mark.exercise("fix_the_transformer")
@pytest.mark.points(1)
@pytest.mark.parametrize(("n_heads", "pad"), [(1, 0), (2, 3), (3, 0)])
def test_the_mended_model_as_a_whole(submission, reference, rng, n_heads, pad):
    params, tokens = _model(rng, d_model=6), _tokens(rng, (3, 6))
    tokens[0, 4:], tokens[2, 2:] = pad, pad
    logits, loss = submission.fix_the_transformer(tokens, params, n_heads, pad)
    want, want_loss = reference.fix_the_transformer(tokens, params, n_heads, pad)
    expect_close(logits, want, 1e-12 * np.abs(want).max(), what="logits")
    expect_close(loss, np.float64(want_loss), 1e-12, what="the loss")
