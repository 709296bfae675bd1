"""Hidden tests of the fused attention kernel and of the rotary kernel: numbers, masks, extremes, safety."""

import numpy as np
import pytest

from gradschool.grading import expect_close, tolerance

U = tolerance.U32
# n_batch, n_masks, n_queries, n_keys, n_heads, d_head: one of each, all different, a mask for two sequences,
# more keys than a workgroup of 64, a head wider than one.
CASES = [
    (1, 1, 1, 1, 1, 1),
    (2, 2, 5, 7, 3, 4),
    (4, 2, 3, 9, 2, 5),
    (3, 1, 7, 5, 3, 2),
    (2, 2, 2, 65, 1, 3),
    (1, 1, 2, 150, 2, 3),
    (1, 1, 2, 3, 2, 67),
]


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def layer(rng, case, share=0.6):
    """Return the kernel's arguments; every query may see at least one key."""
    n_batch, n_masks, n_queries, n_keys, n_heads, d_head = case
    mask = rng.random((n_masks, n_queries, n_keys)) < share
    open_keys = rng.integers(0, n_keys, (n_masks, n_queries, 1))
    np.put_along_axis(mask, open_keys, True, axis=2)
    return {
        "q": 2 * normal(rng, n_batch, n_queries, n_heads * d_head),
        "k": normal(rng, n_batch, n_keys, n_heads * d_head),
        "v": normal(rng, n_batch, n_keys, n_heads * d_head),
        "mask": mask.astype(np.uint32),
        "n_heads": n_heads,
        "d_head": d_head,
    }


