"""Hidden tests of the masked softmax kernels: numbers, masks, extreme scores, safety."""

import numpy as np
import pytest

from gradschool.grading import expect_close, tolerance

# n_batch, n_masks, n_queries, n_keys: one; one mask for all; one each; shared by two; rows around 32, 64 and 256.
CASES = [
    (1, 1, 1, 1),
    (3, 1, 5, 7),
    (3, 3, 2, 33),
    (4, 2, 3, 63),
    (6, 3, 2, 64),
    (2, 1, 3, 65),
    (2, 2, 2, 257),
    (1, 1, 2, 515),
]
# Columns in the upper half of every usual workgroup and past its end.
LATE = [31, 41, 70, 141, 191, 259, 300]


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def some_keys(rng, *shape):
    mask = rng.random(shape) < 0.6
    mask[..., -1] = True
    return mask


def masked_tolerance(scores, mask):
    visible = np.where(mask, scores, -np.inf)
    # A row with nothing allowed is 0 on the dot.
    alive = mask.any(axis=-1, keepdims=True)
    return np.where(alive, tolerance.softmax(np.where(alive, visible, 0.0)), tolerance.TINY32)


def expect_attn(kernel, reference, scores, mask, marks=(0, 1)):
    """Run the kernel; `marks` are the words that forbid and allow."""
    words = np.where(mask, np.uint32(marks[1]), np.uint32(marks[0])).astype(np.uint32)
    got = kernel("masked_softmax_forward.wgsl", scores=scores, mask=words)
    wide = scores.astype(np.float64)
    each = np.repeat(mask, len(scores) // len(mask), axis=0)
    want, _ = reference.masked_softmax_forward(wide, each)
    expect_close(got, want, masked_tolerance(wide, each), what="attn")


@pytest.mark.exercise("masked_softmax_forward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_masked_softmax_kernel_numbers(kernel, reference, rng, case):
    n_batch, n_masks, n_queries, n_keys = case
    scores = 3 * normal(rng, n_batch, n_queries, n_keys)
    expect_attn(kernel, reference, scores, some_keys(rng, n_masks, n_queries, n_keys))


@pytest.mark.exercise("masked_softmax_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(1, 1, 3, 5), (4, 2, 3, 67)], ids=str)
def test_masked_softmax_kernel_gives_zeros_where_nothing_is_allowed(kernel, reference, rng, case):
    n_batch, n_masks, n_queries, n_keys = case
    mask = some_keys(rng, n_masks, n_queries, n_keys)
    mask[:, 1] = False
    expect_attn(kernel, reference, normal(rng, n_batch, n_queries, n_keys), mask)


@pytest.mark.exercise("masked_softmax_forward.wgsl")
@pytest.mark.points(1)
def test_masked_softmax_kernel_takes_any_word_but_zero_for_yes(kernel, reference, rng):
    expect_attn(kernel, reference, normal(rng, 2, 3, 67), some_keys(rng, 1, 3, 67), marks=(0, 0x80000000))


def very_low(rng):
    """Near -1e5 a finite number in place of a forbidden score would be the largest of its row."""
    return normal(rng, 2, 3, 67) - np.float32(1e5), some_keys(rng, 1, 3, 67)


def shifted_up(rng):
    return 100 + normal(rng, 2, 3, 67), some_keys(rng, 2, 3, 67)


def wide_spread(rng):
    return 1000 * normal(rng, 1, 4, 131), some_keys(rng, 1, 4, 131)


def rows_far_apart(rng):
    return normal(rng, 1, 3, 67) + np.float32([[-1000], [1000], [0]]), some_keys(rng, 1, 3, 67)


def forbidden_and_high(rng):
    mask = some_keys(rng, 2, 3, 67)
    return np.where(mask, normal(rng, 2, 3, 67), np.float32(1e4)), mask


def late_maximum(rng):
    """The maximum lies past any one workgroup's first columns, and by more than exp can bear."""
    scores, mask = normal(rng, 1, len(LATE), 301), some_keys(rng, 1, len(LATE), 301)
    scores[0, np.arange(len(LATE)), LATE] = 120
    mask[0, np.arange(len(LATE)), LATE] = True
    return scores, mask


def only_late_keys(rng):
    """Whole workgroups of keys are forbidden before the first allowed one comes."""
    mask = some_keys(rng, 1, 3, 269)
    mask[0, 0, :70] = mask[0, 1, :259] = mask[0, 2, :-1] = False
    return normal(rng, 1, 3, 269), mask


EXTREMES = [
    very_low,
    shifted_up,
    wide_spread,
    rows_far_apart,
    forbidden_and_high,
    late_maximum,
    only_late_keys,
]


@pytest.mark.exercise("masked_softmax_forward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("make", EXTREMES)
def test_masked_softmax_kernel_on_extreme_rows(kernel, reference, rng, make):
    expect_attn(kernel, reference, *make(rng))


@pytest.mark.exercise("masked_softmax_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(1, 1, 3, 5), (4, 2, 2, 133), (1, 1, 1, 515)], ids=str)
def test_masked_softmax_kernel_is_safe(kernel, rng, case):
    n_batch, n_masks, n_queries, n_keys = case
    mask = some_keys(rng, n_masks, n_queries, n_keys).astype(np.uint32)
    kernel.safety("masked_softmax_forward.wgsl", scores=normal(rng, n_batch, n_queries, n_keys), mask=mask)


def weights(rng, reference, n_batch, n_queries, n_keys):
    mask = some_keys(rng, n_batch, n_queries, n_keys)
    mask[0, 0] = False
    return reference.masked_softmax_forward(2 * normal(rng, n_batch, n_queries, n_keys), mask)[0]


def expect_dscores(kernel, reference, dattn, attn):
    got = kernel("masked_softmax_backward.wgsl", dattn=dattn, attn=attn)
    dattn, attn = dattn.astype(np.float64), attn.astype(np.float64)
    # The inner product errs like a matmul of its row; then one difference and one or two products
    # round, each by u times what enters it (written as attn * dattn - attn * inner, both terms round).
    products = dattn * attn
    inner = np.abs(products.sum(axis=-1, keepdims=True))
    tol = attn * (
        tolerance.summation(products)[..., None]
        + 2 * tolerance.U32 * np.abs(products).sum(axis=-1, keepdims=True)
        + 3 * tolerance.U32 * (np.abs(dattn) + inner)
    )
    expect_close(got, reference.masked_softmax_backward(dattn, attn), tol + tolerance.TINY32, what="dscores")


@pytest.mark.exercise("masked_softmax_backward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_masked_softmax_backward_kernel_numbers(kernel, reference, rng, case):
    n_batch, _, n_queries, n_keys = case
    attn = weights(rng, reference, n_batch, n_queries + 1, n_keys)
    expect_dscores(kernel, reference, normal(rng, *attn.shape), attn)


def far_from_zero(rng, reference):
    """Only differences of dattn matter, however large what they have in common."""
    return 1000 + normal(rng, 2, 3, 77), weights(rng, reference, 2, 3, 77)


def certain_rows(rng, reference):
    """One key has all the weight: nothing can grow, the gradient is 0."""
    attn = np.zeros((2, 2, 139), np.float32)
    attn[[0, 0, 1, 1], [0, 1, 0, 1], [0, 20, 70, 138]] = 1
    return normal(rng, 2, 2, 139), attn


def one_late_key(rng, reference):
    """What the gradient depends on lies past the first workgroup's columns."""
    dattn = np.zeros((1, len(LATE), 301), np.float32)
    dattn[0, np.arange(len(LATE)), LATE] = 1
    attn, _ = reference.masked_softmax_forward(normal(rng, *dattn.shape), None)
    return dattn, attn


@pytest.mark.exercise("masked_softmax_backward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("make", [far_from_zero, certain_rows, one_late_key])
def test_masked_softmax_backward_kernel_on_extreme_rows(kernel, reference, rng, make):
    expect_dscores(kernel, reference, *make(rng, reference))


@pytest.mark.exercise("masked_softmax_backward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(1, 3, 5), (3, 2, 133), (1, 2, 515)], ids=str)
def test_masked_softmax_backward_kernel_is_safe(kernel, reference, rng, case):
    kernel.safety(
        "masked_softmax_backward.wgsl", dattn=normal(rng, *case), attn=weights(rng, reference, *case)
    )
