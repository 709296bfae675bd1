"""Hidden graders of the whole model: logits, masks, tables, gradients of every parameter."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises
from gradschool.grading.expect import expect

# batch, src_seq, tgt_seq, n_vocab, d_model, d_ff, n_heads, n_layers, norm
CASES = [
    (2, 5, 4, 7, 6, 5, 3, 1, "pre"),
    (3, 4, 6, 5, 4, 7, 2, 2, "post"),
    (1, 1, 1, 3, 5, 4, 1, 2, "pre"),
    (2, 3, 5, 6, 8, 3, 4, 3, "pre"),
]
TABLES = ["tied", "two tables", "not tied", "two tables, not tied"]
LEFT_OUT = [("positions",), ("norm",), ("residual",), ("feed_forward",), ("norm", "positions")]


def _block(rng, kinds, d_model, d_ff):
    shapes = {f"{kind}.{w}": (d_model, d_model) for kind in kinds for w in ("wq", "wk", "wv", "wo")}
    shapes |= {"ff.w1": (d_model, d_ff), "ff.b1": (d_ff,), "ff.w2": (d_ff, d_model), "ff.b2": (d_model,)}
    params = {name: rng.standard_normal(shape) / np.sqrt(shape[0]) for name, shape in shapes.items()}
    for i in range(1, len(kinds) + 2):
        params |= {f"norm{i}.gamma": 0.5 + rng.random(d_model), f"norm{i}.beta": rng.standard_normal(d_model)}
    return params


def _model(rng, case, tables="tied", dtype=np.float64, without=()):
    """Return src with padding, tgt, params and config."""
    batch, src_seq, tgt_seq, n_vocab, d_model, d_ff, n_heads, n_layers, norm = case
    sizes = {"table": n_vocab} if "two" not in tables else {"src_table": n_vocab, "tgt_table": n_vocab + 2}
    params = {name: rng.standard_normal((size, d_model)) for name, size in sizes.items()}
    for i in range(n_layers):
        for side, kinds in (("enc", ("attn",)), ("dec", ("self", "cross"))):
            block = _block(rng, kinds, d_model, d_ff)
            params |= {f"{side}{i}.{name}": value for name, value in block.items()}
    for name in ("enc_norm", "dec_norm") if norm == "pre" else ():
        params |= {f"{name}.gamma": 0.5 + rng.random(d_model), f"{name}.beta": rng.standard_normal(d_model)}
    n_out = list(sizes.values())[-1]
    if "not tied" in tables:
        params["w_out"] = rng.standard_normal((d_model, n_out))
    # Never token 0, and never a batch in which nothing is padding.
    pad = int(rng.integers(1, n_vocab))
    lengths = rng.integers(1, src_seq + 1, batch)
    lengths[-1] = max(1, src_seq - 1)
    real = (pad + rng.integers(1, n_vocab, (batch, src_seq))) % n_vocab
    src = np.where(np.arange(src_seq) < lengths[:, None], real, pad)
    # In a target the same token is read like any other.
    tgt = rng.integers(0, n_out, (batch, tgt_seq))
    tgt[0, tgt_seq // 2] = pad
    config = {"n_heads": n_heads, "n_layers": n_layers, "norm": norm, "pad": pad}
    if without:
        config["without"] = without
    params = {name: value.astype(dtype) for name, value in params.items()}
    return src, tgt, params, config


def _wide(model):
    src, tgt, params, config = model
    return src, tgt, {name: value.astype(np.float64) for name, value in params.items()}, config


def _expect_grads(got, want, relative=1e-12, dtype=None):
    expect(isinstance(got, dict), f"grads is {type(got).__name__}; it should be a dict.")
    expect(
        set(got) == set(want),
        f"grads lacks {sorted(set(want) - set(got))}, has beside it {sorted(set(got) - set(want))}.",
        help="One entry for each parameter, under its own name.",
    )
    largest = max(float(np.abs(value).max()) for value in want.values())
    for name, value in want.items():
        # Some gradients are exactly 0, and their rounding is that of the others.
        expect_close(got[name], value, relative * largest, what=f"grads[{name!r}]", dtype=dtype)


def _expect_logits(submission, reference, model, what="logits"):
    logits, _ = submission.transformer_forward(*model)
    want, _ = reference.transformer_forward(*model)
    expect_close(logits, want, 1e-12 * np.abs(want).max(), what=what)


@pytest.mark.exercise("transformer_forward")
@pytest.mark.points(3)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_logits_of_encoder_and_decoder(submission, reference, rng, case):
    _expect_logits(submission, reference, _model(rng, case))


@pytest.mark.exercise("transformer_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("tables", TABLES[1:])
def test_two_tables_and_an_output_of_its_own(submission, reference, rng, tables):
    _expect_logits(submission, reference, _model(rng, CASES[0], tables))


@pytest.mark.exercise("transformer_forward")
@pytest.mark.points(1)
def test_a_source_of_nothing_but_padding_is_no_accident(submission, reference, rng):
    src, tgt, params, config = _model(rng, CASES[1])
    src[1] = config["pad"]
    _expect_logits(submission, reference, (src, tgt, params, config))


@pytest.mark.exercise("transformer_forward")
@pytest.mark.points(1)
def test_padding_may_be_any_length(submission, rng):
    src, tgt, params, config = _model(rng, CASES[3])
    logits, _ = submission.transformer_forward(src, tgt, params, config)
    longer = np.concatenate([src, np.full((2, 4), config["pad"])], axis=1)
    same, _ = submission.transformer_forward(longer, tgt, params, config)
    expect_close(same, logits, 1e-12 * np.abs(logits).max(), what="logits with four more tokens of padding")


@pytest.mark.exercise("transformer_forward")
@pytest.mark.points(1)
def test_a_later_target_changes_no_earlier_prediction(submission, rng):
    src, tgt, params, config = _model(rng, CASES[1])
    logits, _ = submission.transformer_forward(src, tgt, params, config)
    other = tgt.copy()
    other[:, 3:] = (tgt[:, 3:] + 1) % 5
    changed, _ = submission.transformer_forward(src, other, params, config)
    expect(np.shape(logits) == (3, 6, 5), f"logits has shape {np.shape(logits)}; expected (3, 6, 5).")
    expect_close(changed[:, :3], logits[:, :3], 1e-12 * np.abs(logits).max(), what="logits before the change")


@pytest.mark.exercise("transformer_forward")
@pytest.mark.points(1)
def test_the_cache_shows_every_cross_attention(submission, reference, rng):
    model = _model(rng, CASES[1])
    _, cache = submission.transformer_forward(*model)
    _, want = reference.transformer_forward(*model)
    expect(
        isinstance(cache, dict) and "cross_attn" in cache, "The cache is a dict with the key 'cross_attn'."
    )
    maps = cache["cross_attn"]
    expect(isinstance(maps, list | tuple) and len(maps) == 2, "cache['cross_attn'] has one entry per block.")
    for i, one in enumerate(maps):
        expect_close(one, want["cross_attn"][i], 1e-12, what=f"cache['cross_attn'][{i}]")


@pytest.mark.exercise("transformer_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", CASES[:2], ids=str)
@pytest.mark.parametrize("without", LEFT_OUT, ids="+".join)
def test_a_part_is_left_out(submission, reference, rng, case, without):
    model = _model(rng, case, without=without)
    _expect_logits(submission, reference, model, f"logits without {' and '.join(without)}")


@pytest.mark.exercise("transformer_forward")
@pytest.mark.points(1)
def test_logits_of_a_float32_model_are_float32(submission, reference, rng):
    model = _model(rng, CASES[0], dtype=np.float32)
    logits, _ = submission.transformer_forward(*model)
    want, _ = reference.transformer_forward(*_wide(model))
    expect_close(logits, want, 1e-4 * np.abs(want).max(), what="logits", dtype=np.float32)


@pytest.mark.exercise("transformer_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("wrong", ["src", "tgt", "flat src", "flat tgt", "batch"])
def test_tokens_that_do_not_fit_are_refused(submission, rng, wrong):
    src, tgt, params, config = _model(rng, CASES[0])
    src = {"src": src[0], "flat src": src[:, 0], "batch": src[:1]}.get(wrong, src)
    tgt = {"tgt": tgt[0], "flat tgt": tgt[:, 0]}.get(wrong, tgt)
    expect_raises(submission.transformer_forward, ValueError, src, tgt, params, config)


def _gradients(submission, reference, rng, model):
    logits, want_cache = reference.transformer_forward(*_wide(model))
    dlogits = rng.standard_normal(logits.shape).astype(next(iter(model[2].values())).dtype)
    _, cache = submission.transformer_forward(*model)
    got = submission.transformer_backward(dlogits, cache)
    return got, reference.transformer_backward(dlogits.astype(np.float64), want_cache)


@pytest.mark.exercise("transformer_backward")
@pytest.mark.points(3)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_parameter_of_the_model_has_its_gradient(submission, reference, rng, case):
    _expect_grads(*_gradients(submission, reference, rng, _model(rng, case)))


@pytest.mark.exercise("transformer_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("tables", TABLES[1:])
def test_gradients_of_two_tables_and_an_output_of_its_own(submission, reference, rng, tables):
    _expect_grads(*_gradients(submission, reference, rng, _model(rng, CASES[0], tables)))


@pytest.mark.exercise("transformer_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", CASES[:2], ids=str)
@pytest.mark.parametrize("without", LEFT_OUT, ids="+".join)
def test_what_is_left_out_has_gradients_of_zero(submission, reference, rng, case, without):
    _expect_grads(*_gradients(submission, reference, rng, _model(rng, case, without=without)))


@pytest.mark.exercise("transformer_backward")
@pytest.mark.points(1)
def test_gradients_of_a_float32_model_are_float32(submission, reference, rng):
    got, want = _gradients(submission, reference, rng, _model(rng, CASES[0], dtype=np.float32))
    _expect_grads(got, want, 1e-4, np.float32)


@pytest.mark.exercise("transformer_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(1, 4, 7), (2, 4, 6), ()], ids=str)
def test_the_model_refuses_an_upstream_gradient_of_another_shape(submission, rng, shape):
    _, cache = submission.transformer_forward(*_model(rng, CASES[0]))
    expect_raises(submission.transformer_backward, ValueError, rng.standard_normal(shape), cache)
