"""Rows in one long table: the bias as one more row of the weights, columns first, only the counted rows."""

import numpy as np


def affine_forward(x, w, b):
    d_in, d_out = w.shape
    if x.shape[-1:] != (d_in,) or b.shape != (d_out,):
        raise ValueError("x, w and b do not fit each other")
    rows = x.reshape((-1, d_in))
    ones = np.ones((rows.shape[0], 1), x.dtype)
    table, stacked = np.concatenate([rows, ones], axis=1), np.vstack([w, b])
    return np.dot(table, stacked).reshape((*x.shape[:-1], d_out)), {
        "table": table,
        "stacked": stacked,
        "leading": list(x.shape[:-1]),
    }


def affine_backward(dout, cache):
    table, stacked, leading = cache["table"], cache["stacked"], tuple(cache["leading"])
    if dout.shape != (*leading, stacked.shape[1]):
        raise ValueError("dout does not have the shape of the output")
    drows = dout.reshape(len(table), -1)
    dstacked = np.dot(table.T, drows)
    dtable = np.dot(drows, stacked.T)
    return dtable[:, :-1].reshape(*leading, -1), dstacked[:-1], dstacked[-1]


def softmax_forward(x):
    if x.ndim < 1 or x.shape[-1] < 1:
        raise ValueError("softmax of no scores")
    # Columns first: then rows broadcast without keepdims.
    columns = np.moveaxis(x, -1, 0)
    columns = np.exp(columns - columns.max(axis=0))
    columns /= columns.sum(axis=0)
    return np.moveaxis(columns, 0, -1).copy()


def softmax_backward(dout, out):
    if not dout.shape == out.shape:
        raise ValueError("dout and out differ in shape")
    shape, n_cols = out.shape, out.shape[-1]
    p, g = out.reshape(-1, n_cols), dout.reshape(-1, n_cols)
    dx = p * g
    inner = np.zeros(len(p), p.dtype)
    for column in dx.T:
        inner += column
    dx -= p * inner[:, None]
    return dx.reshape(shape)


def cross_entropy_forward(logits, labels):
    if logits.shape[:-1] != np.shape(labels):
        raise ValueError("as many labels as rows of logits")
    if labels.dtype.kind not in ("i", "u"):
        raise ValueError("labels are whole numbers")
    rows, classes = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)
    if len(classes) and (classes.min() < -1 or classes.max() > rows.shape[1] - 1):
        raise ValueError("no such class")
    kept = classes > -1
    picked, targets = rows[kept], classes[kept]
    cache = {"logits": logits, "kept": kept, "targets": targets}
    if len(picked) == 0:
        return np.zeros((), logits.dtype), cache
    # Relative to the row's largest: the right one's deficit and the log of the crowd.
    relative = picked - picked.max(axis=1)[:, None]
    surprise = np.log(np.exp(relative).sum(axis=1)) - relative[np.arange(len(targets)), targets]
    return np.average(surprise), cache


def cross_entropy_backward(dloss, cache):
    logits, kept, targets = cache["logits"], cache["kept"], cache["targets"]
    rows = logits.reshape(-1, logits.shape[-1])
    dlogits = np.zeros(rows.shape, rows.dtype)
    if len(targets) > 0:
        powers = np.exp(rows[kept] - rows[kept].max(axis=1, keepdims=True))
        probs = powers / np.sum(powers, axis=1, keepdims=True)
        probs[np.arange(len(targets)), targets] -= 1
        dlogits[kept] = probs / len(targets) * dloss
    return dlogits.reshape(logits.shape)


def sgd_step(params, grads, lr):
    if sorted(params.keys()) != sorted(grads.keys()):
        raise ValueError("params and grads must have the same keys")
    new_params = {key: params[key].copy() for key in params}
    for key in new_params:
        if grads[key].shape != new_params[key].shape:
            raise ValueError(f"gradient of {key}: wrong shape")
        new_params[key] -= lr * grads[key]
    return new_params


def accuracy(logits, labels):
    if labels.ndim != logits.ndim - 1 or labels.shape != logits.shape[:-1]:
        raise ValueError("labels and logits do not fit")
    if len(labels.reshape(-1)) == 0:
        raise ValueError("accuracy of nothing")
    n_right = n_all = 0
    for row, label in zip(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1), strict=True):
        guess = 0
        for c in range(1, len(row)):
            if row[c] > row[guess]:
                guess = c
        n_right += int(guess == label)
        n_all += 1
    return n_right / n_all


def perceptron_step(x, y, w, b, lr):
    if x.ndim == 1:
        x, y = x.reshape(1, -1), np.reshape(y, (1,))
    if len(x) != len(y):
        raise ValueError("as many labels as examples")
    if x.shape[-1] != w.size:
        raise ValueError("as many weights as features")
    if set(np.unique(y)) - {-1, 1}:
        raise ValueError("a label is -1 or +1")
    weights, bias = w.copy(), float(b)
    for n in range(len(x)):
        score = bias
        for i in range(w.size):
            score += weights[i] * x[n, i]
        mistake = (score <= 0) if y[n] == 1 else (score >= 0)
        if mistake:
            for i in range(w.size):
                weights[i] += lr * y[n] * x[n, i]
            bias += lr * y[n]
    return weights, bias
