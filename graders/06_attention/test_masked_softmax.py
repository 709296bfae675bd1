"""Hidden graders of the masked softmax: values, masks of every shape, extreme scores, backward."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_equal, expect_raises, tolerance

# shape of the scores, shape of the mask: full, one for all, per sequence, per key, per query, heads, single.
CASES = [
    ((2, 5, 7), (2, 5, 7)),
    ((2, 5, 7), (5, 7)),
    ((3, 4, 6), (3, 1, 6)),
    ((2, 3, 4, 5), (1, 1, 4, 5)),
    ((2, 3, 4, 5), (2, 1, 1, 5)),
    ((3, 5, 4), (3, 5, 1)),
    ((4, 4), (4, 4)),
    ((1, 1), (1, 1)),
    ((6,), (6,)),
]


def _mask(rng, shape, dead=False):
    """Some keys of each row; with `dead`, the first row has none."""
    mask = rng.random(shape) < 0.6
    mask[..., 0] = True
    if dead:
        mask.reshape(-1, shape[-1])[0] = False
    return mask


def _expect(submission, reference, scores, mask):
    got, _ = submission.masked_softmax_forward(scores, mask)
    want, _ = reference.masked_softmax_forward(scores, mask)
    expect_close(got, want, 1e-12, what="attn")


@pytest.mark.exercise("masked_softmax_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize(("shape", "mask_shape"), CASES, ids=str)
def test_allowed_keys_share_the_weight(submission, reference, rng, shape, mask_shape):
    _expect(submission, reference, 2 * rng.standard_normal(shape), _mask(rng, mask_shape))


@pytest.mark.exercise("masked_softmax_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(2, 5, 7), (1, 1), (2, 3, 4, 5)], ids=str)
def test_without_a_mask_everything_is_allowed(submission, reference, rng, shape):
    scores = 2 * rng.standard_normal(shape)
    _expect(submission, reference, scores, None)
    _expect(submission, reference, scores, np.ones(shape, bool))


@pytest.mark.exercise("masked_softmax_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize(
    ("shape", "mask_shape"), [CASES[0], CASES[1], CASES[2], CASES[4], ((3, 1), (3, 1))], ids=str
)
def test_a_row_with_nothing_allowed_gives_zeros(submission, reference, rng, shape, mask_shape):
    _expect(submission, reference, rng.standard_normal(shape), _mask(rng, mask_shape, dead=True))


def _very_low(rng):
    """A finite number in place of a forbidden score would be the largest of its row."""
    return rng.standard_normal((2, 5, 7)) - 1e5


def _very_high(rng):
    return rng.standard_normal((2, 5, 7)) + 1e3


def _rows_far_apart(rng):
    return rng.standard_normal((2, 5, 7)) + 2000 * rng.permutation(10).reshape(2, 5, 1)


def _wide_spread(rng):
    return 1e3 * rng.standard_normal((2, 5, 7))


@pytest.mark.exercise("masked_softmax_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("make", [_very_low, _very_high, _rows_far_apart, _wide_spread])
def test_extreme_scores_do_no_harm(submission, reference, rng, make):
    _expect(submission, reference, make(rng), _mask(rng, (2, 5, 7)))


@pytest.mark.exercise("masked_softmax_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("forbidden", [1e5, -1e5])
def test_forbidden_scores_do_not_matter(submission, reference, rng, forbidden):
    scores, mask = rng.standard_normal((2, 5, 7)), _mask(rng, (2, 5, 7), dead=True)
    _expect(submission, reference, np.where(mask, scores, forbidden), mask)


@pytest.mark.exercise("masked_softmax_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("offset", [0.0, -1e5])
def test_weights_of_float32_are_float32(submission, reference, rng, offset):
    scores = (rng.standard_normal((2, 5, 7)) + offset).astype(np.float32)
    mask = _mask(rng, (1, 5, 7), dead=True)
    want, _ = reference.masked_softmax_forward(scores.astype(np.float64), mask)
    got, _ = submission.masked_softmax_forward(scores, mask)
    expect_close(got, want, 100 * tolerance.U32 * want + 1e-30, what="attn", dtype=np.float32)


@pytest.mark.exercise("masked_softmax_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("wrong", ["numbers", "floats", "keys", "queries", "larger", "no keys"])
def test_a_mask_that_does_not_fit_is_refused(submission, rng, wrong):
    scores, mask = rng.standard_normal((2, 5, 7)), _mask(rng, (2, 5, 7))
    if wrong == "numbers":
        mask = mask.astype(np.int64)
    elif wrong == "floats":
        mask = np.where(mask, 0.0, -1e9)
    elif wrong == "keys":
        mask = mask[..., :6]
    elif wrong == "queries":
        mask = mask[:, :4]
    elif wrong == "larger":
        scores = scores[0]
    else:
        scores, mask = scores[..., :0], mask[..., :0]
    expect_raises(submission.masked_softmax_forward, ValueError, scores, mask)


def _backward(submission, reference, rng, shape, mask, offset=0.0):
    scores = 2 * rng.standard_normal(shape)
    dattn = offset + rng.standard_normal(shape)
    got = submission.masked_softmax_backward(dattn, submission.masked_softmax_forward(scores, mask)[1])
    want = reference.masked_softmax_backward(dattn, reference.masked_softmax_forward(scores, mask)[1])
    # What is common to a row cancels, and leaves rounding of its size.
    expect_close(got, want, 1e-12 * np.abs(want).max() + 1e-14 * abs(offset), what="dscores")
    return got


@pytest.mark.exercise("masked_softmax_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize(("shape", "mask_shape"), CASES, ids=str)
def test_dscores_is_the_gradient_of_the_scores(submission, reference, rng, shape, mask_shape):
    _backward(submission, reference, rng, shape, _mask(rng, mask_shape))
    _backward(submission, reference, rng, shape, None)


@pytest.mark.exercise("masked_softmax_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize(("shape", "mask_shape"), [CASES[0], CASES[2], ((3, 5, 4), (3, 1, 4))], ids=str)
def test_forbidden_places_have_no_gradient(submission, reference, rng, shape, mask_shape):
    mask = _mask(rng, mask_shape, dead=True)
    got = _backward(submission, reference, rng, shape, mask)
    expect_equal(
        got[~np.broadcast_to(mask, shape)] == 0, np.ones((~np.broadcast_to(mask, shape)).sum(), bool)
    )


@pytest.mark.exercise("masked_softmax_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("offset", [3.0, 1e3])
def test_what_a_row_of_gradients_has_in_common_does_not_count(submission, reference, rng, offset):
    _backward(submission, reference, rng, (2, 5, 7), _mask(rng, (2, 5, 7)), offset)


@pytest.mark.exercise("masked_softmax_backward")
@pytest.mark.points(1)
def test_a_softmax_backward_belongs_to_its_own_forward(submission, reference, rng):
    """Float32, twice, and after another forward: nothing is kept between calls but the cache."""
    scores, other, dattn = rng.standard_normal((3, 2, 5, 7)).astype(np.float32)
    mask = _mask(rng, (5, 7), dead=True)
    _, cache = submission.masked_softmax_forward(scores, mask)
    submission.masked_softmax_forward(other, mask)
    attn = reference.masked_softmax_forward(scores.astype(np.float64), mask)[0]
    want = reference.masked_softmax_backward(dattn.astype(np.float64), attn)
    for _ in range(2):
        got = submission.masked_softmax_backward(dattn, cache)
        expect_close(got, want, 3e-6, what="dscores", dtype=np.float32)


@pytest.mark.exercise("masked_softmax_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(1, 5, 7), (2, 5, 1), (2, 7, 5), (5, 7)], ids=str)
def test_the_softmax_refuses_a_gradient_of_another_shape(submission, rng, shape):
    _, cache = submission.masked_softmax_forward(rng.standard_normal((2, 5, 7)), None)
    expect_raises(submission.masked_softmax_backward, ValueError, rng.standard_normal(shape), cache)
