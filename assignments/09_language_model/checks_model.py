"""Visible checks of the model, its cache and its life on the device: small cases.

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
        f"{story}: yours is {np.array2string(got, threshold=12, precision=5)}; "
        f"it should be {np.array2string(want, threshold=12, precision=5)}.",
    )


def bare(n_vocab=3, max_seq=4):
    """A model without blocks, d_model = 2: token c is the vector (c, 0), positions are 0, and so is beta."""
    table = np.stack([np.arange(n_vocab, dtype=np.float64), np.zeros(n_vocab)], axis=1)
    params = {"table": table, "positions": np.zeros((max_seq, 2))}
    return params | {"norm.gamma": np.ones(2), "norm.beta": np.zeros(2)}, {"n_layers": 0, "n_heads": 1}


def small(dtype=np.float64, n_layers=2):
    """A model with blocks and random numbers: 5 tokens, 6 positions, d_model = 4, two heads."""
    rng = np.random.default_rng(9)
    shapes = {"table": (5, 4), "positions": (6, 4), "norm.gamma": (4,), "norm.beta": (4,)}
    for i in range(n_layers):
        shapes |= {f"block{i}.attn.{name}": (4, 4) for name in ("wq", "wk", "wv", "wo")}
        shapes |= {
            f"block{i}.{norm}.{name}": (4,) for norm in ("norm1", "norm2") for name in ("gamma", "beta")
        }
        shapes |= {
            f"block{i}.ff.w1": (4, 3),
            f"block{i}.ff.b1": (3,),
            f"block{i}.ff.w2": (3, 4),
            f"block{i}.ff.b2": (4,),
        }
    params = {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}
    return params, {"n_layers": n_layers, "n_heads": 2}


TOKENS = np.array([[1, 3, 0], [4, 4, 2]])
LABELS = np.array([[3, 0, 2], [4, 2, 2]])


@pytest.mark.exercise("gpt_forward")
def test_a_model_without_blocks(submission):
    params, config = bare()
    logits, _ = submission.gpt_forward(np.array([[2, 1]]), params, config)
    # (2, 0) and (1, 0) have the norm (1, -1); times the rows of the table that is 0, 1, 2.
    want = np.array([[[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]]])
    expect(
        logits.shape == want.shape,
        f"bare(), two tokens: logits has shape {logits.shape}; it should be {want.shape}.",
    )
    expect_array(np.round(logits, 3), want, "bare() in checks_model.py, tokens 2 1, to three digits")


@pytest.mark.exercise("gpt_forward")
def test_the_past_does_not_see_the_future(submission):
    params, config = small()
    before, _ = submission.gpt_forward(TOKENS, params, config)
    after, _ = submission.gpt_forward(np.array([[1, 3, 2], [4, 4, 0]]), params, config)
    expect_array(after[:, :2], before[:, :2], "small(), the last token changed: the logits before it")
    expect(
        bool(np.abs(after[:, 2] - before[:, 2]).max() > 1e-6),
        "small(): the changed token changes nothing at its own place.",
    )


@pytest.mark.exercise("gpt_forward")
def test_more_tokens_than_positions_are_refused(submission):
    params, config = small()
    expect_raises(submission.gpt_forward, ValueError, np.zeros((1, 7), int), params, config)


@pytest.mark.exercise("gpt_backward")
def test_the_gradient_is_the_slope(submission):
    params, config = small()
    dlogits = np.random.default_rng(1).standard_normal((2, 3, 5))
    _, cache = submission.gpt_forward(TOKENS, params, config)
    grads = submission.gpt_backward(dlogits, cache)
    for name in ("table", "positions", "block1.attn.wk", "block0.ff.w1", "norm.gamma"):
        direction = np.random.default_rng(2).standard_normal(params[name].shape)
        up, _ = submission.gpt_forward(TOKENS, {**params, name: params[name] + 1e-6 * direction}, config)
        down, _ = submission.gpt_forward(TOKENS, {**params, name: params[name] - 1e-6 * direction}, config)
        slope = (dlogits * (up - down)).sum() / 2e-6
        expect_array(
            (grads[name] * direction).sum(), slope, f"small(), {name} moved a little: the change of the loss"
        )


@pytest.mark.exercise("gpt_backward")
def test_positions_that_were_not_used_get_no_gradient(submission):
    params, config = small()
    _, cache = submission.gpt_forward(TOKENS, params, config)
    grads = submission.gpt_backward(np.ones((2, 3, 5)), cache)
    expect_array(grads["positions"][3:], np.zeros((3, 4)), "small(), three tokens: positions 3, 4 and 5")


@pytest.mark.exercise("gpt_decode_step")
def test_token_by_token_gives_the_full_forward(submission):
    params, config = small()
    want, _ = submission.gpt_forward(TOKENS, params, config)
    kv_cache = {}
    for t in range(3):
        logits, kv_cache = submission.gpt_decode_step(TOKENS[:, t], kv_cache, params, config)
        expect_array(
            logits, want[:, t], f"small(), after token {t + 1}: the logits, and those of your gpt_forward"
        )


@pytest.mark.exercise("gpt_decode_step")
def test_the_cache_grows_by_one(submission):
    params, config = small()
    kv_cache = {}
    for t in range(2):
        _, kv_cache = submission.gpt_decode_step(TOKENS[:, t], kv_cache, params, config)
        names = sorted(kv_cache)
        expect(
            names == ["block0.k", "block0.v", "block1.k", "block1.v"],
            f"small(): the cache has the names {names}.",
        )
        expect(
            kv_cache["block1.v"].shape == (2, 2, t + 1, 2),
            f"small(): block1.v has shape {kv_cache['block1.v'].shape}.",
        )


@pytest.mark.exercise("gpt_step_on_kernels")
def test_a_step_on_the_device_gives_numpys_loss_and_gradients(submission):
    params, config = small(np.float32, 1)
    loss, grads = submission.gpt_step_on_kernels(TOKENS, LABELS, params, config)
    logits, cache = submission.gpt_forward(TOKENS, params, config)
    probs = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probs /= probs.sum(axis=-1, keepdims=True)
    onehot = np.arange(5) == LABELS[..., None]
    expect_array(loss, -np.log((probs * onehot).sum(axis=-1)).mean(), "small(): the loss")
    want = submission.gpt_backward((probs - onehot).astype(np.float32) / 6, cache)
    expect(
        set(grads) == set(params),
        f"small(): grads has the names {sorted(grads)}; one for each of params is needed.",
    )
    for name, value in want.items():
        size = float(np.abs(value).max()) + 1e-6
        expect_array(
            grads[name] / size, value / size, f"small(): the gradient of {name}, its largest number set to 1"
        )


@pytest.mark.exercise("gpt_step_on_kernels")
def test_nothing_goes_up_after_something_came_down(submission):
    params, config = small(np.float32, 1)
    submission.gpt_step_on_kernels(TOKENS, LABELS, params, config)
    log = submission.device_log
    expect(bool(log.launches), "No kernel was launched.")
    expect(
        log.n_returns == 0,
        f"{log.n_returns} arrays went up after one had come down: what happened to them between?",
    )


@pytest.mark.exercise("generate_on_kernels")
def test_the_device_writes_what_numpy_writes(submission):
    params, config = small(np.float32, 1)
    got = submission.generate_on_kernels(TOKENS[:, :2], params, config, 3)
    want = TOKENS[:, :2]
    for _ in range(3):
        logits, _ = submission.gpt_forward(want, params, config)
        want = np.concatenate([want, logits[:, -1].argmax(axis=-1)[:, None]], axis=1)
    expect_array(got, want, "small(), two tokens given, three to write")
    expect(
        submission.device_log.n_returns == 0,
        "A token came down and went up again; argmax_row's result can be read where it is.",
    )
