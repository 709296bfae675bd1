"""Hidden graders of counting pieces: one hidden layer, many, and networks in which corners hide."""

from itertools import pairwise

import numpy as np
import pytest

from gradschool.grading import expect_equal, expect_raises
from gradschool.grading.expect import expect


def hinges(corners, weights, facing=None, bias=0.5):
    """One hidden layer with a corner at each place, and these changes of slope."""
    facing = np.ones(len(corners)) if facing is None else np.asarray(facing, float)
    return {
        "w0": facing[None, :],
        "b0": -facing * np.asarray(corners, float),
        "w1": np.asarray(weights, float)[:, None],
        "b1": np.array([bias]),
    }


def tents(n_layers):
    """Two neurons a layer, each layer folding the interval from 0 to 1 in half."""
    params = {"w0": np.array([[1.0, 1.0]]), "b0": np.array([0.0, -0.5])}
    for i in range(1, n_layers):
        params[f"w{i}"] = np.array([[2.0, 2.0], [-4.0, -4.0]])
        params[f"b{i}"] = np.array([0.0, -0.5])
    params[f"w{n_layers}"], params[f"b{n_layers}"] = np.array([[2.0], [-4.0]]), np.array([0.0])
    return params


def random_net(rng, *hidden):
    sizes, params = (1, *hidden, 1), {}
    for i, (d_in, d_out) in enumerate(pairwise(sizes)):
        params[f"w{i}"] = rng.standard_normal((d_in, d_out))
        params[f"b{i}"] = 0.6 * rng.standard_normal(d_out)
    return params


def expect_pieces(submission, reference, params, low, high):
    want = reference.linear_regions(params, low, high)
    got = submission.linear_regions(params, low, high)
    expect(
        isinstance(got, int | np.integer), f"The number of pieces is a {type(got).__name__}; expected an int."
    )
    expect_equal(got, want, what="the number of pieces")


@pytest.mark.exercise("linear_regions")
@pytest.mark.points(2)
@pytest.mark.parametrize("n", [1, 2, 5, 17], ids=str)
@pytest.mark.parametrize("interval", [(-4.0, 4.0), (-0.5, 1.0), (0.25, 40.0)], ids=str)
def test_one_hidden_layer_has_a_piece_more_than_corners_inside(submission, reference, rng, n, interval):
    corners = rng.permutation(np.linspace(-3, 3, n + 2)[1:-1] + rng.uniform(-0.05, 0.05, n))
    params = hinges(corners, rng.choice([-1, 1], n) * rng.uniform(0.5, 2, n), rng.choice([-2.0, 1.5], n))
    expect_pieces(submission, reference, params, *interval)


@pytest.mark.exercise("linear_regions")
@pytest.mark.points(1)
@pytest.mark.parametrize(
    ("corners", "weights", "facing"),
    [
        ([0.0, 0.0, 1.0], [1.0, 2.0, 1.0], None),  # two neurons, one corner
        ([0.0, 0.0, 1.0], [1.0, -1.0, 1.0], None),  # they cancel
        ([0.3, 0.3, 1.0], [1.0, 1.0, 1.0], [3.0, 1.0, 1.0]),  # one corner, two ways to compute it
        ([0.5, 0.5], [1.0, -1.0], [1.0, -1.0]),  # both sides of a straight line
        ([-2.0, 2.0, 1.0], [1.0, 1.0, 1.0], None),  # corners at the very ends
        ([0.0, 1.0, -1.0], [1.0, 0.0, 1.0], None),  # a neuron nobody listens to
        ([0.0, 1.0, -1.0], [0.0, 0.0, 0.0], None),  # nobody listens at all
        ([0.0, 0.0001, 0.0002], [1.0, -2.0, 1.0], None),  # a tooth finer than any grid
    ],
    ids=["same", "cancel", "same again", "absolute", "ends", "mute", "constant", "fine"],
)
def test_only_changes_of_slope_inside_the_interval_count(submission, reference, corners, weights, facing):
    expect_pieces(submission, reference, hinges(corners, weights, facing), -2.0, 2.0)


@pytest.mark.exercise("linear_regions")
@pytest.mark.points(1)
@pytest.mark.parametrize("height", [1.0, 0.0, -1.0], ids=["open", "always zero", "closed"])
def test_a_neuron_without_input_has_no_corner(submission, reference, height):
    # Rising, flat, rising again: three corners, and one neuron that knows nothing of x.
    params = hinges([0.2, 0.0, -0.4, 0.9], [-1.0, -2.0, 1.0, 0.5])
    params["w0"][0, 1], params["b0"][1] = 0.0, height
    expect_pieces(submission, reference, params, -1.0, 2.0)


