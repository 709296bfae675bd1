# %% [markdown]
# # 1. Perceptron: one affine layer learns digits

# %% tags=["setup"]
import numpy as np
from jaxtyping import Float, Int

import gradschool as gs

gs.start("01_perceptron")


# %%
def affine_forward(
    x: Float[np.ndarray, "*batch d_in"],
    w: Float[np.ndarray, "d_in d_out"],
    b: Float[np.ndarray, " d_out"],
) -> tuple[Float[np.ndarray, "*batch d_out"], tuple]:
    """Give each example d_out scores: weighted sums of its features, plus biases.

    out[..., j] = sum_i x[..., i] * w[i, j] + b[j]

    Args:
        x: Examples; any number of leading axes, also none.
        w: Weights. Column j holds the weights of output j.
        b: Biases, one per output.

    Returns:
        out: Scores, with the leading axes and the dtype of `x`.
        cache: What `affine_backward` needs. `(x, w)` is enough.

    Raises:
        ValueError: The last axis of `x` is not d_in, or `b` does not have shape (d_out,).

    Source:
        Rumelhart, Hinton & Williams 1986, "Learning representations by
        back-propagating errors", eq. 1.
    """
    ### BEGIN SOLUTION
    if x.shape[-1:] != w.shape[:1]:
        raise ValueError(f"x has shape {x.shape}; its last axis must be the {w.shape[0]} rows of w.")
    if b.shape != w.shape[1:]:
        raise ValueError(
            f"b has shape {b.shape}; w has {w.shape[1]} columns, so b needs shape ({w.shape[1]},)."
        )
    out = x @ w + b
    return out, (x, w)
    ### END SOLUTION


# %% tags=["check"]
gs.check("affine_forward")


# %%
def affine_backward(
    dout: Float[np.ndarray, "*batch d_out"],
    cache: tuple,
) -> tuple[
    Float[np.ndarray, "*batch d_in"],
    Float[np.ndarray, "d_in d_out"],
    Float[np.ndarray, " d_out"],
]:
    """Carry the gradient of the loss from the scores back to inputs, weights and biases.

    dx[..., i] = sum_j dout[..., j] * w[i, j]
    dw[i, j]   = sum over examples of x[..., i] * dout[..., j]
    db[j]      = sum over examples of dout[..., j]

    Args:
        dout: Gradient of the loss with respect to `out`; shape of `out`.
        cache: From `affine_forward`.

    Returns:
        dx: Gradient with respect to `x`; shape of `x`.
        dw: Gradient with respect to `w`; shape of `w`.
        db: Gradient with respect to `b`; shape of `b`.

    Raises:
        ValueError: `dout` does not have the shape of `out`.

    Source:
        Rumelhart, Hinton & Williams 1986, eq. 6 and 7.
    """
    ### BEGIN SOLUTION
    x, w = cache
    d_in, d_out = w.shape
    if dout.shape != (*x.shape[:-1], d_out):
        raise ValueError(f"dout has shape {dout.shape}; the forward's output had {(*x.shape[:-1], d_out)}.")
    dx = dout @ w.T
    # Every leading axis counts examples: flatten them to one before summing over it.
    rows, drows = x.reshape(-1, d_in), dout.reshape(-1, d_out)
    dw = rows.T @ drows
    db = drows.sum(axis=0)
    return dx, dw, db
    ### END SOLUTION


# %% tags=["check"]
gs.check("affine_backward")


# %%
def softmax_forward(x: Float[np.ndarray, "*batch n_cols"]) -> Float[np.ndarray, "*batch n_cols"]:
    """Turn each row of scores into a probability distribution.

    out[..., c] = exp(x[..., c] - max(x)) / sum_c' exp(x[..., c'] - max(x))

    Subtracting the row's maximum changes nothing in exact arithmetic and keeps
    `exp` from overflowing: without it float32 fails above x = 88.7.

    Args:
        x: Scores, dimensionless; rows lie along the last axis. `-inf` marks an
            impossible column and gives exactly 0; a row must not be all `-inf`.

    Returns:
        Probabilities in [0, 1], each row summing to 1; shape and dtype of `x`.

    Raises:
        ValueError: `x` has no columns.

    Source:
        Bridle 1990, "Probabilistic interpretation of feedforward classification
        network outputs"; Blanchard, Higham & Higham 2021 for the shift.
    """
    ### BEGIN SOLUTION
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(
            f"x has shape {x.shape}; softmax needs at least one column to share the probability."
        )
    exps = np.exp(x - x.max(axis=-1, keepdims=True))
    return exps / exps.sum(axis=-1, keepdims=True)
    ### END SOLUTION


