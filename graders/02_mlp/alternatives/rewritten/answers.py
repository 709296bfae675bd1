"""Whole arrays, written another way: masks in the cache, einsum, recursion, numbers of one neuron at a time."""

from itertools import pairwise

import numpy as np


def collapse_affine(w1, b1, w2, b2):
    if w1.shape[-1] != w2.shape[0] or b1.shape != (w2.shape[0],) or b2.shape != (w2.shape[-1],):
        raise ValueError(f"shapes {w1.shape}, {b1.shape}, {w2.shape}, {b2.shape} do not fit")
    # What the two layers do to nothing, and to one unit of each input.
    return np.einsum("ih,ho->io", w1, w2), np.einsum("h,ho->o", b1, w2) + b2


def relu_forward(x):
    gate = x > 0
    return np.where(gate, x, x.dtype.type(0)), [gate]


def relu_backward(dout, cache):
    gate = np.asarray(cache[0])
    if gate.shape != dout.shape:
        raise ValueError(f"dout {dout.shape} does not fit {gate.shape}")
    return np.where(gate, dout, dout.dtype.type(0))


def sigmoid_forward(x):
    # exp(-log(1 + exp(-x))), and logaddexp overflows nowhere
    out = np.exp(-np.logaddexp(x.dtype.type(0), -x))
    return out, {"out": out}


def sigmoid_backward(dout, cache):
    out = cache["out"]
    if np.shape(out) != dout.shape:
        raise ValueError("dout does not fit")
    return (out - out**2) * dout


def tanh_forward(x):
    # expm1 keeps the digits near zero; -2|x| cannot overflow.
    minus = np.expm1(-2 * np.abs(x))
    out = np.copysign(-minus / (2 + minus), x)
    return out, (x,)


def tanh_backward(dout, cache):
    (x,) = cache
    if x.shape != dout.shape:
        raise ValueError("dout does not fit")
    # 1 / cosh(x)**2, without letting cosh overflow
    return dout / np.cosh(np.clip(x, -40, 40)) ** 2


def leaky_relu_forward(x, slope=0.01):
    if slope < 0 or slope > 1:
        raise ValueError("a slope between 0 and 1, please")
    return np.maximum(x, x * float(slope)), {"gate": x > 0, "slope": float(slope)}


def leaky_relu_backward(dout, cache):
    gate, slope = np.asarray(cache["gate"]), cache["slope"]
    if gate.shape != dout.shape:
        raise ValueError("dout does not fit")
    return dout * (gate + np.logical_not(gate) * slope).astype(dout.dtype)


def relu_interpolant(knots, values):
    if np.ndim(knots) != 1 or np.shape(knots) != np.shape(values) or len(knots) < 2:
        raise ValueError("as many knots as values, two at least")
    if not np.all(knots[1:] > knots[:-1]):
        raise ValueError("the knots do not increase")
    # Hinges that open to the left: built from the right end, flat beyond it.
    slopes = (values[1:] - values[:-1]) / (knots[1:] - knots[:-1])
    bends = np.append(slopes[1:] - slopes[:-1], -slopes[-1])
    one = np.ones(len(bends), values.dtype)
    return {
        "w0": -one[None],
        "b0": knots[1:].astype(values.dtype),
        "w1": bends.reshape(-1, 1).astype(values.dtype),
        "b1": np.array([values[-1]], values.dtype),
    }


def linear_regions(params, low, high):
    depth = len(params) // 2
    if high <= low:
        raise ValueError("low must be below high")
    if params["w0"].shape[0] != 1 or params[f"b{depth - 1}"].shape != (1,):
        raise ValueError("one input, one output")
    # Each piece carries the straight lines (slope, height) of all neurons of a layer.
    pieces = [(float(low), float(high), np.ones(1), np.zeros(1))]
    for i in range(depth):
        w, b = params[f"w{i}"], params[f"b{i}"]
        pieces = [(start, end, slope @ w, height @ w + b) for start, end, slope, height in pieces]
        if i == depth - 1:
            break
        bent = []
        for start, end, slope, height in pieces:
            with np.errstate(divide="ignore", invalid="ignore"):
                zeros = -height / slope
            cuts = [start, *sorted(zeros[(zeros > start) & (zeros < end)]), end]
            for one, two in pairwise(cuts):
                if two - one > 1e-10 * (high - low):
                    on = slope * (one + two) / 2 + height > 0
                    bent.append((one, two, slope * on, height * on))
        pieces = bent
    slopes = np.array([slope[0] for _, _, slope, _ in pieces])
    return 1 + int(np.sum(~np.isclose(slopes[1:], slopes[:-1], rtol=1e-9, atol=1e-9 * np.abs(slopes).max())))


def mlp_forward(x, params):
    depth = max((int(name[1:]) + 1 for name in params if name[1:].isdigit()), default=0)
    wanted = {"w" + str(i) for i in range(depth)} | {"b" + str(i) for i in range(depth)}
    if not params or wanted != set(params):
        raise ValueError("names")
    activations = [x]
    for i in range(depth):
        w, b = params["w" + str(i)], params["b" + str(i)]
        if activations[-1].shape[-1] != w.shape[0] or b.shape != (w.shape[1],):
            raise ValueError("shapes")
        z = np.einsum("...i,ij->...j", activations[-1], w) + b
        activations.append(z if i == depth - 1 else z * (z > 0))
    return activations[-1], {
        "activations": activations,
        "weights": [params["w" + str(i)] for i in range(depth)],
    }


def mlp_backward(dlogits, cache):
    activations, weights = cache["activations"], cache["weights"]
    if dlogits.shape != activations[-1].shape:
        raise ValueError("shape")
    axes = list(range(dlogits.ndim - 1))
    grads, delta = {}, dlogits
    for i in range(len(weights) - 1, -1, -1):
        grads["b" + str(i)] = delta.sum(axis=tuple(axes))
        grads["w" + str(i)] = np.tensordot(activations[i], delta, (axes, axes))
        delta = np.einsum("...j,ij->...i", delta, weights[i])
        if i:
            delta = np.where(activations[i] > 0, delta, 0)
    return grads


def check_gradient(f, x, dout, rng):
    def weighted(at):
        out = f(at)
        out = np.asarray(out[0] if type(out) is tuple else out)
        if out.shape != np.shape(dout):
            raise ValueError("dout and f(x) differ in shape")
        return out

    x = np.array(x, dtype=float)
    nudge = 3e-6 * rng.normal(size=x.shape)
    change = weighted(x + nudge) - weighted(x - nudge)
    return np.vdot(np.asarray(dout, float), change).item() / 6e-6
