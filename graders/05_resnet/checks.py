"""Visible checks of stage 5: small cases that you can work out by hand.

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


def channel():
    """One picture, one channel with the values 1, 3, 5, 7: mean 4, variance 5."""
    running = {"mean": np.array([0.0]), "var": np.array([1.0])}
    return np.array([[[[1.0, 3.0], [5.0, 7.0]]]]), np.array([2.0]), np.array([10.0]), running


ROOT = np.sqrt(5.0)
STORY = "channel() in checks.py, eps = 0"


@pytest.mark.exercise("batch_norm_forward")
def test_one_channel_by_hand(submission):
    out, _, _ = submission.batch_norm_forward(*channel(), True, 0.1, 0.0)
    want = 10 + 2 * np.array([[[[-3.0, -1.0], [1.0, 3.0]]]]) / ROOT
    expect_array(out, want, STORY)


@pytest.mark.exercise("batch_norm_forward")
def test_the_running_values_move_a_tenth_of_the_way(submission):
    _, _, running = submission.batch_norm_forward(*channel(), True, 0.1, 0.0)
    expect_array(running["mean"], [0.4], f"{STORY}, momentum 0.1, the running mean from 0 towards 4")
    expect_array(running["var"], [0.9 + 0.1 * 20 / 3], f"{STORY}, the running variance from 1 towards 20 / 3")


@pytest.mark.exercise("batch_norm_forward")
def test_a_picture_alone_is_measured_with_the_running_values(submission):
    x, gamma, beta, _ = channel()
    running = {"mean": np.array([3.0]), "var": np.array([4.0])}
    out, _, after = submission.batch_norm_forward(x, gamma, beta, running, False, 0.1, 0.0)
    story = "the same x with running mean 3 and variance 4, not training"
    expect_array(out, [[[[8.0, 10.0], [12.0, 14.0]]]], story)
    expect_array([after["mean"][0], after["var"][0]], [3.0, 4.0], f"{story}: they stay")


@pytest.mark.exercise("batch_norm_forward")
def test_a_scale_that_does_not_fit_is_refused(submission):
    x, _, beta, running = channel()
    expect_raises(submission.batch_norm_forward, ValueError, x, np.ones(2), beta, running, True, 0.1, 1e-5)


@pytest.mark.exercise("batch_norm_backward")
def test_the_gradients_of_one_channel_by_hand(submission):
    _, cache, _ = submission.batch_norm_forward(*channel(), True, 0.1, 0.0)
    dx, dgamma, dbeta = submission.batch_norm_backward(np.array([[[[1.0, 0.0], [0.0, 0.0]]]]), cache)
    story = f"{STORY}, dout = 1 at the first value, 0 elsewhere"
    expect_array(dbeta, [1.0], f"{story}, dbeta")
    expect_array(dgamma, [-3 / ROOT], f"{story}, dgamma")
    expect_array(dx, 2 / ROOT * np.array([[[[0.3, -0.4], [-0.1, 0.2]]]]), f"{story}, dx")


@pytest.mark.exercise("batch_norm_backward")
def test_dx_has_no_part_that_batch_norm_cannot_feel(submission):
    rng = np.random.default_rng(0)
    x, dout = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((2, 3, 4, 5))
    running = {"mean": np.zeros(3), "var": np.ones(3)}
    _, cache, _ = submission.batch_norm_forward(x, np.ones(3), np.zeros(3), running, True, 0.1, 0.0)
    dx, _, _ = submission.batch_norm_backward(dout, cache)
    expect_array(dx.sum(axis=(0, 2, 3)), np.zeros(3), "random x and dout, the sum of dx over each channel")
    expect_array((dx * x).sum(axis=(0, 2, 3)), np.zeros(3), "random x and dout, the sum of dx * x")


@pytest.mark.exercise("residual_forward")
def test_what_f_makes_is_added(submission):
    out, _ = submission.residual_forward(np.array([1.0, -2.0, 3.0]), np.square)
    expect_array(out, [2.0, 2.0, 12.0], "x = [1 -2 3], f = np.square")


@pytest.mark.exercise("residual_forward")
def test_f_may_return_a_cache(submission):
    out, _ = submission.residual_forward(np.array([1.0, -2.0]), submission.relu_forward)
    expect_array(out, [2.0, -2.0], "x = [1 -2], f = relu_forward")


@pytest.mark.exercise("residual_backward")
def test_two_ways_bring_two_gradients(submission):
    _, cache = submission.residual_forward(np.array([1.0, -2.0]), submission.relu_forward)
    dx = submission.residual_backward(np.array([10.0, 20.0]), cache, submission.relu_backward)
    expect_array(dx, [20.0, 20.0], "x = [1 -2], dout = [10 20], f = relu_forward")


def block(c_in=1, c_out=1, skip=False):
    """A block whose kernels pass on what they get: a 1 in the middle. Two pictures of 2x2."""
    middle = np.zeros((3, 3))
    middle[1, 1] = 1
    params = {
        "w1": np.ones((c_out, c_in, 1, 1)) * middle,
        "w2": np.ones((c_out, c_out, 1, 1)) * middle / c_out,
    }
    for suffix in ("1", "2") + (("_skip",) if skip else ()):
        params |= {f"gamma{suffix}": np.ones(c_out), f"beta{suffix}": np.zeros(c_out)}
    if skip:
        params["w_skip"] = np.ones((c_out, c_in, 1, 1))
    return np.arange(8.0).reshape(2, 1, 2, 2), params


@pytest.mark.exercise("basic_block_forward")
def test_a_silent_branch_leaves_x(submission):
    x, params = block()
    params["gamma2"] = np.zeros(1)
    out, _ = submission.basic_block_forward(x - 3, params, 1)
    expect_array(out, np.maximum(x - 3, 0), "block() in checks.py, x - 3, gamma2 = 0: relu(x) is left")


@pytest.mark.exercise("basic_block_forward")
def test_the_shortcut_is_added_before_the_last_relu(submission):
    x, params = block()
    with_it, _ = submission.basic_block_forward(x, params, 1)
    without, _ = submission.basic_block_forward(x, params, 1, None, True, False)
    low = without == 0
    expect(bool(low.any()), "Without the shortcut some values of block() are negative; ReLU makes them 0.")
    expect_array(
        (with_it - without)[~low], x[~low], "block() in checks.py, what the shortcut adds to positive values"
    )


@pytest.mark.exercise("basic_block_forward")
def test_a_block_that_halves_needs_its_convolution(submission):
    x, params = block(c_out=2, skip=True)
    out, cache = submission.basic_block_forward(x, params, 2)
    expect(
        out.shape == (2, 2, 1, 1),
        f"2x2 at stride 2 with two channels: {out.shape}; it should be (2, 2, 1, 1).",
    )
    names = {"mean1", "var1", "mean2", "var2", "mean_skip", "var_skip"}
    expect(set(cache["running"]) == names, f"cache['running'] should have the names {sorted(names)}.")
    expect_raises(submission.basic_block_forward, ValueError, *block(c_out=2), 2)


@pytest.mark.exercise("basic_block_backward")
def test_a_silent_branch_lets_the_gradient_pass(submission):
    x, params = block()
    params["gamma2"] = np.zeros(1)
    _, cache = submission.basic_block_forward(x - 3, params, 1)
    dout = np.arange(8.0, 0, -1).reshape(x.shape)
    dx, grads = submission.basic_block_backward(dout, cache)
    expect_array(dx, np.where(x > 3, dout, 0), "block() in checks.py, x - 3, gamma2 = 0, dout = 8, 7, ..., 1")
    expect(set(grads) == set(params), f"grads has the names {sorted(grads)}; params has {sorted(params)}.")


def net():
    """A stem and one block of one channel; the head reads the average twice and three times."""
    _, params = block()
    params = {f"block0_{name}": value for name, value in params.items()}
    params["block0_gamma2"] = np.zeros(1)
    stem = {"w_stem": params["block0_w1"], "gamma_stem": np.ones(1), "beta_stem": np.ones(1)}
    return {**stem, **params, "w_head": np.array([[2.0, 3.0]]), "b_head": np.array([0.0, 1.0])}


RUNNING = {
    f"{kind}{where}": np.full(1, float(kind.endswith("var")))
    for kind in ("mean", "var")
    for where in ("_stem",)
}
RUNNING |= {f"block0_{kind}{i}": np.full(1, float(kind == "var")) for kind in ("mean", "var") for i in (1, 2)}


@pytest.mark.exercise("resnet_forward")
def test_a_net_that_averages_its_picture(submission):
    x = np.arange(8.0).reshape(2, 1, 2, 2)
    logits, cache = submission.resnet_forward(x, net(), RUNNING, False)
    story = "net() in checks.py, not training: the average is 2.5 for the first picture, 6.5 for the second"
    expect_array(logits, [[5.0, 8.5], [13.0, 20.5]], story)
    expect(
        set(cache["running"]) == set(RUNNING), f"cache['running'] should have the names {sorted(RUNNING)}."
    )


@pytest.mark.exercise("resnet_backward")
def test_the_gradients_of_head_and_stem(submission):
    x = np.arange(8.0).reshape(2, 1, 2, 2)
    params = net()
    _, cache = submission.resnet_forward(x, params, RUNNING, False)
    grads = submission.resnet_backward(np.array([[1.0, 0.0], [0.0, 1.0]]), cache)
    expect(set(grads) == set(params), f"grads has the names {sorted(grads)}; params has {sorted(params)}.")
    expect_array(grads["w_head"], [[2.5, 6.5]], "net() in checks.py, dlogits = [[1 0] [0 1]], w_head")
    expect_array(grads["b_head"], [1.0, 1.0], "net() in checks.py, dlogits = [[1 0] [0 1]], b_head")
    expect_array(grads["beta_stem"], [5.0], "net() in checks.py, dlogits = [[1 0] [0 1]], beta_stem")
