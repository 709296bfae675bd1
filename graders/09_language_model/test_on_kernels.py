"""Hidden graders of the model on the device: the numbers, and that NumPy had no part in them.

The kernels that answer here are the course's own: each of the learner's is judged in its own exercise.
"""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_equal, expect_raises
from gradschool.grading.expect import expect

# batch, seq, max_seq, n_vocab, d_model, n_heads, n_layers, d_ff. Small, for each launch is a message.
CASE = (2, 3, 5, 5, 6, 3, 2, 4)


def _gpt(rng, case):
    batch, seq, max_seq, n_vocab, d_model, n_heads, n_layers, d_ff = case
    shapes = {"table": (n_vocab, d_model), "positions": (max_seq, d_model)}
    for i in range(n_layers):
        block = {f"attn.{name}": (d_model, d_model) for name in ("wq", "wk", "wv", "wo")}
        block |= {f"{norm}.{name}": (d_model,) for norm in ("norm1", "norm2") for name in ("gamma", "beta")}
        block |= {"ff.w1": (d_model, d_ff), "ff.b1": (d_ff,), "ff.w2": (d_ff, d_model), "ff.b2": (d_model,)}
        shapes |= {f"block{i}.{name}": shape for name, shape in block.items()}
    shapes |= {"norm.gamma": (d_model,), "norm.beta": (d_model,)}
    params = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    tokens, labels = rng.integers(0, n_vocab, (2, batch, seq))
    return tokens, labels, params, {"n_layers": n_layers, "n_heads": n_heads}


def _want(reference, tokens, labels, params, config):
    wide = {name: value.astype(np.float64) for name, value in params.items()}
    logits, cache = reference.gpt_forward(tokens, wide, config)
    loss, dlogits = reference.cross_entropy(logits, labels)
    return loss, reference.gpt_backward(dlogits, cache)


def _expect_step(got, want):
    loss, grads = got
    expect(type(loss) is float, f"loss is a {type(loss).__name__}; a Python float is expected.")
    expect_close(np.asarray(loss), np.asarray(want[0]), 1e-4 * max(abs(want[0]), 1.0), what="loss")
    expect(isinstance(grads, dict), f"grads is {type(grads).__name__}; it should be a dict.")
    expect(
        set(grads) == set(want[1]),
        f"grads lacks {sorted(set(want[1]) - set(grads))}, has beside it {sorted(set(grads) - set(want[1]))}.",
    )
    largest = max(float(np.abs(value).max()) for value in want[1].values())
    for name, value in want[1].items():
        expect_close(grads[name], value, 2e-4 * largest, what=name, dtype=np.float32)


def _expect_on_device(log, n_downloads):
    first = next((i for i, event in enumerate(log.events) if event[0] == "launch"), 0)
    last = max((i for i, event in enumerate(log.events) if event[0] == "launch"), default=0)
    late = sum(kind == "upload" for kind, _ in log.events[first:])
    early = sum(kind == "download" for kind, _ in log.events[:last])
    expect(
        bool(log.launches), "No kernel was launched.", help="gs.kernel(...) on arrays of gs.to_device(...)."
    )
    expect(
        late == 0,
        f"{late} arrays went up to the device after the first launch.",
        help="Take up all that is needed first; what a kernel makes of device arrays stays there.",
    )
    expect(
        early == 0,
        f"{early} arrays came down before the last launch.",
        help="Call .numpy() on the results at the end, on nothing in between.",
    )
    expect(
        log.n_downloads <= n_downloads,
        f"{log.n_downloads} arrays came down; {n_downloads} are needed.",
        help="Bring each result down once.",
    )


@pytest.mark.exercise("gpt_step_on_kernels")
@pytest.mark.points(4)
def test_loss_and_gradients_of_a_step_on_the_device(submission, reference, rng):
    step = _gpt(rng, CASE)
    _expect_step(submission.gpt_step_on_kernels(*step), _want(reference, *step))
    _expect_on_device(submission.device_log, len(step[2]) + 1)


