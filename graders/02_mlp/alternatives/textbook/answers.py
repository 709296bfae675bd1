"""As in textbooks: homogeneous coordinates, slopes stored by the forward, masks as matrices, a chain of layers."""

from itertools import pairwise

import numpy as np


def collapse_affine(w1, b1, w2, b2):
    if w1.ndim != 2 or w2.ndim != 2 or w1.shape[1:] != w2.shape[:1]:
        raise ValueError("the weights cannot be chained")
    if b1.shape != w2.shape[:1] or b2.shape != w2.shape[1:]:
        raise ValueError("a bias does not belong to its weights")

    def augmented(w, b):
        column = np.zeros((len(w) + 1, 1), w.dtype)
        column[-1] = 1
        return np.hstack([np.vstack([w, b]), column])

    # One more coordinate, always 1, turns affine maps into linear ones.
    both = np.dot(augmented(w1, b1), augmented(w2, b2))
    return both[:-1, :-1], both[-1, :-1]


def relu_forward(x):
    return (x + np.abs(x)) / 2, {"sign": np.sign(x)}


def relu_backward(dout, cache):
    sign = np.asarray(cache["sign"])
    if dout.shape != sign.shape:
        raise ValueError("dout must have the shape of the output")
    dx = np.array(dout)
    dx[sign < 1] = 0
    return dx


def sigmoid_forward(x):
    out = np.empty_like(x)
    right = x >= 0
    out[right] = 1 / (1 + np.exp(-x[right]))
    powers = np.exp(x[~right])
    out[~right] = powers / (1 + powers)
    return out, [out, out * (1 - out)]


def sigmoid_backward(dout, cache):
    slope = np.asarray(cache[1])
    if slope.shape != dout.shape:
        raise ValueError("dout must have the shape of the output")
    return np.multiply(slope, dout)


def tanh_forward(x):
    # Beyond 20 the result is 1 in any precision we have.
    growth = np.expm1(2 * np.clip(x, -20, 20))
    out = growth / (growth + 2)
    return out, {"slope": 1 - np.square(out)}


def tanh_backward(dout, cache):
    slope = np.asarray(cache["slope"])
    if slope.shape != dout.shape:
        raise ValueError("dout must have the shape of the output")
    return slope * dout


def leaky_relu_forward(x, slope=0.01):
    if not 0.0 <= slope <= 1.0:
        raise ValueError(f"a slope of {slope} is no leak")
    factor = np.ones_like(x)
    factor[x <= 0] = slope
    return factor * x, (factor,)


def leaky_relu_backward(dout, cache):
    factor = np.asarray(cache[0])
    if factor.shape != dout.shape:
        raise ValueError("dout must have the shape of the output")
    return factor * dout


def relu_interpolant(knots, values):
    if knots.ndim != 1 or values.ndim != 1 or len(knots) != len(values) or len(knots) < 2:
        raise ValueError("knots and values: equally long, two at least")
    if min(np.diff(knots)) <= 0:
        raise ValueError("each knot must lie to the right of the one before")
    x, y, dtype = knots.astype(np.float64), values.astype(np.float64), values.dtype
    # One equation per point behind the first: what do the hinges to its left add up to?
    hinges = np.maximum(x[1:, None] - x[None, :-1], 0)
    weights = np.linalg.solve(hinges, y[1:] - y[0])
    n_hidden = len(weights)
    return {
        "b1": y[:1].astype(dtype),
        "w1": weights.astype(dtype)[:, np.newaxis],
        "b0": (-x[:-1]).astype(dtype),
        "w0": np.full((1, n_hidden), 1, dtype),
    }


def linear_regions(params, low, high):
    weights = [params[f"w{i}"] for i in range(len(params) // 2)]
    biases = [params[f"b{i}"] for i in range(len(params) // 2)]
    if len(weights[0]) != 1 or weights[-1].shape[-1] != 1:
        raise ValueError("a network of one number has one input and one output")
    if low >= high:
        raise ValueError("low must lie to the left of high")

    def affine_map(x, depth):
        # Near x the first layers are one affine map: every bend is a diagonal matrix of 0 and 1.
        a, c = weights[0], biases[0]
        for w, b in zip(weights[1 : depth + 1], biases[1 : depth + 1], strict=True):
            mask = np.diag(((x * a[0] + c) > 0).astype(float))
            a, c = a @ mask @ w, c @ mask @ w + b
        return a[0], c

    places = [float(low), float(high)]
    for depth in range(len(weights) - 1):
        found = list(places)
        for left, right in pairwise(places):
            a, c = affine_map((left + right) / 2, depth)
            found += [-q / p for p, q in zip(a, c, strict=True) if p != 0 and left < -q / p < right]
        places = [low]
        for place in sorted(found):
            if place - places[-1] > 1e-10 * (high - low):
                places.append(place)
    middles = (np.array(places[:-1]) + np.array(places[1:])) / 2
    slopes = [affine_map(x, len(weights) - 1)[0][0] for x in middles]
    limit = 1e-9 * max(abs(slope) for slope in slopes)
    pieces = 1
    for i in range(1, len(slopes)):
        if abs(slopes[i] - slopes[i - 1]) > limit:
            pieces += 1
    return pieces


def mlp_forward(x, params):
    n_layers, odd = divmod(len(params), 2)
    if odd or not n_layers:
        raise ValueError("weights and biases come in pairs")
    try:
        layers = [(params[f"w{i}"], params[f"b{i}"]) for i in range(n_layers)]
    except KeyError as error:
        raise ValueError(f"{error} is missing") from None
    widths = [x.shape[-1], *(len(b) for _, b in layers)]
    for i, (w, b) in enumerate(layers):
        if w.shape != (widths[i], widths[i + 1]) or b.ndim != 1:
            raise ValueError(f"layer {i} does not follow from the one before")

    def run(h, remaining):
        (w, b), *later = remaining
        z = np.tensordot(h, w, 1) + b
        if not later:
            return z, [(h, w)]
        logits, caches = run(np.clip(z, 0, None), later)
        return logits, [(h, w), *caches]

    return run(x, layers)


def mlp_backward(dlogits, cache):
    h, w = cache[-1]
    if dlogits.shape != (*h.shape[:-1], w.shape[1]):
        raise ValueError("dlogits must have the shape of the logits")
    # Example by row; h is what the bend let through, so it is positive exactly where the gate is open.
    delta = dlogits.reshape(-1, dlogits.shape[-1])
    grads = {}
    for i, (h, w) in reversed([*enumerate(cache)]):
        rows = h.reshape(-1, len(w))
        grads.update({f"w{i}": np.einsum("ni,nj->ij", rows, delta), f"b{i}": np.einsum("nj->j", delta)})
        delta = np.dot(delta, w.T) * np.sign(rows)
    return grads


def check_gradient(f, x, dout, rng):
    x = x.astype(np.float64)
    direction, step = rng.standard_normal(x.shape), 2e-5

    def objective(t):
        y = f(x + t * direction)
        y = np.array(y[0] if isinstance(y, tuple) else y)
        if y.shape != dout.shape:
            raise ValueError("one weight for each output, please")
        return y

    # Four points instead of two: the error falls with the fourth power of the step.
    near, far = objective(step) - objective(-step), objective(2 * step) - objective(-2 * step)
    return float((dout * (8 * near - far)).sum() / (12 * step))
