"""Hidden graders of the encoder block: both orders of norm, masks, parts left out, gradients."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance
from gradschool.grading.expect import expect

# batch, seq, d_model, d_ff, n_heads
CASES = [(2, 5, 6, 10, 3), (1, 1, 4, 3, 2), (3, 7, 4, 9, 1), (2, 4, 10, 7, 5)]
LEFT_OUT = [("norm",), ("residual",), ("feed_forward",), ("residual", "norm"), ("positions",)]


def _params(rng, d_model, d_ff, dtype):
    shapes = {f"attn.{name}": (d_model, d_model) for name in ("wq", "wk", "wv", "wo")}
    shapes |= {"ff.w1": (d_model, d_ff), "ff.b1": (d_ff,), "ff.w2": (d_ff, d_model), "ff.b2": (d_model,)}
    params = {name: rng.standard_normal(shape) / np.sqrt(shape[0]) for name, shape in shapes.items()}
    for i in (1, 2):
        params |= {f"norm{i}.gamma": 0.5 + rng.random(d_model), f"norm{i}.beta": rng.standard_normal(d_model)}
    return {name: value.astype(dtype) for name, value in params.items()}


def _block(rng, case, dtype=np.float64):
    """Return x, params, n_heads and a mask in which every place may look at something."""
    batch, seq, d_model, d_ff, n_heads = case
    x = 2 * rng.standard_normal((batch, seq, d_model)) + rng.standard_normal(d_model)
    mask = (rng.random((batch, seq, seq)) < 0.5) | np.eye(seq, dtype=bool)
    return x.astype(dtype), _params(rng, d_model, d_ff, dtype), n_heads, mask


def _wide(block):
    x, params, *rest = block
    return x.astype(np.float64), {name: value.astype(np.float64) for name, value in params.items()}, *rest


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
        expect_close(got[name], value, relative * max(largest, 1e-30), what=f"grads[{name!r}]", dtype=dtype)


@pytest.mark.exercise("encoder_block_forward")
@pytest.mark.points(3)
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_two_branches_are_added_to_the_stream(submission, reference, rng, case, norm):
    block = _block(rng, case)
    out, _ = submission.encoder_block_forward(*block, norm)
    want, _ = reference.encoder_block_forward(*block, norm)
    expect_close(out, want, 1e-12 * np.abs(want).max(), what="out")


@pytest.mark.exercise("encoder_block_forward")
@pytest.mark.points(1)
def test_pre_norm_without_a_mask_is_the_default(submission, reference, rng):
    block = _block(rng, CASES[0])[:3]
    out, _ = submission.encoder_block_forward(*block)
    want, _ = reference.encoder_block_forward(*block)
    expect_close(out, want, 1e-12 * np.abs(want).max(), what="out")


@pytest.mark.exercise("encoder_block_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize("kind", ["causal", "padding", "nothing allowed"])
def test_every_shape_of_mask(submission, reference, rng, kind):
    x, params, n_heads, mask = _block(rng, CASES[0])
    if kind == "causal":
        mask = np.tril(np.ones((5, 5), bool))
    elif kind == "padding":
        mask = (np.arange(5) < np.array([3, 5])[:, None])[:, None]
    else:
        mask[1] = False
    out, _ = submission.encoder_block_forward(x, params, n_heads, mask)
    want, _ = reference.encoder_block_forward(x, params, n_heads, mask)
    expect_close(out, want, 1e-12 * np.abs(want).max(), what="out")


@pytest.mark.exercise("encoder_block_forward")
@pytest.mark.points(1)
def test_what_stands_in_padding_changes_nothing_before_it(submission, rng):
    x, params, n_heads, _ = _block(rng, CASES[2])
    mask = np.broadcast_to(np.arange(7) < 4, (3, 1, 7)).copy()
    out, _ = submission.encoder_block_forward(x, params, n_heads, mask)
    other = x.copy()
    other[:, 4:] = rng.standard_normal(other[:, 4:].shape)
    changed, _ = submission.encoder_block_forward(other, params, n_heads, mask)
    expect(np.shape(out) == x.shape, f"out has shape {np.shape(out)}; expected {x.shape}.")
    expect_close(changed[:, :4], out[:, :4], 1e-12 * np.abs(out).max(), what="out before the padding")


@pytest.mark.exercise("encoder_block_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("without", LEFT_OUT, ids="+".join)
def test_a_part_of_the_encoder_block_is_left_out(submission, reference, rng, norm, without):
    block = _block(rng, CASES[0])
    out, _ = submission.encoder_block_forward(*block, norm, without)
    want, _ = reference.encoder_block_forward(*block, norm, without)
    expect_close(out, want, 1e-12 * np.abs(want).max(), what=f"out without {' and '.join(without)}")


@pytest.mark.exercise("encoder_block_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_block_of_float32_stays_float32(submission, reference, rng, norm):
    block = _block(rng, CASES[3], np.float32)
    out, _ = submission.encoder_block_forward(*block, norm)
    want, _ = reference.encoder_block_forward(*_wide(block), norm)
    expect_close(out, want, 1e-4 * np.abs(want).max(), what="out", dtype=np.float32)


@pytest.mark.exercise("encoder_block_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("wrong", ["no axis", "two axes", "four axes", "norm"])
def test_what_is_no_encoder_block_is_refused(submission, rng, wrong):
    x, params, n_heads, _ = _block(rng, CASES[0])
    x = {"no axis": x[0, 0, 0], "two axes": x[0], "four axes": x[None]}.get(wrong, x)
    norm = {"norm": "both", "no axis": "post"}.get(wrong, "pre")
    expect_raises(submission.encoder_block_forward, ValueError, x, params, n_heads, None, norm)


def _gradients(submission, reference, rng, case, norm, without=(), dtype=np.float64):
    block = _block(rng, case, dtype)
    out, want_cache = reference.encoder_block_forward(*_wide(block), norm, without)
    dout = rng.standard_normal(out.shape).astype(dtype)
    _, cache = submission.encoder_block_forward(*block, norm, without)
    got = submission.encoder_block_backward(dout, cache)
    return got, reference.encoder_block_backward(dout.astype(np.float64), want_cache)


@pytest.mark.exercise("encoder_block_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_dx_of_the_encoder_block_comes_through_stream_and_branches(submission, reference, rng, case, norm):
    (dx, _), (want, _) = _gradients(submission, reference, rng, case, norm)
    expect_close(dx, want, tolerance.gradient(want, 100), what="dx")


@pytest.mark.exercise("encoder_block_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_parameter_of_the_encoder_block_has_its_gradient(submission, reference, rng, case, norm):
    (_, grads), (_, want) = _gradients(submission, reference, rng, case, norm)
    _expect_grads(grads, want)


@pytest.mark.exercise("encoder_block_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("without", LEFT_OUT, ids="+".join)
def test_what_the_encoder_block_leaves_out_has_gradients_of_zero(submission, reference, rng, norm, without):
    (dx, grads), (want, want_grads) = _gradients(submission, reference, rng, CASES[0], norm, without)
    expect_close(dx, want, tolerance.gradient(want, 100), what="dx")
    _expect_grads(grads, want_grads)


@pytest.mark.exercise("encoder_block_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_gradients_of_a_float32_encoder_block_are_float32(submission, reference, rng, norm):
    (dx, grads), (want, want_grads) = _gradients(submission, reference, rng, CASES[3], norm, dtype=np.float32)
    expect_close(dx, want, 1e-4 * np.abs(want).max(), what="dx", dtype=np.float32)
    _expect_grads(grads, want_grads, 1e-4, np.float32)


@pytest.mark.exercise("encoder_block_backward")
@pytest.mark.points(1)
def test_a_cache_serves_twice(submission, reference, rng):
    block = _block(rng, CASES[0])
    out, want_cache = reference.encoder_block_forward(*block)
    _, cache = submission.encoder_block_forward(*block)
    for _ in range(2):
        dout = rng.standard_normal(out.shape)
        dx, grads = submission.encoder_block_backward(dout, cache)
        want, want_grads = reference.encoder_block_backward(dout, want_cache)
        expect_close(dx, want, tolerance.gradient(want, 100), what="dx")
        _expect_grads(grads, want_grads)


@pytest.mark.exercise("encoder_block_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(1, 5, 6), (2, 5, 1)], ids=str)
def test_the_encoder_block_refuses_an_upstream_gradient_of_another_shape(submission, rng, shape):
    _, cache = submission.encoder_block_forward(*_block(rng, CASES[0]))
    expect_raises(submission.encoder_block_backward, ValueError, rng.standard_normal(shape), cache)
