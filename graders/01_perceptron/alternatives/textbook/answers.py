"""As in textbooks: sums of outer products, whole Jacobians, one-hot tables, the loss fused with its gradient."""

import numpy as np


def affine_forward(x, w, b):
    if np.ndim(x) == 0 or np.shape(x)[-1] != len(w):
        raise ValueError("x needs one number per row of w")
    if np.shape(b) != (w.shape[1],):
        raise ValueError("b needs one number per column of w")
    out = np.zeros((*x.shape[:-1], w.shape[1]), dtype=x.dtype)
    for i in range(len(w)):
        out += x[..., i, None] * w[i]
    # The gradients of the weights and of the inputs need these two, and db needs nothing.
    return out + b, (w.T.copy(), x)


def affine_backward(dout, cache):
    w_t, x = cache
    if dout.shape != (*x.shape[:-1], len(w_t)):
        raise ValueError("dout must look like the output")
    dx = np.zeros_like(x)
    for j in range(len(w_t)):
        dx += dout[..., j, None] * w_t[j]
    outer = x[..., :, None] * dout[..., None, :]
    leading = tuple(range(outer.ndim - 2))
    return dx, np.sum(outer, axis=leading), np.sum(dout, axis=tuple(range(dout.ndim - 1)))


def softmax_forward(x):
    if 0 in x.shape[-1:] or x.ndim == 0:
        raise ValueError("there is nothing to normalise")
    # Any shift near the maximum will do; a whole number is as good as the maximum itself.
    shift = np.ceil(np.amax(x, axis=-1))[..., np.newaxis]
    out = np.exp(x - shift)
    out /= np.sum(out, axis=-1)[..., np.newaxis]
    return out


def softmax_backward(dout, out):
    if np.shape(dout) != np.shape(out):
        raise ValueError(f"{dout.shape} is not {out.shape}")
    n_cols = out.shape[-1]
    # jacobian[..., i, j] = out_i (delta_ij - out_j)
    jacobian = out[..., :, None] * (np.eye(n_cols, dtype=out.dtype) - out[..., None, :])
    return np.matmul(dout[..., None, :], jacobian)[..., 0, :]


def cross_entropy_forward(logits, labels):
    n_classes = logits.shape[-1]
    if labels.shape != logits.shape[:-1]:
        raise ValueError("the labels do not fit the logits")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError("a label is an integer")
    if ((labels < -1) + (labels >= n_classes)).any():
        raise ValueError("a label is a class, or -1")
    n_counted = np.count_nonzero(labels + 1)
    weights = (labels >= 0) / max(n_counted, 1)
    onehot = labels[..., None] == np.arange(n_classes)
    top = logits.max(-1)
    powers = np.exp(logits - top[..., None])
    total = powers.sum(-1)
    own = np.where(onehot, logits, 0).sum(-1)
    loss = np.vdot(weights, np.log(total) + top - own)
    # The backward is ready before it is asked for.
    gradient = (powers / total[..., None] - onehot) * weights[..., None]
    return logits.dtype.type(loss), [gradient.astype(logits.dtype)]


def cross_entropy_backward(dloss, cache):
    (gradient,) = cache
    return gradient * gradient.dtype.type(dloss)


def sgd_step(params, grads, lr):
    if not params.keys() == grads.keys():
        raise ValueError("params and grads hold different names")
    for name in params:
        if params[name].shape != grads[name].shape:
            raise ValueError(f"{name}: the shapes differ")
    # All parameters as one long vector, and back.
    names = list(params)
    ends = np.cumsum([params[name].size for name in names])
    dtype = params[names[0]].dtype
    theta = np.concatenate([params[name].ravel() for name in names])
    theta = theta - (lr * np.concatenate([grads[name].ravel() for name in names])).astype(dtype)
    parts = np.split(theta, ends[:-1])
    return {name: part.reshape(params[name].shape).copy() for name, part in zip(names, parts, strict=True)}


def accuracy(logits, labels):
    n_classes = logits.shape[-1]
    if logits.shape[:-1] != labels.shape or labels.size < 1:
        raise ValueError("one label for each example, and at least one example")
    best = np.argsort(-logits, axis=-1, kind="stable")[..., 0]
    confusion = np.zeros((n_classes, n_classes), int)
    np.add.at(confusion, (labels.ravel(), best.ravel()), 1)
    return float(np.trace(confusion) / confusion.sum())


def perceptron_step(x, y, w, b, lr):
    x, y = np.array(x, ndmin=2), np.array(y, ndmin=1)
    if x.shape[0] != y.shape[0] or x.shape[1:] != w.shape:
        raise ValueError("x, y and w do not fit")
    if not np.isin(y, (-1, 1)).all():
        raise ValueError("labels are -1 and 1")
    i, w, b = 0, np.array(w), w.dtype.type(b)
    while i < len(x):
        # np.sign gives 0 on the line, which is neither label.
        if np.sign(np.dot(w, x[i]) + b) != y[i]:
            step = w.dtype.type(lr * y[i])
            w, b = w + step * x[i], b + step
        i += 1
    return w, b