def expect_attention(kernel, reference, arguments):
    """Compare with the same attention in float64, within an error that any order of sums keeps."""
    got = kernel("multi_head_attention_forward.wgsl", **arguments)
    n_heads, d_head = arguments["n_heads"], arguments["d_head"]
    q, k, v = (reference.split_heads(arguments[name].astype(np.float64), n_heads) for name in "qkv")
    mask = np.repeat(arguments["mask"] != 0, len(q) // len(arguments["mask"]), axis=0)[:, None]
    root, kt = np.sqrt(d_head), k.swapaxes(-1, -2)
    scores = np.where(mask, q @ kt / root, -np.inf)
    top = np.where(mask.any(axis=-1, keepdims=True), scores.max(axis=-1, keepdims=True), 0)
    weights = np.exp(scores - top)
    total = weights.sum(axis=-1, keepdims=True)
    attn = weights / np.where(total > 0, total, 1)
    below = np.where(mask, np.minimum(np.abs(np.where(mask, scores, 0) - top), 88), 0)
    error = attn * (U * (4 * root + 8) * (np.abs(q) @ np.abs(kt)) / root + 3 * U * below)
    size = attn @ np.abs(v)
    slack = error.sum(axis=-1, keepdims=True) + U * (20 + 4 * np.sqrt(k.shape[-2]))
    want, tol = attn @ v, error @ np.abs(v) + size * slack + tolerance.TINY32
    expect_close(got, reference.merge_heads(want), reference.merge_heads(tol), what="out")


@pytest.mark.exercise("multi_head_attention_forward.wgsl")
@pytest.mark.points(4)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_attention_kernel_numbers(kernel, reference, rng, case):
    expect_attention(kernel, reference, layer(rng, case))


def causal(rng):
    arguments = layer(rng, (2, 1, 4, 6, 2, 3))
    return {**arguments, "mask": np.tri(4, 6, 2, dtype=np.uint32)[None]}


def blind(rng):
    """Some queries may see nothing; elsewhere any number but 0 allows."""
    arguments = layer(rng, (2, 2, 5, 7, 3, 4), share=0.5)
    arguments["mask"][0, 1] = 0
    arguments["mask"][1] = 0
    return {**arguments, "mask": arguments["mask"] * np.uint32(3)}


def everything(rng):
    return layer(rng, (2, 1, 5, 7, 3, 4), share=2)


@pytest.mark.exercise("multi_head_attention_forward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("make", [causal, blind, everything])
def test_attention_kernel_under_masks(kernel, reference, rng, make):
    expect_attention(kernel, reference, make(rng))


def high_scores(rng):
    """Scores near 400: exp overflows unless the largest is taken off."""
    arguments = layer(rng, (2, 2, 3, 5, 2, 4))
    q, k = (np.abs(arguments[name]) + 1 for name in "qk")
    return {**arguments, "q": 20 * q, "k": 5 * k}


def low_scores(rng):
    """Scores far below -10,000: no finite number stands for "forbidden"."""
    arguments = high_scores(rng)
    return {**arguments, "q": -20 * arguments["q"]}


def loud_masked_key(rng):
    """A key behind the mask whose score is 300 above all others."""
    arguments = layer(rng, (1, 1, 3, 5, 2, 4), share=2)
    k = arguments["k"].copy()
    q = np.abs(arguments["q"]) + 1
    k[:, 2] = 200
    arguments["mask"][:, :, 2] = 0
    return {**arguments, "q": q, "k": k}


def late_winners(rng):
    """In each head another of 130 keys has the largest score, 140 above all others."""
    arguments = layer(rng, (1, 1, 2, 130, 4, 2), share=2)
    k = arguments["k"].copy()
    q = np.abs(arguments["q"]) + 1
    for head, key in enumerate((31, 40, 70, 129)):
        k[:, key, 2 * head : 2 * head + 2] = 100
    return {**arguments, "q": q, "k": k}


@pytest.mark.exercise("multi_head_attention_forward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("make", [high_scores, low_scores, loud_masked_key, late_winners])
def test_attention_kernel_with_scores_far_from_zero(kernel, reference, rng, make):
    expect_attention(kernel, reference, make(rng))


# More keys than 64 and than 256 lanes, a head wider than 64: what races between two pieces shows.
SAFE = [(2, 2, 3, 5, 3, 4), (1, 1, 2, 70, 1, 3), (1, 1, 1, 260, 1, 2), (1, 1, 1, 3, 2, 67)]


@pytest.mark.exercise("multi_head_attention_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", SAFE, ids=str)
def test_attention_kernel_is_safe(kernel, rng, case):
    kernel.safety("multi_head_attention_forward.wgsl", **layer(rng, case))


# n_batch, positions, d_head: one pair, all different, 63 to 65 pairs, many; both signs, far away.
TURNS = [
    (1, (0,), 2),
    (2, (3, 7, 8), 6),
    (3, (0, 1, 2, 3, 4), 4),
    (1, tuple(range(9)), 14),
    (4, tuple(range(8)), 4),
    (1, (5, -3, 0, 2, 11), 26),
    (3, (0, 17, -40, 900, 2, 2, 300), 10),
]


def turn(rng, case):
    n_batch, positions, d_head = case
    return {"x": normal(rng, n_batch, len(positions), d_head), "positions": np.array(positions, np.int32)}


@pytest.mark.exercise("rotary_forward.wgsl")
@pytest.mark.points(3)
@pytest.mark.parametrize("case", TURNS, ids=str)
def test_rotary_kernel_numbers(kernel, reference, rng, case):
    """WGSL lets sin and cos err by 2^-11, and a float32 angle by a few units of its size."""
    arguments = turn(rng, case)
    got = kernel("rotary_forward.wgsl", **arguments)
    x, positions = arguments["x"].astype(np.float64), arguments["positions"]
    want = reference.rotary_forward(x, positions)
    pairs = np.abs(x).reshape(*x.shape[:-1], -1, 2).sum(axis=-1).repeat(2, axis=-1)
    angle_error = 24 * U * np.abs(positions)[:, None]
    expect_close(got, want, pairs * (2.0**-11 + angle_error) + 4 * U * pairs, what="out")


@pytest.mark.exercise("rotary_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(2, (3, 7, 8), 6), (3, (1, 2, 3, 4, 5), 4)], ids=str)
def test_rotary_kernel_is_safe(kernel, rng, case):
    kernel.safety("rotary_forward.wgsl", **turn(rng, case))
