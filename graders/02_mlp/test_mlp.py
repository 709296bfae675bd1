"""Hidden graders of the network: any depth, forwards and backwards."""

from itertools import pairwise

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_raises, tolerance
from gradschool.grading.expect import expect

# Sizes of the layers, the input first: one layer, two, different and equal widths, more than ten.
SIZES = [(5, 3), (6, 7, 4), (3, 5, 8, 2), (4, 4, 4, 4), (2, 1, 3), (3, 6, 5, 7, 4, 2), (3,) * 13]
BATCHES = [(), (1,), (2, 3), (2, 1, 4)]


def weights(rng, sizes, dtype=np.float64):
    """Weights and biases of about the size that keeps numbers alive through many layers."""
    params = {}
    for i, (d_in, d_out) in enumerate(pairwise(sizes)):
        params[f"w{i}"] = (rng.standard_normal((d_in, d_out)) * np.sqrt(2 / d_in)).astype(dtype)
        params[f"b{i}"] = (0.5 + 0.5 * rng.standard_normal(d_out)).astype(dtype)
    return params


def wide(params):
    return {name: value.astype(np.float64) for name, value in params.items()}


def size_of(params, x):
    """The same network without signs: no rounding error grows faster than this."""
    h = np.abs(x)
    for i in range(len(params) // 2):
        h = h @ np.abs(params[f"w{i}"]) + np.abs(params[f"b{i}"])
    return h


def shuffled(rng, params):
    """The same parameters in another order; the numbers in the names say which is which."""
    names = list(params)
    return {names[i]: params[names[i]] for i in rng.permutation(len(names))}


@pytest.mark.exercise("mlp_forward")
@pytest.mark.points(3)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_logits_of_any_depth(submission, reference, rng, sizes):
    x, params = 2 * rng.standard_normal((7, sizes[0])), shuffled(rng, weights(rng, sizes))
    want, _ = reference.mlp_forward(x, params)
    tol = 64 * tolerance.U64 * len(sizes) * size_of(params, x)
    expect_close(submission.mlp_forward(x, params)[0], want, tol, what="logits")


@pytest.mark.exercise("mlp_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_leading_axes_stay_and_float32_stays_float32(submission, reference, rng, batch):
    x = rng.standard_normal((*batch, 5)).astype(np.float32)
    params = weights(rng, (5, 6, 3), np.float32)
    want, _ = reference.mlp_forward(x.astype(np.float64), wide(params))
    tol = 64 * tolerance.U32 * size_of(wide(params), x.astype(np.float64))
    expect_close(submission.mlp_forward(x, params)[0], want, tol, what="logits", dtype=np.float32)


@pytest.mark.exercise("mlp_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize(
    ("missing", "extra"),
    [("b1", None), ("w1", None), ("b1", "b2"), ("w0", None), (None, "w3"), (None, "scale"), ("all", None)],
    ids=str,
)
def test_names_with_a_gap_are_refused(submission, rng, missing, extra):
    params = weights(rng, (4, 4, 4, 4)) if missing != "all" else {}
    if missing in params:
        del params[missing]
    if extra:
        params[extra] = rng.standard_normal((4, 4) if extra[0] == "w" else 4)
    expect_raises(submission.mlp_forward, ValueError, rng.standard_normal((3, 4)), params)


@pytest.mark.exercise("mlp_forward")
@pytest.mark.points(1)
@pytest.mark.parametrize(
    ("name", "shape"), [("w1", (5, 3)), ("b0", (1,)), ("b1", (4,)), ("w0", (5, 6))], ids=str
)
def test_layers_of_other_shapes_are_refused(submission, rng, name, shape):
    params = {**weights(rng, (4, 6, 3)), name: rng.standard_normal(shape)}
    expect_raises(submission.mlp_forward, ValueError, rng.standard_normal((2, 4)), params)


def expect_gradients(got, want, relative=1e-12, dtype=None):
    expect(
        isinstance(got, dict) and set(got) == set(want),
        f"The gradients need the names of the parameters: {', '.join(sorted(want))}.",
    )
    for name, value in want.items():
        tol = tolerance.gradient(value, relative=relative)
        expect_close(got[name], value, tol, what=f"the gradient of {name}", dtype=dtype)


def gradients(module, x, params, dlogits):
    _, cache = module.mlp_forward(x, params)
    return module.mlp_backward(dlogits, cache)


@pytest.mark.exercise("mlp_backward")
@pytest.mark.points(3)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_gradients_of_any_depth(submission, reference, rng, sizes):
    x, params = 2 * rng.standard_normal((9, sizes[0])), shuffled(rng, weights(rng, sizes))
    dlogits = rng.standard_normal((9, sizes[-1]))
    got = gradients(submission, x, params, dlogits)
    expect_gradients(got, gradients(reference, x, params, dlogits))


@pytest.mark.exercise("mlp_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_gradients_sum_over_every_leading_axis(submission, reference, rng, batch):
    x, params = rng.standard_normal((*batch, 5)), weights(rng, (5, 7, 6, 3))
    dlogits = rng.standard_normal((*batch, 3))
    got = gradients(submission, x, params, dlogits)
    expect_gradients(got, gradients(reference, x, params, dlogits))


@pytest.mark.exercise("mlp_backward")
@pytest.mark.points(2)
def test_a_backward_belongs_to_its_own_forward(submission, reference, rng):
    """Float32, twice, and with another forward in between: the cache is used and not used up."""
    x, params = rng.standard_normal((6, 4)).astype(np.float32), weights(rng, (4, 5, 3), np.float32)
    dlogits = rng.standard_normal((6, 3)).astype(np.float32)
    _, cache = submission.mlp_forward(x, params)
    submission.mlp_forward(-x, weights(rng, (4, 5, 3), np.float32))
    want = gradients(reference, x.astype(np.float64), wide(params), dlogits.astype(np.float64))
    for _ in range(2):
        expect_gradients(submission.mlp_backward(dlogits, cache), want, 1e-5, np.float32)


@pytest.mark.exercise("mlp_backward")
@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(6, 4), (5, 3), (6, 1), (3,), (1, 3), (2, 3, 3)], ids=str)
def test_an_upstream_gradient_of_another_shape_is_refused(submission, rng, shape):
    _, cache = submission.mlp_forward(rng.standard_normal((6, 4)), weights(rng, (4, 5, 3)))
    expect_raises(submission.mlp_backward, ValueError, rng.standard_normal(shape), cache)
