"""Visible checks of stage 7: small cases that you can work out by hand.

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
        np.allclose(got, want, rtol=1e-5, atol=1e-5),
        f"{story}: yours is {np.array2string(got, threshold=12, precision=5)}; "
        f"it should be {np.array2string(want, threshold=12, precision=5)}.",
    )


# Two positions of width 4: position 0 holds 0 1 2 3, position 1 holds 10 11 12 13.
X = np.array([[[0.0, 1, 2, 3], [10, 11, 12, 13]]])
HEADS = np.array([[[[0.0, 1], [10, 11]], [[2, 3], [12, 13]]]])


@pytest.mark.exercise("split_heads")
def test_two_heads_of_two_columns(submission):
    expect_array(submission.split_heads(X, 2), HEADS, "X in checks.py, 2 heads")


@pytest.mark.exercise("split_heads")
def test_one_head_keeps_everything(submission):
    expect_array(submission.split_heads(X, 1), X[:, None], "X in checks.py, 1 head")


@pytest.mark.exercise("split_heads")
def test_three_heads_do_not_divide_four_columns(submission):
    expect_raises(submission.split_heads, ValueError, X, 3)


@pytest.mark.exercise("merge_heads")
def test_two_heads_side_by_side(submission):
    expect_array(submission.merge_heads(HEADS), X, "HEADS in checks.py")


@pytest.mark.exercise("merge_heads")
def test_without_a_batch(submission):
    expect_array(submission.merge_heads(HEADS[0]), X[0], "HEADS[0] in checks.py")


def identity_layer():
    """A layer whose weights change nothing, so that q = x_q and k = v = x_kv."""
    return {name: np.eye(4) for name in ("wq", "wk", "wv", "wo")}


# Head 0 reads columns 0 and 1: its query fits key 0. Head 1 reads columns 2 and 3: its query fits key 2.
ASKING = np.array([[[90.0, 0, 0, 90]]])
ASKED = np.array([[[1.0, 0, 0, 0], [0, 1, 1, 0], [-1, 0, 0, 1]]])
STORY = "ASKING, ASKED and identity_layer() in checks.py"


@pytest.mark.exercise("multi_head_attention_forward")
def test_each_head_finds_its_own_key(submission):
    out, cache = submission.multi_head_attention_forward(ASKING, ASKED, identity_layer(), 2)
    expect_array(out, [[[1.0, 0, 0, 1]]], f"{STORY}, 2 heads")
    want = [[[[1.0, 0, 0]], [[0, 0, 1]]]]
    expect_array(cache["attn"], want, f'{STORY}, 2 heads, cache["attn"]')


@pytest.mark.exercise("multi_head_attention_forward")
def test_one_head_must_compromise(submission):
    """Keys 0 and 2: 90 and 0 (that is -90 + 90); key 0 takes it all."""
    out, _ = submission.multi_head_attention_forward(ASKING, ASKED, identity_layer(), 1)
    expect_array(out, [[[1.0, 0, 0, 0]]], f"{STORY}, 1 head")


@pytest.mark.exercise("multi_head_attention_forward")
def test_a_masked_key_is_not_seen(submission):
    mask = np.array([True, False, True])
    out, _ = submission.multi_head_attention_forward(
        0 * ASKING, ASKED, identity_layer(), 2, mask[None, None, None]
    )
    expect_array(out, [[[0.0, 0, 0, 0.5]]], f"{STORY}, a query of zeros, key 1 masked: the mean of 0 and 2")


@pytest.mark.exercise("multi_head_attention_forward")
def test_a_query_that_may_see_nothing_gets_zeros(submission):
    mask = np.zeros((1, 3), bool)
    out, _ = submission.multi_head_attention_forward(ASKING, ASKED, identity_layer(), 2, mask)
    expect_array(out, np.zeros((1, 1, 4)), f"{STORY}, everything masked")


@pytest.mark.exercise("multi_head_attention_backward")
def test_the_gradients_of_a_layer_that_averages(submission):
    """A query of zeros gives every key a third: dv is a third of dout for each key."""
    _, cache = submission.multi_head_attention_forward(0 * ASKING, ASKED, identity_layer(), 2)
    dout = np.array([[[3.0, 0, 0, 6]]])
    dx_q, dx_kv, grads = submission.multi_head_attention_backward(dout, cache)
    story = f"{STORY}, a query of zeros, dout = [3 0 0 6]"
    expect_array(dx_kv, np.tile([1.0, 0, 0, 2], (1, 3, 1)), f"{story}, dx_kv")
    expect_array(grads["wo"], np.outer([0, 1 / 3, 1 / 3, 1 / 3], dout), f"{story}, wo")
    expect_array(grads["wq"], np.zeros((4, 4)), f"{story}, wq: x_q is 0")
    expect(dx_q.shape == ASKING.shape, f"dx_q has shape {dx_q.shape}; x_q has {ASKING.shape}.")
    expect(set(grads) == {"wq", "wk", "wv", "wo"}, f"grads has the names {sorted(grads)}.")


@pytest.mark.exercise("sinusoidal_positions")
def test_position_zero_is_zero_one_zero_one(submission):
    expect_array(submission.sinusoidal_positions(1, 4), [[0.0, 1, 0, 1]], "1 position of width 4")


@pytest.mark.exercise("sinusoidal_positions")
def test_the_second_pair_is_a_hundred_times_slower(submission):
    want = [[0.0, 1, 0, 1], [np.sin(1), np.cos(1), np.sin(0.01), np.cos(0.01)]]
    expect_array(submission.sinusoidal_positions(2, 4), want, "2 positions of width 4")


@pytest.mark.exercise("sinusoidal_positions")
def test_width_one_is_a_sine(submission):
    expect_array(submission.sinusoidal_positions(3, 1), np.sin([[0.0], [1], [2]]), "3 positions of width 1")


@pytest.mark.exercise("rotary_forward")
def test_position_zero_does_not_turn(submission):
    x = np.array([[1.0, 2, 3, 4]])
    expect_array(submission.rotary_forward(x, np.array([0])), x, "x = [1 2 3 4] at position 0")


@pytest.mark.exercise("rotary_forward")
def test_neighbours_turn_together(submission):
    got = submission.rotary_forward(np.array([[1.0, 0, 0, 1]]), np.array([2]))
    want = [[np.cos(2), np.sin(2), -np.sin(0.02), np.cos(0.02)]]
    expect_array(got, want, "x = [1 0 0 1] at position 2")


@pytest.mark.exercise("rotary_forward")
def test_an_odd_width_is_refused(submission):
    expect_raises(submission.rotary_forward, ValueError, np.ones((2, 3)), np.arange(2))


@pytest.mark.exercise("rotary_backward")
def test_the_gradient_is_turned_back(submission):
    got = submission.rotary_backward(np.array([[1.0, 0, 0, 1]]), np.array([2]))
    want = [[np.cos(2), -np.sin(2), np.sin(0.02), np.cos(0.02)]]
    expect_array(got, want, "dout = [1 0 0 1] at position 2")