def straight_pair(shift, scale):
    """Two corners, and two neurons that together bend nothing; all places are exact in binary."""
    corners = shift + scale * np.array([-1.5, -1.0, 0.5, 0.5])
    params = hinges(corners, [1.0, 1.0, 1.0, -1.0], [1.0, 1.0, 1.0, -1.0])
    return params, shift - 2 * scale, shift + 2 * scale


def rounded_away(steepness):
    """Three corners in one place cancel, up to rounding: 0.1 + 0.2 - 0.3 is not quite 0 for a computer."""
    corners = [-1.0, *np.repeat([-0.5, 0.0, 0.25, 0.5], 3), 1.0]
    weights = [0.3, 0.1, 0.2, -0.3, 0.7, 0.1, -0.8, 1.1, 2.2, -3.3, 0.3, 0.6, -0.9, 2.0]
    return hinges(corners, steepness * np.array(weights)), -2.0, 2.0


ROBUST = {
    "tiny interval": straight_pair(0, 2.0**-30),
    "wide interval": straight_pair(0, 1024.0),
    "far right": straight_pair(8, 1.0),
    "far left": straight_pair(-8, 1.0),
    # In float32, 0.7 is a little less, and the corner would lie inside.
    "exact ends": (hinges([0.7, 1.0, 1.9], [1.0, 2.0, 1.0]), 0.7, 1.9),
    "rounding": rounded_away(1.0),
    "rounding, falling": rounded_away(-1.0),
    "rounding, nearly flat": rounded_away(2.0**-40),
    "rounding, steep": rounded_away(-(2.0**40)),
}


@pytest.mark.exercise("linear_regions")
@pytest.mark.points(1)
@pytest.mark.parametrize("name", ROBUST)
def test_neither_size_nor_place_nor_rounding_matters(submission, reference, name):
    expect_pieces(submission, reference, *ROBUST[name])


@pytest.mark.exercise("linear_regions")
@pytest.mark.points(2)
@pytest.mark.parametrize("n_layers", [2, 3, 6], ids=str)
def test_each_tent_doubles_the_pieces(submission, reference, n_layers):
    expect_pieces(submission, reference, tents(n_layers), 0.0, 1.0)


@pytest.mark.exercise("linear_regions")
@pytest.mark.points(2)
@pytest.mark.parametrize("hidden", [(3, 4), (8, 8), (5, 3, 6), (6, 5, 4, 5)], ids=str)
@pytest.mark.parametrize("interval", [(-3.0, 3.0), (-0.5, 10.0)], ids=str)
def test_deep_networks_are_counted_exactly(submission, reference, rng, hidden, interval):
    for _ in range(3):
        expect_pieces(submission, reference, random_net(rng, *hidden), *interval)


@pytest.mark.exercise("linear_regions")
@pytest.mark.points(1)
def test_a_network_without_hidden_layer_is_one_piece(submission, reference):
    params = {"w0": np.array([[2.0]]), "b0": np.array([1.0])}
    expect_pieces(submission, reference, params, -1.0, 1.0)


@pytest.mark.exercise("linear_regions")
@pytest.mark.points(1)
@pytest.mark.parametrize("interval", [(1.0, -1.0), (2.0, 2.0)], ids=str)
def test_an_empty_interval_is_refused(submission, interval):
    straight = {"w0": np.array([[2.0]]), "b0": np.array([1.0])}
    for params in (hinges([0.0], [1.0]), straight):
        expect_raises(submission.linear_regions, ValueError, params, *interval)


@pytest.mark.exercise("linear_regions")
@pytest.mark.points(1)
@pytest.mark.parametrize("sizes", [(2, 3, 1), (1, 3, 2)], ids=str)
def test_more_than_one_input_or_output_is_refused(submission, rng, sizes):
    d_in, d_hidden, d_out = sizes
    params = {"w0": rng.standard_normal((d_in, d_hidden)), "b0": rng.standard_normal(d_hidden)}
    params |= {"w1": rng.standard_normal((d_hidden, d_out)), "b1": rng.standard_normal(d_out)}
    expect_raises(submission.linear_regions, ValueError, params, -1.0, 1.0)
