"""Everything one example at a time, with explicit loops and Python's own arithmetic."""

import math

import numpy as np


def affine_forward(x, w, b):
    if x.ndim == 0 or x.shape[-1] != len(w):
        raise ValueError("x does not fit w")
    if b.shape != (w.shape[1],):
        raise ValueError("b does not fit w")
    out = np.empty((*x.shape[:-1], w.shape[1]), x.dtype)
    for index in np.ndindex(x.shape[:-1]):
        for j in range(w.shape[1]):
            out[(*index, j)] = sum((x[(*index, i)] * w[i, j] for i in range(len(w))), b[j])
    return out, {"x": x.copy(), "w": w.copy()}


def affine_backward(dout, cache):
    x, w = cache["x"], cache["w"]
    if dout.shape != (*x.shape[:-1], w.shape[1]):
        raise ValueError("dout does not fit the forward's output")
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros(w.shape[1], w.dtype)
    for index in np.ndindex(x.shape[:-1]):
        dw += np.outer(x[index], dout[index])
        db += dout[index]
        for i in range(len(w)):
            dx[(*index, i)] = (dout[index] * w[i]).sum()
    return dx, dw, db


def softmax_forward(x):
    if x.shape[-1] == 0:
        raise ValueError("no columns")
    out = np.zeros_like(x)
    for index in np.ndindex(x.shape[:-1]):
        top = max(x[index])
        exps = [math.exp(score - top) for score in x[index]]
        total = math.fsum(exps)
        for column, value in enumerate(exps):
            out[(*index, column)] = value / total
    return out


def softmax_backward(dout, out):
    if dout.shape != out.shape:
        raise ValueError("shapes differ")
    dx = np.empty_like(out)
    for index in np.ndindex(out.shape[:-1]):
        p = out[index]
        # The whole matrix of derivatives of one row.
        jacobian = np.diag(p) - np.outer(p, p)
        dx[index] = jacobian @ dout[index]
    return dx


def cross_entropy_forward(logits, labels):
    if labels.shape != logits.shape[:-1] or labels.dtype.kind not in "iu":
        raise ValueError("labels must be integers, one per row")
    total, n_counted = 0.0, 0
    for index in np.ndindex(labels.shape):
        label = int(labels[index])
        if not -1 <= label < logits.shape[-1]:
            raise ValueError(f"label {label} is no class")
        if label == -1:
            continue
        row = [float(value) for value in logits[index]]
        top = max(row)
        total += top - row[label] + math.log(math.fsum(math.exp(value - top) for value in row))
        n_counted += 1
    loss = total / n_counted if n_counted else 0.0
    return loss, {"logits": logits.copy(), "labels": labels.copy(), "n_counted": n_counted}


def cross_entropy_backward(dloss, cache):
    logits, labels = cache["logits"], cache["labels"]
    dlogits = np.zeros_like(logits)
    for index in np.ndindex(labels.shape):
        if labels[index] == -1:
            continue
        exps = np.exp(logits[index] - logits[index].max())
        row = exps / exps.sum()
        row[labels[index]] -= 1
        dlogits[index] = dloss * row / cache["n_counted"]
    return dlogits


def sgd_step(params, grads, lr):
    if set(params) != set(grads):
        raise ValueError("other names")
    new = {name: np.array(value) for name, value in params.items()}
    for name, value in new.items():
        if np.shape(grads[name]) != value.shape:
            raise ValueError(f"{name} has another shape")
        value[...] -= lr * grads[name]
    return new


def accuracy(logits, labels):
    if labels.shape != logits.shape[:-1] or labels.size == 0:
        raise ValueError("labels do not fit")
    right = 0
    for index in np.ndindex(labels.shape):
        row = list(logits[index])
        right += row.index(max(row)) == labels[index]
    return right / labels.size


def perceptron_step(x, y, w, b, lr):
    x = np.atleast_2d(x)
    y = np.atleast_1d(y)
    if len(x) != len(y) or x.shape[1] != len(w) or not set(y.tolist()) <= {-1, 1}:
        raise ValueError("examples, labels and weights do not fit")
    weights, bias = [float(value) for value in w], float(b)
    for example, label in zip(x.tolist(), y.tolist(), strict=True):
        score = sum(value * weight for value, weight in zip(example, weights, strict=True)) + bias
        if label * score <= 0:
            weights = [weight + lr * label * value for weight, value in zip(weights, example, strict=True)]
            bias += lr * label
    return np.array(weights, dtype=w.dtype), bias