# %% tags=["check"]
gs.check("softmax_forward")


# %%
def softmax_backward(
    dout: Float[np.ndarray, "*batch n_cols"],
    out: Float[np.ndarray, "*batch n_cols"],
) -> Float[np.ndarray, "*batch n_cols"]:
    """Carry the gradient from the probabilities back to the scores.

    dx[..., c] = out[..., c] * (dout[..., c] - sum_c' dout[..., c'] * out[..., c'])

    Args:
        dout: Gradient of the loss with respect to `out`.
        out: What `softmax_forward` returned.

    Returns:
        Gradient with respect to `x`, each row summing to 0; shape and dtype of `out`.

    Raises:
        ValueError: `dout` and `out` have different shapes.

    Source:
        Bridle 1990, the derivative of the normalised exponential.
    """
    ### BEGIN SOLUTION
    if dout.shape != out.shape:
        raise ValueError(f"dout has shape {dout.shape} and out has {out.shape}; they must be equal.")
    mean = (dout * out).sum(axis=-1, keepdims=True)
    return out * (dout - mean)
    ### END SOLUTION


# %% tags=["check"]
gs.check("softmax_backward")


# %%
def cross_entropy_forward(
    logits: Float[np.ndarray, "*batch n_classes"],
    labels: Int[np.ndarray, "*batch"],
) -> tuple[Float[np.ndarray, ""], tuple]:
    """Measure, in nats, how surprised the softmax of the logits is by the right labels.

    loss = mean over counted examples of  log(sum_c exp(logits[c])) - logits[label]

    An example counts if its label is not -1. The logarithm of the sum is taken with the
    row's maximum subtracted first, so that the loss stays right at any finite logits, also
    where the probability of the label is too small for a float.

    Args:
        logits: Scores, one row per example.
        labels: Integers in [0, n_classes), or -1 for an example to ignore.

    Returns:
        loss: Mean over the counted examples, in nats; dtype of `logits`. 0 if none counts.
        cache: What `cross_entropy_backward` needs. `(softmax of logits, labels)` is enough.

    Raises:
        ValueError: `labels` does not have the leading axes of `logits`, holds something
            other than integers, or a label lies outside [-1, n_classes).

    Source:
        Bishop 2006, "Pattern Recognition and Machine Learning", eq. 4.108.
    """
    ### BEGIN SOLUTION
    n_classes = logits.shape[-1]
    if labels.shape != logits.shape[:-1]:
        raise ValueError(f"labels has shape {labels.shape}; logits {logits.shape} needs {logits.shape[:-1]}.")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels holds {labels.dtype}; labels are integers.")
    if np.any((labels < -1) | (labels >= n_classes)):
        raise ValueError(f"A label lies outside [-1, {n_classes}).")
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    log_probs = shifted - log_sum
    counted = labels != -1
    # Of each counted row, the column of its own label.
    losses = -log_probs[counted, labels[counted]]
    loss = losses.sum() / max(losses.size, 1)
    return loss, (np.exp(log_probs), labels)
    ### END SOLUTION


# %% tags=["check"]
gs.check("cross_entropy_forward")


# %%
def cross_entropy_backward(
    dloss: float,
    cache: tuple,
) -> Float[np.ndarray, "*batch n_classes"]:
    """Carry the gradient from the mean loss back to the logits.

    dlogits[..., c] = dloss * (softmax[..., c] - (1 if c == label else 0)) / n_counted

    Args:
        dloss: Gradient of what is minimised with respect to `loss`: 1 if the loss itself is.
        cache: From `cross_entropy_forward`.

    Returns:
        Gradient with respect to `logits`, same shape and dtype. Rows of ignored
        examples are 0; if every example is ignored, all of it is 0.

    Source:
        Bishop 2006, eq. 4.109.
    """
    ### BEGIN SOLUTION
    probs, labels = cache
    counted = labels != -1
    onehot = labels[..., None] == np.arange(probs.shape[-1])
    n_counted = max(int(counted.sum()), 1)
    return (probs - onehot) * counted[..., None] * probs.dtype.type(dloss / n_counted)
    ### END SOLUTION


# %% tags=["check"]
gs.check("cross_entropy_backward")


