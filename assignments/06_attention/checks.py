"""Visible checks of stage 6: small cases that you can work out by hand.

Read them, change them, add to them: they are yours. The grader has tests of its own, with
other sizes, other numbers and more of what the docstrings promise.
"""

import numpy as np
import pytest

from gradschool.grading import expect_raises
from gradschool.grading.expect import expect
from gradschool.sandbox.functions import cumulative_mean


def expect_array(got, want, story):
    """Fail with both values written out; `story` says what went in."""
    got, want = np.asarray(got), np.asarray(want)
    expect(got.shape == want.shape, f"{story}: the shape is {got.shape}; it should be {want.shape}.")
    expect(
        np.allclose(got, want, rtol=1e-6, atol=1e-9),
        f"{story}: yours is {np.array2string(got, threshold=12, precision=5)}; "
        f"it should be {np.array2string(want, threshold=12, precision=5)}.",
    )


@pytest.mark.exercise("attention_scores")
def test_two_queries_and_three_keys_by_hand(submission):
    q = np.array([[1.0, 0, 0, 0], [0, 2, 0, 0]])
    k = np.array([[1.0, 1, 1, 1], [3, 5, 0, 0], [0, -1, 0, 0]])
    want = [[0.5, 1.5, 0.0], [1.0, 5.0, -1.0]]
    expect_array(
        submission.attention_scores(q, k), want, "q picks the first entry, and twice the second; d = 4"
    )


@pytest.mark.exercise("attention_scores")
def test_queries_and_keys_have_one_width(submission):
    expect_raises(submission.attention_scores, ValueError, np.ones((2, 3)), np.ones((2, 4)))


@pytest.mark.exercise("causal_mask")
def test_three_positions(submission):
    mask = submission.causal_mask(3)
    expect(mask.dtype == bool, f"causal_mask(3) is {mask.dtype}; it should be boolean.")
    expect_array(mask, [[True, False, False], [True, True, False], [True, True, True]], "causal_mask(3)")


@pytest.mark.exercise("padding_mask")
def test_two_sequences_of_four(submission):
    mask = submission.padding_mask(np.array([1, 3]), 4)
    expect(mask.dtype == bool, f"The mask is {mask.dtype}; it should be boolean.")
    want = [[[True, False, False, False]], [[True, True, True, False]]]
    expect_array(mask, want, "padding_mask([1 3], 4)")
    expect_raises(submission.padding_mask, ValueError, np.array([5]), 4)


@pytest.mark.exercise("masked_softmax_forward")
def test_one_forbidden_key(submission):
    scores = np.log(np.array([[1.0, 3.0, 5.0]]))
    attn, _ = submission.masked_softmax_forward(scores, np.array([[True, True, False]]))
    expect_array(attn, [[0.25, 0.75, 0.0]], "scores = log of [1 3 5], the last one forbidden")
    attn, _ = submission.masked_softmax_forward(scores, None)
    expect_array(attn, [[1 / 9, 3 / 9, 5 / 9]], "scores = log of [1 3 5], no mask")


@pytest.mark.exercise("masked_softmax_forward")
def test_a_row_that_may_see_nothing(submission):
    mask = np.array([[True, True], [False, False]])
    attn, _ = submission.masked_softmax_forward(np.zeros((2, 2)), mask)
    expect_array(attn, [[0.5, 0.5], [0.0, 0.0]], "scores of 0, nothing allowed in the second row")


@pytest.mark.exercise("masked_softmax_backward")
def test_the_gradient_of_two_equal_scores(submission):
    _, cache = submission.masked_softmax_forward(np.zeros((1, 3)), np.array([[True, True, False]]))
    dscores = submission.masked_softmax_backward(np.array([[1.0, 0.0, 7.0]]), cache)
    expect_array(dscores, [[0.25, -0.25, 0.0]], "two scores of 0 and a forbidden one, dattn = [1 0 7]")


def lookup():
    """Two queries, three keys: the first query fits the second key, the second fits nothing better."""
    q = np.array([[0.0, 2.0], [0.0, 0.0]])
    k = np.array([[1.0, 0.0], [0.0, 100.0], [1.0, 0.0]])
    v = np.array([[1.0, 0.0, 0.0], [2.0, 5.0, 0.0], [6.0, 1.0, 3.0]])
    return q, k, v


@pytest.mark.exercise("attention_forward")
def test_a_lookup_and_a_mean(submission):
    out, cache = submission.attention_forward(*lookup())
    expect_array(out, [[2, 5, 0], [3, 2, 1]], "lookup() in checks.py")
    expect_array(cache["attn"], [[0, 1, 0], [1 / 3, 1 / 3, 1 / 3]], "lookup() in checks.py, cache['attn']")


@pytest.mark.exercise("attention_forward")
def test_a_lookup_under_a_mask(submission):
    mask = np.array([[True, False, True], [False, True, False]])
    out, _ = submission.attention_forward(*lookup(), mask)
    expect_array(out, [[3.5, 0.5, 1.5], [2, 5, 0]], "lookup() in checks.py, with a mask")


