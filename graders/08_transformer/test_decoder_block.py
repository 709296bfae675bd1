"""Hidden graders of the decoder block: three branches, two masks, the gradient into the memory."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance
from gradschool.grading.expect import expect

# batch, seq, n_keys, d_model, d_ff, n_heads
CASES = [(2, 5, 7, 6, 10, 3), (1, 1, 4, 4, 3, 2), (3, 6, 2, 4, 9, 1), (2, 4, 1, 10, 7, 5)]
LEFT_OUT = [("norm",), ("residual",), ("feed_forward",), ("residual", "norm"), ("positions",)]


def _params(rng, d_model, d_ff, dtype):
    shapes = {
        f"{kind}.{w}": (d_model, d_model) for kind in ("self", "cross") for w in ("wq", "wk", "wv", "wo")
    }
    shapes |= {"ff.w1": (d_model, d_ff), "ff.b1": (d_ff,), "ff.w2": (d_ff, d_model), "ff.b2": (d_model,)}
    params = {name: rng.standard_normal(shape) / np.sqrt(shape[0]) for name, shape in shapes.items()}
    for i in (1, 2, 3):
        params |= {f"norm{i}.gamma": 0.5 + rng.random(d_model), f"norm{i}.beta": rng.standard_normal(d_model)}
    return {name: value.astype(dtype) for name, value in params.items()}


def _block(rng, case, dtype=np.float64):
    """Return x, memory, params, n_heads, the causal mask and a padding mask over the memory."""
    batch, seq, n_keys, d_model, d_ff, n_heads = case
    x = 2 * rng.standard_normal((batch, seq, d_model)) + rng.standard_normal(d_model)
    memory = rng.standard_normal((batch, n_keys, d_model)) + rng.standard_normal(d_model)
    lengths = rng.integers(1, n_keys + 1, batch)
    cross_mask = (np.arange(n_keys) < lengths[:, None])[:, None]
    params = _params(rng, d_model, d_ff, dtype)
    return (
        x.astype(dtype),
        memory.astype(dtype),
        params,
        n_heads,
        np.tril(np.ones((seq, seq), bool)),
        cross_mask,
    )


def _wide(block):
    x, memory, params, *rest = block
    params = {name: value.astype(np.float64) for name, value in params.items()}
    return x.astype(np.float64), memory.astype(np.float64), params, *rest


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


@pytest.mark.exercise("decoder_block_forward")
@pytest.mark.points(3)
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_three_branches_are_added_to_the_stream(submission, reference, rng, case, norm):
    block = _block(rng, case)
    out, _ = submission.decoder_block_forward(*block, norm)
    want, _ = reference.decoder_block_forward(*block, norm)
    expect_close(out, want, 1e-12 * np.abs(want).max(), what="out")


@pytest.mark.exercise("decoder_block_forward")
@pytest.mark.points(1)
def test_pre_norm_without_masks_is_the_default(submission, reference, rng):
    block = _block(rng, CASES[0])[:4]
    out, _ = submission.decoder_block_forward(*block)
    want, _ = reference.decoder_block_forward(*block)
    expect_close(out, want, 1e-12 * np.abs(want).max(), what="out")


@pytest.mark.exercise("decoder_block_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize("kind", ["self only", "cross only", "one per query", "no key allowed"])
def test_each_mask_belongs_to_its_attention(submission, reference, rng, kind):
    x, memory, params, n_heads, self_mask, cross_mask = _block(rng, CASES[0])
    if kind == "self only":
        cross_mask = None
    elif kind == "cross only":
        self_mask = None
    elif kind == "one per query":
        self_mask = np.broadcast_to(self_mask, (2, 5, 5)).copy()
        cross_mask = (rng.random((5, 7)) < 0.5) | (np.arange(7) == 0)
    else:
        cross_mask = cross_mask & np.array([True, False])[:, None, None]
    out, _ = submission.decoder_block_forward(x, memory, params, n_heads, self_mask, cross_mask)
    want, _ = reference.decoder_block_forward(x, memory, params, n_heads, self_mask, cross_mask)
    expect_close(out, want, 1e-12 * np.abs(want).max(), what="out")


@pytest.mark.exercise("decoder_block_forward")
@pytest.mark.points(1)
def test_a_later_token_changes_nothing_earlier(submission, rng):
    block = _block(rng, CASES[2])
    out, _ = submission.decoder_block_forward(*block)
    x = block[0].copy()
    x[:, 3:] = rng.standard_normal(x[:, 3:].shape)
    changed, _ = submission.decoder_block_forward(x, *block[1:])
    expect(np.shape(out) == x.shape, f"out has shape {np.shape(out)}; expected {x.shape}.")
    expect_close(changed[:, :3], out[:, :3], 1e-12 * np.abs(out).max(), what="out before the changed tokens")


@pytest.mark.exercise("decoder_block_forward")
@pytest.mark.points(1)
def test_the_cache_shows_what_cross_attention_reads(submission, reference, rng):
    block = _block(rng, CASES[0])
    _, cache = submission.decoder_block_forward(*block)
    _, want = reference.decoder_block_forward(*block)
    expect(
        isinstance(cache, dict) and "cross_attn" in cache, "The cache is a dict with the key 'cross_attn'."
    )
    expect_close(cache["cross_attn"], want["cross_attn"], 1e-12, what="cache['cross_attn']")


@pytest.mark.exercise("decoder_block_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("without", LEFT_OUT, ids="+".join)
def test_a_part_of_the_decoder_block_is_left_out(submission, reference, rng, norm, without):
    block = _block(rng, CASES[0])
    out, _ = submission.decoder_block_forward(*block, norm, without)
    want, _ = reference.decoder_block_forward(*block, norm, without)
    expect_close(out, want, 1e-12 * np.abs(want).max(), what=f"out without {' and '.join(without)}")


@pytest.mark.exercise("decoder_block_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("wrong", ["x", "memory", "x without axes", "memory without axes", "norm"])
def test_what_is_no_decoder_block_is_refused(submission, rng, wrong):
    x, memory, *rest = _block(rng, CASES[0])
    x = {"x": x[0], "x without axes": x[0, 0, 0]}.get(wrong, x)
    memory = {"memory": memory[0], "memory without axes": memory[0, 0, 0]}.get(wrong, memory)
    norm = "none" if wrong == "norm" else "post"
    expect_raises(submission.decoder_block_forward, ValueError, x, memory, *rest, norm)


def _gradients(submission, reference, rng, case, norm, without=(), dtype=np.float64):
    block = _block(rng, case, dtype)
    out, want_cache = reference.decoder_block_forward(*_wide(block), norm, without)
    dout = rng.standard_normal(out.shape).astype(dtype)
    _, cache = submission.decoder_block_forward(*block, norm, without)
    got = submission.decoder_block_backward(dout, cache)
    return got, reference.decoder_block_backward(dout.astype(np.float64), want_cache)


@pytest.mark.exercise("decoder_block_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_dx_of_the_decoder_block_comes_through_stream_and_branches(submission, reference, rng, case, norm):
    (dx, _, _), (want, _, _) = _gradients(submission, reference, rng, case, norm)
    expect_close(dx, want, tolerance.gradient(want, 100), what="dx")


@pytest.mark.exercise("decoder_block_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_memory_gets_a_gradient(submission, reference, rng, case, norm):
    (_, dmemory, _), (_, want, _) = _gradients(submission, reference, rng, case, norm)
    expect_close(dmemory, want, tolerance.gradient(want, 100), what="dmemory")


@pytest.mark.exercise("decoder_block_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_parameter_of_the_decoder_block_has_its_gradient(submission, reference, rng, case, norm):
    (_, _, grads), (_, _, want) = _gradients(submission, reference, rng, case, norm)
    _expect_grads(grads, want)


@pytest.mark.exercise("decoder_block_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("without", LEFT_OUT, ids="+".join)
def test_what_the_decoder_block_leaves_out_has_gradients_of_zero(submission, reference, rng, norm, without):
    got, want = _gradients(submission, reference, rng, CASES[0], norm, without)
    expect_close(got[0], want[0], tolerance.gradient(want[0], 100), what="dx")
    expect_close(got[1], want[1], tolerance.gradient(want[1], 100), what="dmemory")
    _expect_grads(got[2], want[2])


@pytest.mark.exercise("decoder_block_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_gradients_of_a_float32_decoder_block_are_float32(submission, reference, rng, norm):
    got, want = _gradients(submission, reference, rng, CASES[0], norm, dtype=np.float32)
    for name, one, other in zip(("dx", "dmemory"), got[:2], want[:2], strict=True):
        expect_close(one, other, 1e-4 * np.abs(other).max(), what=name, dtype=np.float32)
    _expect_grads(got[2], want[2], 1e-4, np.float32)


@pytest.mark.exercise("decoder_block_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(1, 5, 6), (2, 7, 6)], ids=str)
def test_the_decoder_block_refuses_an_upstream_gradient_of_another_shape(submission, rng, shape):
    _, cache = submission.decoder_block_forward(*_block(rng, CASES[0]))
    expect_raises(submission.decoder_block_backward, ValueError, rng.standard_normal(shape), cache)
