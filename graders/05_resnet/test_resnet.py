"""Hidden graders of the whole net: logits, running values, gradients of every parameter."""

from itertools import pairwise

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance
from gradschool.grading.expect import expect

# n, c_in, channels of stem and blocks, h, w, classes: no block; one; a change in the middle; twelve blocks
# (block10 comes after block9).
CASES = [
    (2, 3, (4,), 3, 5, 7),
    (3, 1, (2, 2), 5, 4, 3),
    (2, 2, (3, 3, 5, 5), 6, 5, 4),
    (3, 1, (2, 3, *(3,) * 11), 4, 5, 3),
]


def _net(rng, case, shortcut=True, dtype=np.float64):
    n, c_in, channels, h, w, n_classes = case
    params, running = {}, {}

    def layer(prefix, suffix, c_out, c_from, k):
        params[f"{prefix}w{suffix}"] = rng.standard_normal((c_out, c_from, k, k)) / np.sqrt(c_from * k)
        params[f"{prefix}gamma{suffix}"] = 0.5 + rng.random(c_out)
        params[f"{prefix}beta{suffix}"] = 0.5 * rng.standard_normal(c_out)
        running[f"{prefix}mean{suffix}"] = 0.5 * rng.standard_normal(c_out)
        running[f"{prefix}var{suffix}"] = 0.5 + rng.random(c_out)

    layer("", "_stem", channels[0], c_in, 3)
    for i, (c_from, c_out) in enumerate(pairwise(channels)):
        layer(f"block{i}_", "1", c_out, c_from, 3)
        layer(f"block{i}_", "2", c_out, c_out, 3)
        if shortcut and c_from != c_out:
            layer(f"block{i}_", "_skip", c_out, c_from, 1)
    params["w_head"] = rng.standard_normal((channels[-1], n_classes))
    params["b_head"] = rng.standard_normal(n_classes)
    x = rng.standard_normal((n, c_in, h, w))
    parts = [{name: value.astype(dtype) for name, value in part.items()} for part in (params, running)]
    return x.astype(dtype), *parts


def _wide(net):
    x, *parts = net
    return (
        x.astype(np.float64),
        *({name: value.astype(np.float64) for name, value in part.items()} for part in parts),
    )


def _expect_dict(got, want, what):
    expect(isinstance(got, dict), f"{what} is {type(got).__name__}; it should be a dict.")
    expect(
        set(got) == set(want),
        f"{what} lacks {sorted(set(want) - set(got))}, has beside it {sorted(set(got) - set(want))}.",
    )
    for name, value in want.items():
        expect_close(got[name], value, tolerance.gradient(value, 1000, relative=1e-12), what=name)


@pytest.mark.exercise("resnet_forward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_logits_of_stem_blocks_pool_and_head(submission, reference, rng, case, training):
    net = _net(rng, case)
    logits, _ = submission.resnet_forward(*net, training)
    want, _ = reference.resnet_forward(*net, training)
    expect_close(logits, want, 1e-12 * np.abs(want).max(), what="logits")


@pytest.mark.exercise("resnet_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", CASES[1:], ids=str)
def test_a_net_without_shortcuts(submission, reference, rng, case):
    net = _net(rng, case, shortcut=False)
    logits, _ = submission.resnet_forward(*net, True, False)
    want, _ = reference.resnet_forward(*net, True, False)
    expect_close(logits, want, 1e-12 * np.abs(want).max(), what="logits")


@pytest.mark.exercise("resnet_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_new_running_values_of_every_layer(submission, reference, rng, case):
    net = _net(rng, case)
    _, cache = submission.resnet_forward(*net)
    _, want = reference.resnet_forward(*net)
    _expect_dict(cache["running"], want["running"], "cache['running']")
    _, cache = submission.resnet_forward(*net[:2])
    _, want = reference.resnet_forward(*net[:2])
    _expect_dict(cache["running"], want["running"], "cache['running'] from a fresh start")


@pytest.mark.exercise("resnet_forward")
@pytest.mark.points(1)
def test_logits_of_float32_images_are_float32(submission, reference, rng):
    net = _net(rng, CASES[2], dtype=np.float32)
    logits, _ = submission.resnet_forward(*net, False)
    want, _ = reference.resnet_forward(*_wide(net), False)
    expect_close(logits, want, 1e-4 * np.abs(want).max(), what="logits", dtype=np.float32)


@pytest.mark.exercise("resnet_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(2, 3, 6, 5), (2, 6, 5), (2,)], ids=str)
def test_images_that_do_not_fit_the_stem_are_refused(submission, rng, shape):
    _, params, running = _net(rng, CASES[2])
    expect_raises(submission.resnet_forward, ValueError, rng.standard_normal(shape), params, running)


def _gradients(submission, reference, rng, case, training=True, shortcut=True, dtype=np.float64):
    net = _net(rng, case, shortcut, dtype)
    logits, want_cache = reference.resnet_forward(*_wide(net), training, shortcut)
    dlogits = rng.standard_normal(logits.shape).astype(dtype)
    _, cache = submission.resnet_forward(*net, training, shortcut)
    got = submission.resnet_backward(dlogits, cache)
    return got, reference.resnet_backward(dlogits.astype(np.float64), want_cache)


@pytest.mark.exercise("resnet_backward")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES[:3], ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_every_parameter_of_the_net_has_its_gradient(submission, reference, rng, case, training):
    _expect_dict(*_gradients(submission, reference, rng, case, training), "grads")


@pytest.mark.exercise("resnet_backward")
@pytest.mark.points(1)
def test_gradients_of_a_net_with_twelve_blocks(submission, reference, rng):
    _expect_dict(*_gradients(submission, reference, rng, CASES[3], training=False), "grads")


@pytest.mark.exercise("resnet_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", CASES[1:3], ids=str)
def test_gradients_of_a_net_without_shortcuts(submission, reference, rng, case):
    _expect_dict(*_gradients(submission, reference, rng, case, shortcut=False), "grads")


@pytest.mark.exercise("resnet_backward")
@pytest.mark.points(1)
def test_gradients_of_a_float32_net_are_float32(submission, reference, rng):
    got, want = _gradients(submission, reference, rng, CASES[0], training=False, dtype=np.float32)
    for name, value in want.items():
        expect_close(got[name], value, 1e-4 * np.abs(value).max(), what=name, dtype=np.float32)


@pytest.mark.exercise("resnet_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize(
    ("case", "shape"), [(CASES[2], (1, 4)), (CASES[2], (2, 5)), (CASES[1], (3,))], ids=str
)
def test_the_net_refuses_an_upstream_gradient_of_another_shape(submission, rng, case, shape):
    _, cache = submission.resnet_forward(*_net(rng, case))
    expect_raises(submission.resnet_backward, ValueError, rng.standard_normal(shape), cache)