@pytest.mark.exercise("attention_backward")
def test_the_gradients_of_the_lookup(submission):
    _, cache = submission.attention_forward(*lookup())
    dq, dk, dv = submission.attention_backward(np.array([[0.0, 0, 1], [3.0, 0, 0]]), cache)
    story = "lookup() in checks.py, dout = [[0 0 1] [3 0 0]]"
    expect_array(dv, [[1, 0, 0], [1, 0, 1], [1, 0, 0]], f"{story}, dv")
    expect_array(dk, np.zeros((3, 2)), f"{story}, dk: one query is sure of itself, the other is 0")
    want = [[0, 0], [1 / np.sqrt(2), -100 / np.sqrt(2)]]
    expect_array(dq, want, f"{story}, dq: the second query should turn to the first and the last key")


def small_layer():
    """Two positions; wq is 0, so both look at everything; values are doubled and added up."""
    params = {"wq": np.zeros((2, 3)), "wk": np.ones((2, 3)), "wv": 2 * np.eye(2), "wo": np.ones((2, 1))}
    return np.array([[1.0, 2.0], [3.0, 6.0]]), params


@pytest.mark.exercise("self_attention_forward")
def test_a_layer_that_takes_the_mean(submission):
    x, params = small_layer()
    out, _ = submission.self_attention_forward(x, params)
    expect_array(
        out, [[12.0], [12.0]], "small_layer() in checks.py: twice the mean of all entries of a column"
    )
    out, _ = submission.self_attention_forward(x, params, np.array([[True, False], [True, True]]))
    expect_array(out, [[6.0], [12.0]], "small_layer() in checks.py, causal: the first position sees itself")


@pytest.mark.exercise("self_attention_backward")
def test_the_gradients_of_the_mean(submission):
    x, params = small_layer()
    _, cache = submission.self_attention_forward(x, params)
    dx, grads = submission.self_attention_backward(np.array([[1.0], [1.0]]), cache)
    story = "small_layer() in checks.py, dout = 1"
    expect_array(dx, 2 * np.ones((2, 2)), f"{story}, dx")
    expect(set(grads) == set(params), f"grads has the names {sorted(grads)}; params has {sorted(params)}.")
    expect_array(grads["wo"], [[8.0], [16.0]], f"{story}, wo")
    expect_array(grads["wv"], [[4.0, 4.0], [8.0, 8.0]], f"{story}, wv")
    expect_array(grads["wq"], 72 / np.sqrt(3) * np.array([[1, 1, 1], [2, 2, 2]]), f"{story}, wq")


@pytest.mark.exercise("is_permutation_equivariant")
def test_who_cares_about_the_order(submission):
    x = np.random.default_rng(0).standard_normal((3, 5, 4))
    for f, want, story in (
        (np.tanh, True, "tanh of each entry"),
        (submission.distance_from_mean, True, "distance_from_mean"),
        (submission.shifted_on, False, "shifted_on"),
        (cumulative_mean, False, "a running mean over the rows"),
    ):
        got = submission.is_permutation_equivariant(f, x, np.random.default_rng(1))
        expect(bool(got) is want, f"{story}: yours is {got}; it should be {want}.")


def small_block():
    """Two pixels in a row, one channel; theta is 0, so every pixel takes the mean."""
    params = {
        "w_theta": np.zeros((1, 2)),
        "w_phi": np.ones((1, 2)),
        "w_g": np.ones((1, 2)),
        "w_out": np.ones((2, 1)),
    }
    return np.array([[[[1.0, 3.0]]]]), params


@pytest.mark.exercise("non_local_block_forward")
def test_a_block_that_adds_the_mean(submission):
    out, _ = submission.non_local_block_forward(*small_block())
    expect_array(out, [[[[5.0, 7.0]]]], "small_block() in checks.py: x plus twice the mean")


@pytest.mark.exercise("non_local_block_forward")
def test_a_sharp_block_looks_at_the_brightest_pixel(submission):
    x, params = small_block()
    params["w_theta"] = np.full((1, 2), 50.0)
    out, _ = submission.non_local_block_forward(x, params)
    expect_array(
        out, [[[[7.0, 9.0]]]], "small_block() in checks.py with w_theta = 50: x plus twice the brightest"
    )


@pytest.mark.exercise("non_local_block_backward")
def test_the_gradient_passes_the_block_and_goes_through_it(submission):
    _, cache = submission.non_local_block_forward(*small_block())
    dx, grads = submission.non_local_block_backward(np.array([[[[1.0, 0.0]]]]), cache)
    story = "small_block() in checks.py, dout = [1 0]"
    expect_array(dx, [[[[2.0, 1.0]]]], f"{story}, dx")
    expect_array(grads["w_out"], [[2.0], [2.0]], f"{story}, w_out")
    expect_array(grads["w_g"], [[2.0, 2.0]], f"{story}, w_g")
    expect_array(grads["w_theta"], [[2.0, 2.0]], f"{story}, w_theta")
    expect_array(grads["w_phi"], [[0.0, 0.0]], f"{story}, w_phi")