@pytest.mark.exercise("gpt_step_on_kernels")
@pytest.mark.points(2)
@pytest.mark.parametrize("places", [[1, 3], [0, 1, 3, 4, 5]], ids=["two do not", "one does"])
def test_labels_of_minus_one_do_not_count(submission, reference, rng, places):
    tokens, labels, params, config = _gpt(rng, (3, 2, 2, 4, 4, 1, 1, 3))
    labels.reshape(-1)[places] = -1
    labels[1, 0] = 0  # counts as any other token
    step = tokens, labels, params, config
    _expect_step(submission.gpt_step_on_kernels(*step), _want(reference, *step))


@pytest.mark.exercise("gpt_step_on_kernels")
@pytest.mark.points(1)
@pytest.mark.parametrize("wrong", ["shape", "none"])
def test_labels_that_do_not_fit_are_refused(submission, rng, wrong):
    tokens, labels, params, config = _gpt(rng, CASE)
    labels = labels[:, :2] if wrong == "shape" else np.full_like(labels, -1)
    expect_raises(submission.gpt_step_on_kernels, ValueError, tokens, labels, params, config)


def _writer(rng, case):
    """A model that writes many different tokens: no row of the table and no direction is favoured."""
    tokens, _, params, config = _gpt(rng, case)
    params["table"] *= 3 / np.linalg.norm(params["table"], axis=1, keepdims=True)
    params["norm.gamma"] = np.sign(params["norm.gamma"])
    params["norm.beta"] *= np.float32(0.1)
    for i in range(config["n_layers"]):
        params[f"block{i}.ff.b2"] *= np.float32(0.2)
    return tokens, params, config


def _greedy(reference, tokens, params, config, n_new):
    wide = {name: value.astype(np.float64) for name, value in params.items()}
    for _ in range(n_new):
        logits, _ = reference.gpt_forward(tokens, wide, config)
        tokens = np.concatenate([tokens, logits[:, -1].argmax(axis=-1)[:, None]], axis=1)
    return tokens


@pytest.mark.exercise("generate_on_kernels")
@pytest.mark.points(3)
def test_the_best_scored_token_again_and_again(submission, reference, rng):
    n_new = 3
    tokens, params, config = _writer(rng, (13, 2, 6, 97, 8, 2, 2, 5))
    got = submission.generate_on_kernels(tokens, params, config, n_new)
    _expect_on_device(submission.device_log, n_new)
    expect_equal(got, _greedy(reference, tokens, params, config, n_new).astype(np.int64), what="the tokens")


@pytest.mark.exercise("generate_on_kernels")
@pytest.mark.points(1)
def test_one_token_may_fill_the_last_place(submission, reference, rng):
    tokens, params, config = _writer(rng, (7, 3, 4, 97, 8, 2, 1, 5))
    got = submission.generate_on_kernels(tokens.astype(np.int32), params, config, 1)
    expect_equal(got, _greedy(reference, tokens, params, config, 1).astype(np.int64), what="the tokens")


@pytest.mark.exercise("generate_on_kernels")
@pytest.mark.points(1)
def test_of_equal_scores_the_first_wins(submission, rng):
    tokens, _, params, config = _gpt(rng, (3, 1, 4, 6, 4, 2, 1, 3))
    params["table"][:] = params["table"][:1]
    got = submission.generate_on_kernels(tokens, params, config, 2)
    want = np.concatenate([tokens, np.zeros((3, 2), np.int64)], axis=1)
    expect_equal(got, want.astype(np.int64), what="the tokens")


@pytest.mark.exercise("generate_on_kernels")
@pytest.mark.points(1)
@pytest.mark.parametrize("wrong", ["no prompt", "nothing new", "too long"])
def test_a_text_that_does_not_fit_is_refused(submission, rng, wrong):
    tokens, _, params, config = _gpt(rng, CASE)
    tokens = tokens[:, :0] if wrong == "no prompt" else tokens
    n_new = {"no prompt": 2, "nothing new": 0, "too long": 3}[wrong]
    expect_raises(submission.generate_on_kernels, ValueError, tokens, params, config, n_new)