# %%
def sgd_step(
    params: dict[str, np.ndarray],
    grads: dict[str, np.ndarray],
    lr: float,
) -> dict[str, np.ndarray]:
    """Move every parameter a little way down its gradient.

    new[name] = params[name] - lr * grads[name]

    Args:
        params: Arrays by name. Neither the dict nor its arrays are changed.
        grads: Gradient of the loss by the same names, each with its parameter's shape.
        lr: Learning rate, a positive number.

    Returns:
        A new dict of new arrays, with the names, shapes and dtypes of `params`.

    Raises:
        ValueError: `params` and `grads` have different names, or a gradient does not
            have its parameter's shape.

    Source:
        Robbins & Monro 1951, "A stochastic approximation method".
    """
    ### BEGIN SOLUTION
    if params.keys() != grads.keys():
        raise ValueError(
            f"params has {sorted(params)} and grads has {sorted(grads)}; the names must be equal."
        )
    new = {}
    for name, value in params.items():
        grad = grads[name]
        if grad.shape != value.shape:
            raise ValueError(f"The gradient of {name} has shape {grad.shape}; {name} has {value.shape}.")
        new[name] = value - value.dtype.type(lr) * grad
    return new
    ### END SOLUTION


# %% tags=["check"]
gs.check("sgd_step")


# %%
def accuracy(
    logits: Float[np.ndarray, "*batch n_classes"],
    labels: Int[np.ndarray, "*batch"],
) -> float:
    """Return the share of examples whose largest logit is the label's.

    Args:
        logits: Scores, one row per example. Of equal scores the first counts as largest.
        labels: Integers in [0, n_classes).

    Returns:
        A Python float between 0 and 1.

    Raises:
        ValueError: `labels` does not have the leading axes of `logits`, or there is no example.
    """
    ### BEGIN SOLUTION
    if labels.shape != logits.shape[:-1]:
        raise ValueError(f"labels has shape {labels.shape}; logits {logits.shape} needs {logits.shape[:-1]}.")
    if labels.size == 0:
        raise ValueError("There is no example to count.")
    return float(np.mean(logits.argmax(axis=-1) == labels))
    ### END SOLUTION


# %% tags=["check"]
gs.check("accuracy")


# %%
def perceptron_step(
    x: Float[np.ndarray, "n d_in"],
    y: Int[np.ndarray, " n"],
    w: Float[np.ndarray, " d_in"],
    b: float,
    lr: float,
) -> tuple[Float[np.ndarray, " d_in"], float]:
    """Visit the examples once, in order, and correct the line after each mistake.

    For each example in turn, with the weights as the examples before it left them:
    if y_i * (x_i @ w + b) <= 0, then w <- w + lr * y_i * x_i and b <- b + lr * y_i.

    An example exactly on the line (margin 0) is a mistake too. Otherwise nothing
    would ever move from w = 0, b = 0.

    Args:
        x: Examples, one per row. A single example may come without its first axis.
        y: Labels, each -1 or +1.
        w: Weights before the first example; not changed.
        b: Bias before the first example.
        lr: Learning rate, a positive number.

    Returns:
        w: Weights after the last example; shape and dtype of `w`.
        b: Bias after the last example, a number.

    Raises:
        ValueError: `x`, `y` and `w` do not fit each other, or a label is neither -1 nor +1.

    Source:
        Rosenblatt 1958, "The perceptron", Psychological Review 65(6);
        Novikoff 1962, "On convergence proofs on perceptrons".
    """
    ### BEGIN SOLUTION
    x, y = np.atleast_2d(x), np.atleast_1d(y)
    if x.shape != (y.size, w.size):
        raise ValueError(
            f"x has shape {x.shape}; {y.size} labels and {w.size} weights need {(y.size, w.size)}."
        )
    if not np.all((y == -1) | (y == 1)):
        raise ValueError(f"Labels are -1 or +1; these hold {np.unique(y)}.")
    # In one dtype from here on: an int64 label would turn float32 weights into float64.
    y = y.astype(w.dtype)
    w, b, lr = w.copy(), w.dtype.type(b), w.dtype.type(lr)
    for x_i, y_i in zip(x, y, strict=True):
        if y_i * (x_i @ w + b) <= 0:
            w = w + lr * y_i * x_i
            b = b + lr * y_i
    return w, b
    ### END SOLUTION


# %% tags=["check"]
gs.check("perceptron_step")
