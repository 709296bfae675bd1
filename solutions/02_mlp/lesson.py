# %% [markdown]
# # 2. Multilayer perceptron: why the bend matters
#
# Stage 1 ended with a disappointment. Two affine layers, one on top of the other, are no better
# than one. Something must stand between them.
#
# That something is as small as it could be: replace every negative number by zero. In this stage
# you find out why so little is enough, how much can be built from it, and how a gradient finds its
# way back through it. At the end a network with one hidden layer reads digits that lie anywhere on
# a canvas. The machine of stage 1 is nearly blind there.
#
# You need stage 1: the affine layer, the loss, and what an upstream gradient is.

# %% tags=["setup"]
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from jaxtyping import Float

import gradschool as gs

gs.start("02_mlp")

# %% [markdown]
# **How to work.** As in stage 1: write the function, run its cell, run the check below it. The
# three rules are the same. An input is never changed. `float32` in, `float32` out. What cannot be
# right is refused with a `ValueError` and a sentence.
#
# What you wrote in stage 1 is not lost. The next cell holds the parts of it that are needed here,
# so that this notebook stands on its own. Read it once; there is nothing to do.


# %%
def affine_forward(x, w, b):
    """Return `x @ w + b` over any leading axes, and the cache `(x, w)`."""
    if x.shape[-1:] != w.shape[:1] or b.shape != w.shape[1:]:
        raise ValueError(f"x {x.shape}, w {w.shape} and b {b.shape} do not fit each other.")
    return x @ w + b, (x, w)


def affine_backward(dout, cache):
    """Return the gradients of `x`, `w` and `b`."""
    x, w = cache
    if dout.shape != (*x.shape[:-1], w.shape[1]):
        raise ValueError(f"dout has shape {dout.shape}; the output had {(*x.shape[:-1], w.shape[1])}.")
    rows, drows = x.reshape(-1, w.shape[0]), dout.reshape(-1, w.shape[1])
    return dout @ w.T, rows.T @ drows, drows.sum(axis=0)


def cross_entropy(logits, labels):
    """Return the mean surprise in nats, and its gradient with respect to the logits."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    onehot = labels[:, None] == np.arange(logits.shape[-1])
    return -log_probs[onehot].mean(), (np.exp(log_probs) - onehot) / logits.dtype.type(len(labels))


def sgd_step(params, grads, lr):
    """Return new parameters, one step down the gradient."""
    return {name: value - value.dtype.type(lr) * grads[name] for name, value in params.items()}


def accuracy(logits, labels):
    """Return the share of right answers."""
    return float(np.mean(logits.argmax(axis=-1) == labels))


# %% [markdown]
# ## 2.1 Four points that no line can separate
#
# Here is the smallest problem that a single neuron cannot solve. Two switches, each off (0) or on
# (1). The lamp burns when exactly one of them is on. This is called **exclusive or**, XOR.

# %% tags=["demo"]
import matplotlib.pyplot as plt
from matplotlib.colors import LinearSegmentedColormap

BLUE, ORANGE, GREEN, INK, GREY = "#1f6fb2", "#c05e00", "#2b7a3d", "#1f2933", "#8a949e"
plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})

corners = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
lamp = np.array([0, 0, 1, 1])


def draw_classes(ax, x, y, size=30):
    for label, colour, marker in ((0, BLUE, "o"), (1, ORANGE, "^")):
        ax.scatter(*x[y == label].T, s=size, c=colour, marker=marker, linewidths=0, zorder=3)


fig, ax = plt.subplots(figsize=(3.6, 3.4))
draw_classes(ax, corners, lamp, size=120)
ax.set(xlim=(-0.4, 1.4), ylim=(-0.4, 1.4), xticks=[0, 1], yticks=[0, 1])
ax.set(xlabel="first switch", ylabel="second switch", title="orange: the lamp burns")
fig.tight_layout()

# %% [markdown]
# **Question.** Lay a ruler on the picture. Can you put both orange points on one side and both blue
# points on the other? Can you *prove* that it is impossible?
#
# <details><summary>Answer</summary>
#
# It is impossible, and two additions prove it. A line would need
#
# - $w_1 + b > 0$ and $w_2 + b > 0$ for the orange points. Added: $w_1 + w_2 + 2b > 0$.
# - $b \le 0$ and $w_1 + w_2 + b \le 0$ for the blue points. Added: $w_1 + w_2 + 2b \le 0$.
#
# The same number cannot be positive and not positive.
#
# </details>
#
# Marvin Minsky and Seymour Papert put this into a book in 1969, and for many years hardly anyone
# wanted to hear of neurons again. They knew that more layers might help. Nobody knew how to train
# them.
#
# ### So add a layer?
#
# The first layer makes two numbers from the switches. The second makes the answer from those two.
# Let us try before we think: random weights, a thousand times, and each time the four scores.

# %% tags=["demo"]
rng = np.random.default_rng(0)
best = 0
for _ in range(1000):
    w1, b1 = rng.standard_normal((2, 2)), rng.standard_normal(2)
    w2, b2 = rng.standard_normal((2, 1)), rng.standard_normal(1)
    score = (corners @ w1 + b1) @ w2 + b2
    best = max(best, int(np.sum((score[:, 0] > 0) == lamp)))
print(f"the best of 1000 two-layer machines gets {best} of the 4 points right")

# %% [markdown]
# Three of four, and never four. That is exactly what one line can do.
#
# **Question.** Write down what the two layers compute together, and multiply it out. What is it?
#
# $$\big(x\, w_1 + b_1\big)\, w_2 + b_2 = \;?$$
#
# <details><summary>Answer</summary>
#
# $x\,(w_1 w_2) + (b_1 w_2 + b_2)$. It is one affine layer again. Its weights are $w_1 w_2$ and its
# biases are $b_1 w_2 + b_2$.
#
# </details>
#
# **Your turn.** `collapse_affine` turns two layers into the one that they are. Look at the biases:
# the first layer's biases are carried through the second layer's weights.


# %%
def collapse_affine(
    w1: Float[np.ndarray, "d_in d_hidden"],
    b1: Float[np.ndarray, " d_hidden"],
    w2: Float[np.ndarray, "d_hidden d_out"],
    b2: Float[np.ndarray, " d_out"],
) -> tuple[Float[np.ndarray, "d_in d_out"], Float[np.ndarray, " d_out"]]:
    """Return the one affine layer that does what two in a row do.

    x @ w + b = (x @ w1 + b1) @ w2 + b2   for every x

    Args:
        w1: Weights of the layer that comes first.
        b1: Its biases.
        w2: Weights of the layer that comes second.
        b2: Its biases.

    Returns:
        w: Weights of the single layer, (d_in, d_out).
        b: Its biases, (d_out,).

    Raises:
        ValueError: The columns of `w1` are not the rows of `w2`, or a bias does not have
            one number per column of its weights.

    Source:
        Minsky & Papert 1969, "Perceptrons": why linear layers do not add up.
    """
    ### BEGIN SOLUTION
    if w1.shape[1] != w2.shape[0]:
        raise ValueError(f"w1 has {w1.shape[1]} columns and w2 has {w2.shape[0]} rows; they must be equal.")
    if b1.shape != w1.shape[1:]:
        raise ValueError(f"b1 has shape {b1.shape}; w1 has {w1.shape[1]} columns.")
    if b2.shape != w2.shape[1:]:
        raise ValueError(f"b2 has shape {b2.shape}; w2 has {w2.shape[1]} columns.")
    w = w1 @ w2
    b = b1 @ w2 + b2
    return w, b
    ### END SOLUTION


# %% tags=["check"]
gs.check("collapse_affine")

# %% [markdown]
# Ten layers collapse as easily as two: collapse the first two, then the result with the third, and
# so on. A tower of affine layers is one affine layer, with more numbers to store.
#
# **Question.** Could it be even *less* than one layer?
#
# <details><summary>Answer</summary>
#
# Yes. If the hidden layer is narrow, everything must pass through it. From 64 inputs through 2
# numbers to 10 outputs, the collapsed weights are a product of a (64, 2) and a (2, 10) matrix. Most
# (64, 10) matrices cannot be written so.
#
# </details>

# %% [markdown]
# ## 2.2 The bend
#
# Whatever stands between the layers must not be a straight line. Otherwise it collapses with them.
# The simplest graph that is not a straight line is a line with one bend in it:
#
# $$\text{relu}(x) = \max(x, 0)$$
#
# Positive numbers pass, negative ones become 0. The name is short for *rectified linear unit*. A
# rectifier is the electric part that lets a current through in one direction only.
#
# Is that enough for the lamp? Take two hidden neurons that both add the switches. One of them has a
# bias of $-1$:
#
# $$h_1 = \text{relu}(x_1 + x_2) \qquad h_2 = \text{relu}(x_1 + x_2 - 1) \qquad \text{score} = h_1 - 2 h_2$$
#
# **Question.** Compute $h_1$, $h_2$ and the score for all four points, on paper.
#
# <details><summary>Answer</summary>
#
# | switches | $h_1$ | $h_2$ | score |
# |---|---|---|---|
# | 0, 0 | 0 | 0 | 0 |
# | 0, 1 | 1 | 0 | 1 |
# | 1, 0 | 1 | 0 | 1 |
# | 1, 1 | 2 | 1 | 0 |
#
# The score is 1 exactly when the lamp burns.
#
# </details>
#
# Look at what happened to the plane. The hidden layer has moved the four points to new places. Both
# orange points landed on the same spot, and now a line can do it:
#
# ![The hidden layer folds the plane; then one line separates the points](figures/fold.svg)
#
# That is the whole idea of this stage. **The hidden layer does not decide anything. It moves the
# points until a line can decide.** Without the bend it could only turn, stretch and slide the
# plane, and no turning ever separates what was mixed. With the bend it can fold.
#
# ### Exercise: `relu_forward`
#
# It works on arrays of any shape, element by element. The cache is again a note to yourself for the
# way back.


# %%
def relu_forward(x: Float[np.ndarray, "*shape"]) -> tuple[Float[np.ndarray, "*shape"], tuple]:
    """Keep what is positive and replace the rest by 0.

    out = max(x, 0), element by element

    Args:
        x: Any shape, also none.

    Returns:
        out: Shape and dtype of `x`; a new array.
        cache: What `relu_backward` needs. `(x,)` is enough.

    Source:
        Fukushima 1969, "Visual feature extraction by a multilayered network of analog threshold
        elements"; Nair & Hinton 2010 for the name and the success.
    """
    ### BEGIN SOLUTION
    out = np.maximum(x, 0)
    return out, (x,)
    ### END SOLUTION


# %% tags=["check"]
gs.check("relu_forward")

# %% [markdown]
# ### The kernel `relu_forward.wgsl`
#
# One invocation per element, as in `scale_shift` of stage 0. The array comes as a flat row of `n`
# numbers, whatever shape it had.
#
# **Question.** This looks natural: `if (x[i] > 0.0) { out[i] = x[i]; }`. What is wrong with it?
#
# <details><summary>Answer</summary>
#
# Where `x[i]` is not positive, nothing is written, and `out` keeps whatever was in that memory
# before. It works in a test where the memory happens to hold zeros. Write every element.
#
# </details>

# %% tags=["demo"]
gs.show_kernel("relu_forward.wgsl")

# %% tags=["check"]
gs.check("relu_forward.wgsl")

# %% [markdown]
# ## 2.3 Back through the bend
#
# Every gradient is found with the two questions of stage 1. *Which outputs does this number touch?*
# Only its own. *And by how much?* That is the slope of the graph at $x$: 1 where $x$ is positive, 0
# where it is negative.
#
# $$\text{dx} = \text{dout} \cdot [\,x > 0\,]$$
#
# So the way back is a gate. Where the forward let a number pass, the gradient passes unchanged.
# Where the forward cut a number off, the gradient is cut off too: nudging a number that was
# replaced by 0 changes nothing.
#
# **Question.** The gate is open where *what* is positive: `x`, `out` or `dout`?
#
# <details><summary>Answer</summary>
#
# `x`, or `out`, which is positive in the same places. Never `dout`. A negative upstream gradient is
# as welcome as a positive one: it says that the loss falls when this output rises.
#
# </details>
#
# **Question.** And exactly at 0, where the graph has its corner?
#
# <details><summary>Answer</summary>
#
# There is no slope at a corner. Anything between 0 and 1 could be defended. We take 0, and so does
# PyTorch. It hardly ever matters for random weights. It does matter for arrays full of exact
# zeros, such as the paper in a picture.
#
# </details>


# %%
def relu_backward(dout: Float[np.ndarray, "*shape"], cache: tuple) -> Float[np.ndarray, "*shape"]:
    """Let the gradient pass where the forward let the number pass.

    dx = dout where x > 0, otherwise 0

    Args:
        dout: Gradient of the loss with respect to `out`; shape of `out`.
        cache: From `relu_forward`.

    Returns:
        Gradient with respect to `x`, same shape and dtype. 0 where x is exactly 0.

    Raises:
        ValueError: `dout` does not have the shape of `out`.

    Source:
        Glorot, Bordes & Bengio 2011, "Deep sparse rectifier neural networks".
    """
    ### BEGIN SOLUTION
    (x,) = cache
    if dout.shape != x.shape:
        raise ValueError(f"dout has shape {dout.shape}; the forward's output had {x.shape}.")
    return dout * (x > 0)
    ### END SOLUTION


# %% tags=["check"]
gs.check("relu_backward")

# %% [markdown]
# ### The kernel `relu_backward.wgsl`
#
# One invocation per element again. `select(a, b, condition)` gives `a` when the condition is
# *false* and `b` when it is true. That order has surprised everybody once.

# %% tags=["demo"]
gs.show_kernel("relu_backward.wgsl")

# %% tags=["check"]
gs.check("relu_backward.wgsl")

# %% [markdown]
# ## 2.4 What can be built from bends?
#
# One bend solved the lamp. What else can bends do? Take the simplest setting: one number goes in,
# one number comes out. A network with one hidden layer then computes
#
# $$f(x) = b + \sum_i v_i \,\text{relu}(u_i\, x + c_i)$$
#
# Each term is a **hinge**: flat on one side, a straight slope on the other. Its corner is where
# $u_i x + c_i = 0$. So $f$ is made of straight pieces, and it can change its slope only at corners.
#
# Now turn it round. Somebody gives you points, and you are to find a network whose graph goes
# through all of them, straight from each point to the next.
#
# **Question.** Walk along the graph from left to right. You start at the first value, with some
# slope. At the second point the slope must change. Which hinge does that, and without disturbing
# what lies to the left?
#
# <details><summary>Answer</summary>
#
# $\text{relu}(x - k)$ with its corner at that point $k$. It is 0 everywhere to the left. To the
# right it adds a slope of 1 per unit of its weight. So its weight is **the change of slope**: the
# new slope minus the old one.
#
# </details>
#
# That is the recipe. The output bias is the first value. One hinge per corner, weighted with the
# change of slope. At the first point the graph comes from slope 0, so the first weight is the first
# slope itself. The last point needs no hinge: the graph just ends there.
#
# In the layout of this stage the weights of a network are a dict with the names `w0`, `b0`, `w1`,
# `b1`, ... for layer 0, 1, ... So here `w0` is (1, n_hidden), `b0` is (n_hidden,), `w1` is
# (n_hidden, 1) and `b1` is (1,).


# %%
def relu_interpolant(
    knots: Float[np.ndarray, " n"], values: Float[np.ndarray, " n"]
) -> dict[str, np.ndarray]:
    """Return a network with one hidden layer whose graph goes through the points.

    f(x) = relu(x @ w0 + b0) @ w1 + b1 with f(knots[i]) = values[i], and a straight line from
    each point to the next.

    Any number of hidden neurons will do; n - 1 are enough. What the network computes to the
    left of the first knot and to the right of the last one is free.

    Args:
        knots: Where the points are, strictly increasing, at least two.
        values: The height of each point.

    Returns:
        `{"w0": (1, n_hidden), "b0": (n_hidden,), "w1": (n_hidden, 1), "b1": (1,)}` with the
        dtype of `values`.

    Raises:
        ValueError: `knots` and `values` are not one-dimensional and equally long, there are fewer
            than two, or the knots do not increase strictly.

    Source:
        Cybenko 1989 and Hornik 1991 for the theorem; this construction is folklore.
    """
    ### BEGIN SOLUTION
    if knots.ndim != 1 or knots.shape != values.shape or knots.size < 2:
        raise ValueError(f"knots {knots.shape} and values {values.shape} must be equally long, 2 or more.")
    widths = np.diff(knots)
    if np.any(widths <= 0):
        raise ValueError(f"The knots must increase strictly; the smallest step is {widths.min()}.")
    slopes = np.diff(values) / widths
    bends = np.concatenate([slopes[:1], np.diff(slopes)])
    return {
        "w0": np.ones((1, bends.size), values.dtype),
        "b0": -knots[:-1].astype(values.dtype),
        "w1": bends[:, None].astype(values.dtype),
        "b1": values[:1].copy(),
    }
    ### END SOLUTION


# %% tags=["check"]
gs.check("relu_interpolant")

# %% [markdown]
# Give it points on any curve you like. More points, more hinges, a better fit. How much better?
# Guess before you run the cell: twice as many hinges make the error how many times smaller?


# %% tags=["demo"]
def one_hidden(params, x):
    """Evaluate a network with one hidden layer at the numbers x."""
    hidden, _ = relu_forward(x[:, None] @ params["w0"] + params["b0"])
    return (hidden @ params["w1"] + params["b1"])[:, 0]


def curve(x):
    return np.sin(2 * x) + 0.4 * np.cos(5 * x)


line = np.linspace(-3, 3, 4001)
fig, axes = plt.subplots(1, 3, figsize=(11, 3.2), width_ratios=(1, 1, 0.9))
for ax, n in zip(axes, (8, 20), strict=False):
    knots = np.linspace(-3, 3, n)
    ax.plot(line, curve(line), color=GREY, linewidth=1)
    ax.plot(line, one_hidden(relu_interpolant(knots, curve(knots)), line), color=BLUE, linewidth=1.8)
    ax.plot(knots, curve(knots), "o", color=ORANGE, markersize=4)
    ax.set(title=f"{n - 1} hidden neurons", xlabel="x")
counts = np.array([4, 8, 16, 32, 64, 128, 256, 512])
fits = [relu_interpolant(k, curve(k)) for k in (np.linspace(-3, 3, n + 1) for n in counts)]
errors = np.array([np.abs(one_hidden(fit, line) - curve(line)).max() for fit in fits])
axes[2].loglog(counts, errors, "o-", color=BLUE, markersize=4)
axes[2].set(xlabel="hidden neurons", ylabel="largest error", title="more neurons, less error")
fig.tight_layout()
print(
    f"from {counts[-2]} to {counts[-1]} neurons the error falls by a factor of {errors[-2] / errors[-1]:.2f}"
)

# %% [markdown]
# Four times smaller with twice the neurons: between two knots, a straight line misses a smooth curve
# by an amount that goes with the *square* of the distance.
#
# You have just proved a famous theorem, for one input: **a network with one hidden layer can come as
# close as you like to any continuous function on an interval.** Such networks are called
# *universal*. The same holds for many inputs; Cybenko and Hornik showed it around 1990.
#
# **Question.** Then why is there a stage 3, or a transformer? What does the theorem not say?
#
# <details><summary>Answer</summary>
#
# It says that good weights *exist*. It does not say
#
# - how many neurons it takes. With 256 pixels in place of one number, knots on a grid would need
#   more neurons than there are atoms;
# - that a gradient will find the weights. We wrote them down by hand;
# - that the network is right *between* the points it was shown. Through the same points go many
#   curves.
#
# All the rest of this course is about these three.
#
# </details>

# %% [markdown]
# ## 2.5 Counting the pieces
#
# How bent can a network be? One hidden layer with $n$ neurons has at most $n$ corners, so at most
# $n + 1$ straight pieces.
#
# **Question.** Now feed the output into a second hidden layer with $n$ neurons. The first layer
# gives zigzags. A neuron of the second layer cuts its own zigzag off at zero. How many corners can
# one such neuron add?
#
# <details><summary>Answer</summary>
#
# One on *every* piece, wherever the zigzag crosses zero. So with each layer the number of pieces
# can be multiplied, not only added to.
#
# </details>
#
# Let us count. `linear_regions` gets a network with one input, one output and any number of layers,
# and an interval. It says of how many straight pieces the graph consists there. Two pieces that
# meet without a change of slope are one piece.
#
# Finding the corners exactly is easier than it sounds. Keep a sorted list of places; it starts as
# `[low, high]`. Between neighbouring places every neuron of the layer must be a straight line.
#
# 1. Take the next hidden layer. Evaluate what its neurons receive, before the bend, at all places.
# 2. Where a neuron has opposite signs at two neighbours, its corner lies between them. The line
#    between two known points tells you where. Add the corners to the list, sort it.
# 3. Go on with the next hidden layer, with the longer list.
# 4. At the end, find the slope of the output in the middle of each gap. Count the changes of slope.
#
# For step 4: the slope travels through the network like the number itself. An affine layer
# multiplies it by `w`. The bend keeps it where the neuron is positive and makes it 0 elsewhere.
#
# Rounding can make one corner look like two that lie very close together. So drop places that are
# closer together than $10^{-9}$ of the interval, and do not count changes of slope below $10^{-9}$
# of the steepest slope.


# %%
def linear_regions(params: dict[str, np.ndarray], low: float, high: float) -> int:
    """Count the straight pieces of a ReLU network's graph between `low` and `high`.

    The network has one input, one output, any number of layers, and a ReLU after every layer
    but the last. Pieces that meet without a change of slope are one piece; a corner at `low` or
    at `high` itself makes no piece.

    Args:
        params: Weights `{"w0": (1, d), "b0": (d,), ..., "w<last>": (d, 1), "b<last>": (1,)}`.
        low: Left end of the interval.
        high: Right end of the interval.

    Returns:
        The number of pieces, an int of at least 1. Corners closer together than 1e-9 of the
        interval may count as one.

    Raises:
        ValueError: `low` is not smaller than `high`, or the network does not have one input
            and one output.

    Source:
        Montufar, Pascanu, Cho & Bengio 2014, "On the number of linear regions of deep neural
        networks".
    """
    ### BEGIN SOLUTION
    n_layers = len(params) // 2
    if not low < high:
        raise ValueError(f"The interval from {low} to {high} is empty.")
    if params["w0"].shape[0] != 1 or params[f"w{n_layers - 1}"].shape[1] != 1:
        raise ValueError("The network must have one input and one output.")

    def before_bend(places, layer):
        h = places[:, None]
        for i in range(layer):
            h = np.maximum(h @ params[f"w{i}"] + params[f"b{i}"], 0)
        return h @ params[f"w{layer}"] + params[f"b{layer}"]

    places = np.array([low, high], dtype=np.float64)
    for layer in range(n_layers - 1):
        z = before_bend(places, layer)
        gap, neuron = np.nonzero(z[:-1] * z[1:] < 0)
        left, right = z[gap, neuron], z[gap + 1, neuron]
        corners = places[gap] + left / (left - right) * (places[gap + 1] - places[gap])
        places = np.sort(np.concatenate([places, corners]))
        places = places[np.append(np.diff(places) > 1e-9 * (high - low), True)]
    middles = (places[:-1] + places[1:]) / 2
    slopes = np.ones((len(middles), 1))
    for layer in range(n_layers - 1):
        slopes = (slopes @ params[f"w{layer}"]) * (before_bend(middles, layer) > 0)
    slopes = (slopes @ params[f"w{n_layers - 1}"])[:, 0]
    changes = np.abs(np.diff(slopes)) > 1e-9 * np.abs(slopes).max()
    return 1 + int(np.count_nonzero(changes))
    ### END SOLUTION


# %% tags=["check"]
gs.check("linear_regions")

# %% [markdown]
# Now a contest with 20 hidden neurons on each side. One network puts them all in one layer. The
# other has ten layers of two. Each of its layers makes a *tent*: up with slope 2, then down with
# slope $-2$. A tent folds the interval from 0 to 1 in half. Folding it ten times leaves how many
# pieces?
#
# Between two tents stand two affine layers, the end of one and the start of the next. You know how
# to make one of them.


# %% tags=["demo"]
def tents(n_layers):
    """Return n_layers tents in a row: two neurons each."""
    w_in, b_in = np.array([[1.0, 1.0]]), np.array([0.0, -0.5])
    w_out, b_out = np.array([[2.0], [-4.0]]), np.array([0.0])
    params = {"w0": w_in, "b0": b_in, f"w{n_layers}": w_out, f"b{n_layers}": b_out}
    for i in range(1, n_layers):
        params[f"w{i}"], params[f"b{i}"] = collapse_affine(w_out, b_out, w_in, b_in)
    return params


def evaluate(params, x):
    """Run a ReLU network of any depth on the numbers x."""
    h = x[:, None]
    for i in range(len(params) // 2):
        h = (h if i == 0 else relu_forward(h)[0]) @ params[f"w{i}"] + params[f"b{i}"]
    return h[:, 0]


unit = np.linspace(0, 1, 4097)
fig, axes = plt.subplots(1, 3, figsize=(10, 2.4), sharey=True)
for ax, n in zip(axes, (1, 3, 5), strict=True):
    ax.plot(unit, evaluate(tents(n), unit), color=BLUE, linewidth=1.4)
    ax.set(title=f"{2 * n} neurons, {linear_regions(tents(n), 0, 1)} pieces", xlabel="x")
fig.tight_layout()

wide_knots = np.linspace(0, 1, 21)
wide = relu_interpolant(wide_knots, np.arange(21) % 2.0)
wide_pieces, deep_pieces = linear_regions(wide, -1, 1), linear_regions(tents(10), 0, 1)
print(f"20 neurons in one layer: {wide_pieces} pieces; in ten layers: {deep_pieces} pieces")

# %% [markdown]
# 21 pieces against 1024. **Width adds pieces, depth multiplies them.** That is the first good reason
# for deep networks.
#
# It is not the last word. These weights were chosen by hand. A deep network with random weights has
# far fewer pieces, and training does not look for many pieces but for the right ones. Stage 3 shows
# that ten layers do not even start to learn without care.

# %% [markdown]
# ## 2.6 The network, forwards
#
# Everything is there. A **multilayer perceptron** is a chain: affine, bend, affine, bend, ...,
# affine.
#
# ![Forwards through the layers, and backwards through the same layers](figures/mlp.svg)
#
# **Question.** Why is there no bend after the last layer?
#
# <details><summary>Answer</summary>
#
# The last numbers are the scores. A bend would make all negative scores 0, and the network could
# never say that one wrong digit is less likely than another wrong one. And a bend in front of
# nothing helps nobody: it only makes sense between two affine layers.
#
# </details>
#
# The depth is not fixed. `params` may hold one layer or twenty; the numbers in the names give the
# order.
#
# **Question.** A dict with the names `w0` to `w10`, sorted with `sorted(params)`: where does `w10`
# come?
#
# <details><summary>Answer</summary>
#
# Behind `w1` and before `w2`, because text is compared letter by letter. Count with a number
# instead: `params[f"w{i}"]`.
#
# </details>
#
# Use your `relu_forward` and the given `affine_forward`. Keep their caches: you will need them in
# reverse order.


# %%
def mlp_forward(
    x: Float[np.ndarray, "*batch d_in"], params: dict[str, np.ndarray]
) -> tuple[Float[np.ndarray, "*batch d_out"], object]:
    """Run the examples through all layers: affine, with a ReLU between one and the next.

    h_0 = x;  h_{i+1} = relu(h_i @ w_i + b_i), and no relu after the last layer

    Args:
        x: Examples; any number of leading axes.
        params: `{"w0": ..., "b0": ..., "w1": ..., "b1": ...}` with as many layers as there are
            pairs, one at least. The columns of each `w` are the rows of the next.

    Returns:
        logits: What the last affine layer gives; dtype of `x`.
        cache: What `mlp_backward` needs.

    Raises:
        ValueError: The names are not w0, b0, w1, b1, ... without a gap, or the shapes do not
            fit each other.

    Source:
        Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating
        errors", with today's bend.
    """
    ### BEGIN SOLUTION
    n_layers = len(params) // 2
    names = {f"{kind}{i}" for i in range(n_layers) for kind in "wb"}
    if n_layers == 0 or set(params) != names:
        raise ValueError(f"params has {sorted(params)}; the names must be w0, b0, w1, b1, ... without a gap.")
    h, affine_caches, relu_caches = x, [], []
    for i in range(n_layers):
        if i > 0:
            h, relu_cache = relu_forward(h)
            relu_caches.append(relu_cache)
        h, affine_cache = affine_forward(h, params[f"w{i}"], params[f"b{i}"])
        affine_caches.append(affine_cache)
    return h, (affine_caches, relu_caches)
    ### END SOLUTION


# %% tags=["check"]
gs.check("mlp_forward")

# %% [markdown]
# ## 2.7 A judge for any gradient
#
# Before you go back through the whole chain, get yourself a judge. In stage 1 it nudged every number
# up and down, one at a time. The network at the end of this stage has 9,000 numbers, so that would
# be 18,000 runs for one verdict.
#
# **Question.** Nudge *all* the numbers at once, in a random direction $v$. The gradient `dx` claims
# to know how much the loss will change. What does it predict?
#
# <details><summary>Answer</summary>
#
# Each number $x_i$ moves by $\varepsilon v_i$, and each contributes $\text{dx}_i$ per unit. Together
# the loss changes by $\varepsilon \sum_i \text{dx}_i v_i$. So the slope along $v$ must be
# $\sum_i \text{dx}_i v_i$.
#
# </details>
#
# One direction gives one equation, and a wrong gradient could satisfy it by luck. But $v$ is random,
# so the luck would have to be extreme. Two runs of the network, whatever its size.
#
# What plays the role of the loss? Any number made from the output will do. Take
# $\sum \text{dout} \cdot f(x)$ with a random `dout`. Its gradient with respect to the output *is*
# `dout`, so `dx` is exactly what the layer's backward returns.
#
# $$\text{slope} \approx \frac{\sum \text{dout} \cdot \big(f(x + \varepsilon v) - f(x - \varepsilon v)\big)}{2\varepsilon}$$
#
# **Question.** Why on both sides? $f(x + \varepsilon v) - f(x)$ over $\varepsilon$ would save one
# run.
#
# <details><summary>Answer</summary>
#
# A curve that bends upwards is a bit steeper in front of you and a bit flatter behind you. On both
# sides together the two errors cancel, and what is left goes with $\varepsilon^2$ in place of
# $\varepsilon$.
#
# </details>
#
# How large is $\varepsilon$? Too large, and the curve is no line any more. Too small, and the two
# outputs agree in almost all digits, and the difference is rounding noise. The picture below the
# exercise shows both. Around $10^{-6}$ is right in `float64`. In `float32` no choice is good, so
# the judge always works in `float64`.


# %%
def check_gradient(
    f: Callable,
    x: Float[np.ndarray, "*shape"],
    dout: Float[np.ndarray, "*out_shape"],
    rng: np.random.Generator,
) -> float:
    """Measure the slope of sum(dout * f(x)) at x, along a random direction.

    slope = sum(dout * (f(x + eps * v) - f(x - eps * v))) / (2 * eps)
    v     = rng.standard_normal(x.shape), drawn once

    A backward that returns dx is right if sum(dx * v) equals this slope for random v and
    random dout. The slope does not depend on eps, as long as eps is near 1e-6.

    Args:
        f: A function of one array. It returns an array, or a tuple whose first element is
            that array, as every forward of this course does.
        x: Where the slope is taken. Whatever its dtype, all arithmetic is in float64.
        dout: Weights of the outputs; shape of f(x).
        rng: Gives the direction.

    Returns:
        The slope, a Python float.

    Raises:
        ValueError: `dout` does not have the shape of f(x).

    Source:
        Griewank & Walther 2008, "Evaluating Derivatives", ch. 3: the adjoint test.
    """
    ### BEGIN SOLUTION
    eps = 1e-6
    x, dout = np.asarray(x, np.float64), np.asarray(dout, np.float64)
    v = rng.standard_normal(x.shape)
    up, down = f(x + eps * v), f(x - eps * v)
    if isinstance(up, tuple):
        up, down = up[0], down[0]
    if np.shape(up) != dout.shape:
        raise ValueError(f"dout has shape {dout.shape}; f(x) has {np.shape(up)}.")
    return float(np.sum(dout * (up - down)) / (2 * eps))
    ### END SOLUTION


# %% tags=["check"]
gs.check("check_gradient")


# %% tags=["demo"]
def slope_error(eps, dtype):
    """Return how far nudges of size eps miss the slope of sin at 1."""
    x, e = dtype(1), dtype(eps)
    with np.errstate(invalid="ignore"):
        nudged = (np.sin(x + e) - np.sin(x - e)) / (2 * e)
    return abs(float(nudged) - np.cos(1.0))


sizes = 10.0 ** np.arange(-12, 0.5, 0.5)
fig, ax = plt.subplots(figsize=(6.2, 3.4))
for dtype, colour in ((np.float32, ORANGE), (np.float64, BLUE)):
    ax.loglog(sizes, [slope_error(e, dtype) + 1e-13 for e in sizes], ".-", color=colour, label=dtype.__name__)
ax.set(xlabel="size of the nudge", ylabel="error of the slope", title="too small is as bad as too large")
ax.legend(frameon=False)
fig.tight_layout()

# %% [markdown]
# And a first case for the judge: your own `relu_backward`, and a version with a mistake in it.

# %% tags=["demo"]
rng = np.random.default_rng(1)
x, upstream = rng.standard_normal((5, 7)), rng.standard_normal((5, 7))
_, cache = relu_forward(x)
slope = check_gradient(relu_forward, x, upstream, np.random.default_rng(42))
v = np.random.default_rng(42).standard_normal(x.shape)  # the direction the judge drew
print(f"the judge measures  {slope:+.8f}")
print(f"your backward says  {np.sum(relu_backward(upstream, cache) * v):+.8f}")
print(f"with dout > 0 it is {np.sum(upstream * (upstream > 0) * v):+.8f}")

# %% [markdown]
# ## 2.8 The network, backwards
#
# Now the chain in reverse. `dlogits` arrives at the end. The last affine layer turns it into the
# gradients of its own weights, and into a `dx` that is the `dout` of what came before it: the bend.
# The bend passes on what its gate lets through. And so on to the front.
#
# Here stage 1's `dx` finally has a use. It is the only thing that travels.
#
# **Question.** Is any formula here new?
#
# <details><summary>Answer</summary>
#
# None. Every layer needs two things: its own cache, and the gradient of its output. It need not
# know what stands before or behind it. That is the whole secret of backpropagation, for 2 layers
# and for 200.
#
# </details>
#
# Return the gradients under the names of the parameters, so that `sgd_step` finds them.


# %%
def mlp_backward(dlogits: Float[np.ndarray, "*batch d_out"], cache: object) -> dict[str, np.ndarray]:
    """Carry the gradient from the logits back to every weight and bias.

    Args:
        dlogits: Gradient of the loss with respect to `logits`; shape of `logits`.
        cache: From `mlp_forward`. It may be used again: it is not changed.

    Returns:
        `{"w0": dw0, "b0": db0, ...}` with the names, shapes and dtypes of `params`.

    Raises:
        ValueError: `dlogits` does not have the shape of `logits`.

    Source:
        Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors".
    """
    ### BEGIN SOLUTION
    affine_caches, relu_caches = cache
    grads, dh = {}, dlogits
    for i in reversed(range(len(affine_caches))):
        dh, dw, db = affine_backward(dh, affine_caches[i])
        grads[f"w{i}"], grads[f"b{i}"] = dw, db
        if i > 0:
            dh = relu_backward(dh, relu_caches[i - 1])
    return grads
    ### END SOLUTION


# %% tags=["check"]
gs.check("mlp_backward")


# %% tags=["demo"]
def random_params(sizes, rng, dtype=np.float64):
    """Return small random weights and zero biases for layers of these sizes."""
    params = {}
    for i, (d_in, d_out) in enumerate(pairwise(sizes)):
        params[f"w{i}"] = (rng.standard_normal((d_in, d_out)) / np.sqrt(d_in)).astype(dtype)
        params[f"b{i}"] = np.zeros(d_out, dtype)
    return params


params = random_params([6, 9, 8, 5], rng)
x, upstream = rng.standard_normal((4, 6)), rng.standard_normal((4, 5))
grads = mlp_backward(upstream, mlp_forward(x, params)[1])
judge_gaps = {}
for name, value in params.items():
    slope = check_gradient(
        lambda moved, name=name: mlp_forward(x, {**params, name: moved}),
        value,
        upstream,
        np.random.default_rng(3),
    )
    v = np.random.default_rng(3).standard_normal(value.shape)
    judge_gaps[name] = abs(slope - np.sum(grads[name] * v))
    print(f"{name}: your backward and the judge differ by {judge_gaps[name]:.1e}")

# %% [markdown]
# ## 2.9 Other bends
#
# ReLU is not the only bend, and it was not the first. For decades everybody used smooth ones. Three
# of them still matter:
#
# | name | formula | range | where you will meet it |
# |---|---|---|---|
# | sigmoid | $1 / (1 + e^{-x})$ | 0 to 1 | gates, yes-or-no probabilities |
# | tanh | $(e^x - e^{-x}) / (e^x + e^{-x})$ | $-1$ to 1 | recurrent networks (stage 10) |
# | leaky ReLU | $x$ if $x > 0$, else $0.01\,x$ | everything | where ReLU neurons die |

# %% tags=["demo"]
x = np.linspace(-5, 5, 501)
shapes = {
    "ReLU": (np.maximum(x, 0), 1.0 * (x > 0)),
    "leaky ReLU (0.1)": (np.where(x > 0, x, 0.1 * x), np.where(x > 0, 1, 0.1)),
    "tanh": (np.tanh(x), 1 - np.tanh(x) ** 2),
    "sigmoid": (1 / (1 + np.exp(-x)), np.exp(-x) / (1 + np.exp(-x)) ** 2),
}
fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.4))
for (name, (y, slope_of)), colour, style in zip(
    shapes.items(), (BLUE, GREEN, ORANGE, INK), ("-", "--", "-", "--"), strict=True
):
    axes[0].plot(x, y, style, color=colour, label=name)
    axes[1].plot(x, slope_of, style, color=colour)
axes[0].set(title="the bends", ylim=(-1.6, 3), xlabel="x")
axes[1].set(title="their slopes", xlabel="x")
axes[0].legend(frameon=False, fontsize=9)
fig.tight_layout()

# %% [markdown]
# **Question.** Look at the slopes on the right. A gradient is multiplied by one of them at every
# layer on its way back. What happens to it after ten layers of sigmoid? What happens with ReLU?
#
# <details><summary>Answer</summary>
#
# The sigmoid's slope is at most 1/4. After ten layers at most $4^{-10}$, a millionth, is left
# (before the weights have their say). ReLU's slope is 1 wherever its gate is open: the gradient
# passes undamaged. This is the main reason why ReLU won.
#
# </details>
#
# **Question.** And what if a ReLU neuron's gate is closed for every example?
#
# <details><summary>Answer</summary>
#
# Then no gradient ever reaches its weights, and they never change again. The neuron is dead. A
# leaky ReLU keeps a small slope on the left, so that there is always a way back to life.
#
# </details>
#
# ### Exercise: `sigmoid_forward`
#
# The formula is short, and the computer stumbles over it. For $x = -100$ in `float32`, $e^{100}$ is
# infinite. NumPy prints a warning and the result is 0, where the truth is $3.8 \cdot 10^{-44}$. The
# other common form, $e^x / (1 + e^x)$, gives `nan` for $x = 100$.
#
# **Question.** Which of the two forms is safe for negative $x$? Can you find one expression that
# never takes the exponential of a positive number?
#
# <details><summary>Answer</summary>
#
# Let $e = \exp(-|x|)$, which lies between 0 and 1. For $x \ge 0$ the sigmoid is $1 / (1 + e)$, for
# $x < 0$ it is $e / (1 + e)$. The denominator is the same.
#
# </details>
#
# The backward wants the slope. Differentiate $s = 1 / (1 + e^{-x})$:
#
# $$\frac{ds}{dx} = \frac{e^{-x}}{(1 + e^{-x})^2} = s\,(1 - s)$$
#
# The slope can be computed from the *output*. So the output is all that the cache needs.


# %%
def sigmoid_forward(x: Float[np.ndarray, "*shape"]) -> tuple[Float[np.ndarray, "*shape"], tuple]:
    """Squash every number into (0, 1).

    out = 1 / (1 + exp(-x)), element by element

    The exponential is only ever taken of numbers that are not positive. So nothing overflows,
    and the result is accurate to rounding far to the left, too: sigmoid(-40) is 4.2e-18 and
    not 0, and in float32 sigmoid(-95) is 5.5e-42.

    Args:
        x: Any shape, any size of numbers.

    Returns:
        out: Shape and dtype of `x`.
        cache: What `sigmoid_backward` needs. `(out,)` is enough.

    Source:
        Rumelhart, Hinton & Williams 1986, eq. 2.
    """
    ### BEGIN SOLUTION
    e = np.exp(-np.abs(x))
    out = np.where(x >= 0, 1, e) / (1 + e)
    return out, (out,)
    ### END SOLUTION


# %% tags=["check"]
gs.check("sigmoid_forward")


# %%
def sigmoid_backward(dout: Float[np.ndarray, "*shape"], cache: tuple) -> Float[np.ndarray, "*shape"]:
    """Carry the gradient back through the sigmoid.

    dx = dout * out * (1 - out)

    Args:
        dout: Gradient of the loss with respect to `out`; shape of `out`.
        cache: From `sigmoid_forward`.

    Returns:
        Gradient with respect to `x`, same shape and dtype.

    Raises:
        ValueError: `dout` does not have the shape of `out`.

    Source:
        Rumelhart, Hinton & Williams 1986, eq. 5.
    """
    ### BEGIN SOLUTION
    (out,) = cache
    if dout.shape != out.shape:
        raise ValueError(f"dout has shape {dout.shape}; the forward's output had {out.shape}.")
    return dout * out * (1 - out)
    ### END SOLUTION


# %% tags=["check"]
gs.check("sigmoid_backward")

# %% [markdown]
# ### Exercise: `tanh_forward` and its backward
#
# The same shape as the sigmoid, stretched to reach from $-1$ to 1:
# $\tanh(x) = 2\,\text{sigmoid}(2x) - 1$. That it passes through 0 makes training easier: outputs of
# both signs are balanced.
#
# Two traps. The quotient of exponentials overflows for large $x$. And the formula with the sigmoid
# loses all its digits near 0, where two numbers close to 1 are subtracted: for $x = 10^{-17}$ it
# gives 0. NumPy's own `np.tanh` knows both, and you may use it.
#
# **Question.** What is the slope, written with the output $t$? You can find it from
# $t = 2s - 1$ and the slope of the sigmoid.
#
# <details><summary>Answer</summary>
#
# $t(x) = 2 s(2x) - 1$, so its slope is $4 s (1 - s)$. With $s = (t + 1)/2$ that is
# $(1 + t)(1 - t) = 1 - t^2$.
#
# </details>


# %%
def tanh_forward(x: Float[np.ndarray, "*shape"]) -> tuple[Float[np.ndarray, "*shape"], tuple]:
    """Squash every number into (-1, 1).

    out = (exp(x) - exp(-x)) / (exp(x) + exp(-x)), element by element

    Accurate to rounding everywhere: at 1000, where the exponentials overflow, and at 1e-17,
    where the result is x itself.

    Args:
        x: Any shape, any size of numbers.

    Returns:
        out: Shape and dtype of `x`.
        cache: What `tanh_backward` needs. `(out,)` is enough.

    Source:
        LeCun, Bottou, Orr & Mueller 1998, "Efficient backprop", sec. 4.4.
    """
    ### BEGIN SOLUTION
    out = np.tanh(x)
    return out, (out,)
    ### END SOLUTION


# %% tags=["check"]
gs.check("tanh_forward")


# %%
def tanh_backward(dout: Float[np.ndarray, "*shape"], cache: tuple) -> Float[np.ndarray, "*shape"]:
    """Carry the gradient back through tanh.

    dx = dout * (1 - out**2)

    Args:
        dout: Gradient of the loss with respect to `out`; shape of `out`.
        cache: From `tanh_forward`.

    Returns:
        Gradient with respect to `x`, same shape and dtype.

    Raises:
        ValueError: `dout` does not have the shape of `out`.

    Source:
        LeCun, Bottou, Orr & Mueller 1998, "Efficient backprop".
    """
    ### BEGIN SOLUTION
    (out,) = cache
    if dout.shape != out.shape:
        raise ValueError(f"dout has shape {dout.shape}; the forward's output had {out.shape}.")
    return dout * (1 - out * out)
    ### END SOLUTION


# %% tags=["check"]
gs.check("tanh_backward")

# %% [markdown]
# ### Exercise: `leaky_relu_forward` and its backward
#
# Like ReLU, with a small slope on the left in place of none. At exactly 0 the gradient takes the
# left side's slope, as ReLU's does.


# %%
def leaky_relu_forward(
    x: Float[np.ndarray, "*shape"], slope: float = 0.01
) -> tuple[Float[np.ndarray, "*shape"], tuple]:
    """Keep what is positive and shrink the rest.

    out = x where x > 0, otherwise slope * x

    Args:
        x: Any shape.
        slope: Slope on the left, between 0 (ReLU) and 1 (no bend at all).

    Returns:
        out: Shape and dtype of `x`; a new array.
        cache: What `leaky_relu_backward` needs. `(x, slope)` is enough.

    Raises:
        ValueError: `slope` is not between 0 and 1.

    Source:
        Maas, Hannun & Ng 2013, "Rectifier nonlinearities improve neural network acoustic models".
    """
    ### BEGIN SOLUTION
    if not 0 <= slope <= 1:
        raise ValueError(f"slope is {slope}; it must lie between 0 and 1.")
    out = np.where(x > 0, x, x.dtype.type(slope) * x)
    return out, (x, slope)
    ### END SOLUTION


# %% tags=["check"]
gs.check("leaky_relu_forward")


# %%
def leaky_relu_backward(dout: Float[np.ndarray, "*shape"], cache: tuple) -> Float[np.ndarray, "*shape"]:
    """Pass the gradient where x is positive, and `slope` times the gradient elsewhere.

    dx = dout where x > 0, otherwise slope * dout

    Args:
        dout: Gradient of the loss with respect to `out`; shape of `out`.
        cache: From `leaky_relu_forward`.

    Returns:
        Gradient with respect to `x`, same shape and dtype.

    Raises:
        ValueError: `dout` does not have the shape of `out`.

    Source:
        Maas, Hannun & Ng 2013, "Rectifier nonlinearities improve neural network acoustic models".
    """
    ### BEGIN SOLUTION
    x, slope = cache
    if dout.shape != x.shape:
        raise ValueError(f"dout has shape {dout.shape}; the forward's output had {x.shape}.")
    return np.where(x > 0, dout, dout.dtype.type(slope) * dout)
    ### END SOLUTION


# %% tags=["check"]
gs.check("leaky_relu_backward")

# %% [markdown]
# All four backwards before the judge. A corner would confuse it, if a nudge jumped over one. With
# nudges of $10^{-6}$ that does not happen here.

# %% tags=["demo"]
x, upstream = 3 * rng.standard_normal((6, 5)), rng.standard_normal((6, 5))
for forward, backward in (
    (relu_forward, relu_backward),
    (sigmoid_forward, sigmoid_backward),
    (tanh_forward, tanh_backward),
    (leaky_relu_forward, leaky_relu_backward),
):
    slope = check_gradient(forward, x, upstream, np.random.default_rng(5))
    v = np.random.default_rng(5).standard_normal(x.shape)
    dx = backward(upstream, forward(x)[1])
    judge_gaps[forward.__name__] = abs(slope - np.sum(dx * v))
    print(f"{forward.__name__:18}  {judge_gaps[forward.__name__]:.1e}")

# %% [markdown]
# ## 2.10 The run: XOR and two moons
#
# Time to learn. Two problems in the plane: clouds around the four corners of XOR, and two moons
# that reach into each other.
#
# **Question.** In stage 1 all weights started at 0. Why would that fail here?
#
# <details><summary>Answer</summary>
#
# With zero weights all hidden neurons are equal. They compute the same, get the same gradient and
# take the same step, for ever: a layer of one neuron, many times over. Worse, with $w_1 = 0$ no
# gradient reaches the hidden layer at all. Random weights make the neurons different. How large
# they should be is the question of stage 3. Here we divide by $\sqrt{d_\text{in}}$, so that a sum of
# many terms does not grow with their number.
#
# </details>


# %% tags=["demo"]
def two_moons(n, rng):
    """Return n points on two interlocking half circles, and which of the two each is on."""
    angle, y = rng.uniform(0, np.pi, n), np.arange(n) % 2
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    x = np.where(y[:, None] == 0, upper, lower) - [0.5, 0.25]
    return x + 0.12 * rng.standard_normal((n, 2)), y


def xor_clouds(n, rng):
    """Return n points around the four corners, and whether exactly one coordinate is positive."""
    centre = np.array([[-1, -1], [1, 1], [-1, 1], [1, -1]])[np.arange(n) % 4]
    return centre + 0.2 * rng.standard_normal((n, 2)), (centre.prod(axis=1) < 0).astype(int)


def best_perceptron(x, y, n_epochs=50):
    """Run Rosenblatt's rule of stage 1 and return the best line it ever had."""
    signs, w, b, best = 2 * y - 1, np.zeros(2), 0.0, (0.0, None)
    for _ in range(n_epochs):
        for x_i, s_i in zip(x, signs, strict=True):
            if s_i * (x_i @ w + b) <= 0:
                w, b = w + s_i * x_i, b + s_i
                share = float(np.mean((x @ w + b > 0) == y))
                best = max(best, (share, (w, b)), key=lambda found: found[0])
    return best


def learn(params, x, y, lr, n_steps, batch_size=None, seed=0):
    """Train a network by SGD; return its weights and the loss of each step."""
    rng, losses = np.random.default_rng(seed), []
    for _ in range(n_steps):
        chosen = slice(None) if batch_size is None else rng.integers(0, len(x), batch_size)
        logits, cache = mlp_forward(x[chosen], params)
        loss, dlogits = cross_entropy(logits, y[chosen])
        params = sgd_step(params, mlp_backward(dlogits, cache), lr)
        losses.append(float(loss))
    return params, losses


data_rng = np.random.default_rng(7)
problems = {"XOR": xor_clouds(100, data_rng), "two moons": two_moons(100, data_rng)}
flat_accuracy, perceptron_accuracy, mlp_accuracies, learned = {}, {}, {}, {}
for name, (x, y) in problems.items():
    perceptron_accuracy[name], line_found = best_perceptron(x, y)
    # Two layers without the bend: trained the same way, after they have collapsed to one.
    flat, _ = learn(random_params([2, 2], np.random.default_rng(0)), x, y, lr=1.0, n_steps=1000)
    flat_accuracy[name] = accuracy(mlp_forward(x, flat)[0], y)
    runs = [
        learn(random_params([2, 16, 2], np.random.default_rng(seed)), x, y, lr=1.0, n_steps=1000)[0]
        for seed in range(5)
    ]
    mlp_accuracies[name] = [accuracy(mlp_forward(x, run)[0], y) for run in runs]
    learned[name] = (line_found, runs[0])
    print(
        f"{name:9}  best perceptron {perceptron_accuracy[name]:.2f}, softmax regression "
        f"{flat_accuracy[name]:.2f}, MLP with five seeds {mlp_accuracies[name]}"
    )

grid_x, grid_y = np.meshgrid(np.linspace(-1.9, 1.9, 200), np.linspace(-1.7, 1.7, 200))
grid = np.stack([grid_x, grid_y], axis=-1)
blue_to_orange = LinearSegmentedColormap.from_list("belief", [BLUE, "white", ORANGE])
fig, axes = plt.subplots(2, 2, figsize=(8.4, 7), sharex=True, sharey=True)
for row, (name, (x, y)) in zip(axes, problems.items(), strict=True):
    (w, b), params = learned[name]
    logits, _ = mlp_forward(grid, params)
    probs = 1 / (1 + np.exp(logits[..., 0] - logits[..., 1]))
    row[0].contourf(grid_x, grid_y, grid @ w + b > 0, levels=1, colors=[BLUE, ORANGE], alpha=0.18)
    row[0].set_title(f"{name}, perceptron: {perceptron_accuracy[name]:.0%}")
    row[1].contourf(grid_x, grid_y, probs, levels=20, cmap=blue_to_orange, alpha=0.5)
    row[1].contour(grid_x, grid_y, probs, levels=[0.5], colors=[INK], linewidths=1.2)
    row[1].set_title(f"{name}, 16 hidden neurons: {mlp_accuracies[name][0]:.0%}")
    for ax in row:
        draw_classes(ax, x, y, size=16)
fig.tight_layout()

# %% [markdown]
# Left a line, right a chain of straight pieces. Every corner of the black border is a hidden neuron
# whose gate opens there. Nobody told the network where to bend. The gradient did.
#
# Here is the hidden layer at work on the moons. Each picture shows one of four hidden neurons: how
# strongly it answers at each place. It is a plane that was folded along one line.

# %% tags=["demo"]
params = learned["two moons"][1]
hidden, _ = relu_forward(grid @ params["w0"] + params["b0"])
importance = np.abs(params["w1"][:, 0] - params["w1"][:, 1]) * hidden.std(axis=(0, 1))
fig, axes = plt.subplots(1, 4, figsize=(11, 2.6), sharey=True)
for ax, unit_index in zip(axes, np.argsort(-importance)[:4], strict=True):
    ax.contourf(grid_x, grid_y, hidden[..., unit_index], levels=12, cmap="Greys")
    draw_classes(ax, *problems["two moons"], size=8)
    ax.set_title(f"hidden neuron {unit_index}", fontsize=10)
fig.tight_layout()

# %% [markdown]
# ## 2.11 Matrix products that do not wait for memory
#
# Nearly all the work of a network is matrix products. In stage 1 each invocation of your
# `affine_forward` walked along a row of `x` and down a column of `w`. It was right, and it was
# slow.
#
# **Question.** Multiply two 64 by 64 matrices that way. How many numbers are fetched from memory?
# How many different numbers are there?
#
# <details><summary>Answer</summary>
#
# 64 · 64 outputs, and each fetches a row and a column: 2 · 64 numbers. Together 524,288. But the two
# matrices hold only 8,192 different numbers. Each one is fetched 64 times.
#
# </details>
#
# Arithmetic is cheap on a GPU and memory is far away. While one number is on its way, an invocation
# could do a hundred multiplications. So fetch each number less often.
#
# Invocations of one workgroup can share. Neighbours in a row of `out` need the same row of `a`, and
# neighbours in a column need the same column of `b`. Let a workgroup of 16 by 16 invocations make a
# 16 by 16 **tile** of `out`, and let them work together, in rounds:
#
# 1. Load one 16 by 16 tile of `a` and one of `b` into workgroup memory. Each invocation brings one
#    number of each.
# 2. Wait until all have arrived.
# 3. Each invocation adds up 16 products, all from workgroup memory.
# 4. Wait until all are done. Then load the next two tiles, further along the row and down the column.
#
# ![A tile of out needs a strip of a and a strip of b, one pair of tiles at a time](figures/tiles.svg)
#
# Every number that is fetched now serves 16 invocations.
#
# **Question.** There are two barriers in each round. What goes wrong without the first? Without the
# second?
#
# <details><summary>Answer</summary>
#
# Without the first, a quick invocation multiplies numbers that a slow one has not loaded yet.
# Without the second, a quick one loads the next tile over numbers that a slow one still needs. On
# many machines the result is right nearly always, which is the worst kind of wrong.
#
# </details>
#
# **Question.** The matrices need not be multiples of 16. What do invocations do that lie outside of
# `out`? May they return at once?
#
# <details><summary>Answer</summary>
#
# They may not. They must meet the others at every barrier, and they are needed for loading: an
# invocation below the last row of `out` still brings a number of `b`. Guard each load instead, and
# bring a 0 where there is nothing. Zeros add nothing to a sum. Guard the store at the end.
#
# </details>
#
# You choose the size of the tile. 16 by 16 is the largest square that the 256 invocations of a
# workgroup allow.

# %% tags=["demo"]
gs.show_kernel("matmul_tiled.wgsl")

# %% tags=["check"]
gs.check("matmul_tiled.wgsl")

# %% [markdown]
# ### The kernel `affine_relu_forward.wgsl`
#
# Another trip to memory can be saved. An affine kernel writes its sums to memory. A ReLU kernel
# fetches every one of them, cuts off the negative ones, and writes them back. But the sum was in a
# register a moment ago!
#
# Doing both in one kernel is called **fusing**. This one is your `affine_forward` of stage 1 with
# one word more. (It need not be tiled. You may, if you like.)
#
# **Question.** The sums before the bend are now stored nowhere. How can the backward know which
# gates were open?
#
# <details><summary>Answer</summary>
#
# From the output: it is positive exactly where the sum was. So `relu_backward` can be given the
# output in place of `x`.
#
# </details>

# %% tags=["demo"]
gs.show_kernel("affine_relu_forward.wgsl")

# %% tags=["check"]
gs.check("affine_relu_forward.wgsl")

# %% [markdown]
# How much is saved? Time is a poor witness: it depends on the machine, and on what else the machine
# does. The interpreter that comes with the course can *count*. Here are your own two kernels on the
# same product, once number by number and once by tiles.

# %% tags=["demo"]
from gradschool.wgsl import BufferIn, compile_wgsl


def count_loads(name, sizes, arrays, n_out, grid):
    """Run a kernel in the interpreter and return how many numbers it fetched from memory."""
    module = compile_wgsl(gs.kernel(name).path.read_text(encoding="utf-8"))
    group = module.entry_points["main"].workgroup_size
    bytes_of = [np.array(sizes, np.uint32), *arrays, np.zeros(n_out, np.float32)]
    result = module.run(
        "main",
        workgroups=tuple(-(-n // size) for n, size in zip((*grid, 1), group, strict=True)),
        buffers={i: BufferIn(a.reshape(-1).view(np.uint8).copy()) for i, a in enumerate(bytes_of)},
        cost=True,
    )
    return result.cost.total.loads


n = 64
left, right = (rng.standard_normal((n, n)).astype(np.float32) for _ in range(2))
loads = {
    "one by one": count_loads(
        "affine_relu_forward.wgsl", (n, n, n), (left, right, np.zeros(n, np.float32)), n * n, (n, n)
    ),
    "tiled": count_loads("matmul_tiled.wgsl", (n, n, n), (left, right), n * n, (n, n)),
}
for name, count in loads.items():
    print(f"{name:10}  {count:7,} numbers fetched for a {n} by {n} product of {n} by {n} matrices")

# %% [markdown]
# A sixteenth, as planned. Stage 11 goes further: each invocation will make several outputs, and keep
# its numbers in registers.

# %% [markdown]
# ## 2.12 The moons on your own kernels
#
# Now the two moons again, without NumPy's matrix product. The forward is your fused kernel and your
# tiled one. Look at the backward: `dw = x.T @ dout` and `dx = dout @ w.T` are matrix products too.
# And `db`, the sum of each column? Multiply by a row of ones.
#
# The host does what is left: it transposes, adds the last bias, and computes the loss.

# %% tags=["demo"]
hidden_layer = gs.kernel("affine_relu_forward.wgsl")
product = gs.kernel("matmul_tiled.wgsl")
gate = gs.kernel("relu_backward.wgsl")


def kernel_forward(params, x):
    """Return the logits and the hidden layer of a network with one hidden layer."""
    h = hidden_layer(x=x, w=params["w0"], b=params["b0"])
    return product(a=h, b=params["w1"]) + params["b1"], h


def kernel_backward(params, x, h, dlogits):
    """Return the gradients of all parameters."""
    ones = np.ones((1, len(x)), np.float32)
    dh = product(a=dlogits, b=np.ascontiguousarray(params["w1"].T))
    # h is positive exactly where the gate was open.
    dz = gate(dout=dh.reshape(-1), x=h.reshape(-1)).reshape(h.shape)
    return {
        "w0": product(a=np.ascontiguousarray(x.T), b=dz),
        "b0": product(a=ones, b=dz)[0],
        "w1": product(a=np.ascontiguousarray(h.T), b=dlogits),
        "b1": product(a=ones, b=dlogits)[0],
    }


moons_x, moons_y = problems["two moons"]
moons_x = moons_x.astype(np.float32)
start = random_params([2, 16, 2], np.random.default_rng(0), np.float32)
_, numpy_losses = learn(start, moons_x, moons_y, lr=1.0, n_steps=300)
params, kernel_losses = start, []
for _ in range(300):
    logits, h = kernel_forward(params, moons_x)
    loss, dlogits = cross_entropy(logits, moons_y)
    params = sgd_step(params, kernel_backward(params, moons_x, h, dlogits), lr=1.0)
    kernel_losses.append(float(loss))
kernel_moons_accuracy = accuracy(kernel_forward(params, moons_x)[0], moons_y)
loss_gap = float(np.abs(np.array(kernel_losses) - np.array(numpy_losses)).max())

fig, ax = plt.subplots(figsize=(6, 3.2))
ax.semilogy(numpy_losses, color=GREY, linewidth=4, alpha=0.6, label="NumPy")
ax.semilogy(kernel_losses, color=BLUE, linewidth=1.2, label="your kernels")
ax.set(xlabel="step", ylabel="loss [nats]")
ax.legend(frameon=False)
fig.tight_layout()
print(f"300 steps; the losses of the two runs differ by at most {loss_gap:.1e} nats")
print(f"accuracy on the moons, from kernels alone: {kernel_moons_accuracy:.2f}")

# %% [markdown]
# `relu_forward.wgsl` had no part in this run, because the fused kernel does its work. It still has
# one where the bend stands alone.

# %% [markdown]
# ## 2.13 The run: digits that do not stay put
#
# Stage 1 read digits that fill their picture. Now each digit lies somewhere on a larger canvas, 16
# by 16 pixels. There are 9 by 9 = 81 places. Each of the 1,797 digits is pasted at one of them,
# drawn at random, and there it stays.

# %% tags=["demo"]
from gradschool.data import split

x_train, y_train, x_test, y_test = split(*gs.load_canvas_digits(seed=0))
fig, axes = plt.subplots(2, 10, figsize=(11, 2.6))
for i, ax in enumerate(axes.flat):
    ax.imshow(x_train[i].reshape(16, 16), cmap="Greys")
    ax.set(xticks=[], yticks=[])
    for side in ax.spines.values():
        side.set(visible=True, color=GREY)
fig.tight_layout()

# %% [markdown]
# **Question.** Softmax regression gave each pixel one weight per digit. What can it learn now?
#
# <details><summary>Answer</summary>
#
# Very little. A pixel on the canvas is the top of a 7 in one picture and the foot of a 3 in
# another. On average every pixel says the same about every digit. What is left to go by is how much
# ink a digit has, and how wide and high it is.
#
# </details>
#
# And a network with a hidden layer of 34? It has
# $256 \cdot 34 + 34 + 34 \cdot 10 + 10 = 9{,}088$ numbers. Each hidden neuron can look for some
# piece of ink in some places.
#
# There are 1,438 training pictures, one of each training digit. The 359 test digits are digits that
# the network has never seen. To measure well, each of them is shown at four places: 1,436 test
# pictures. Both machines get the same batches and the same number of steps.


# %% tags=["demo"]
def canvas_set(n_places, n_test_places=4):
    """Return training digits at `n_places` places each, and the same test pictures whatever `n_places`."""
    parts = [split(*gs.load_canvas_digits(seed)) for seed in range(max(n_places, n_test_places))]
    x_train, y_train = (np.concatenate([part[i] for part in parts[:n_places]]) for i in (0, 1))
    x_test, y_test = (np.concatenate([part[i] for part in parts[:n_test_places]]) for i in (2, 3))
    return x_train.astype(np.float32), y_train, x_test.astype(np.float32), y_test


def read_canvas(sizes, data, seed=0):
    """Train on canvas digits; return the losses, training and test accuracy."""
    x_train, y_train, x_test, y_test = data
    start = random_params(sizes, np.random.default_rng(seed), np.float32)
    params, losses = learn(start, x_train, y_train, lr=0.5, n_steps=5000, batch_size=64, seed=seed)
    scores = [accuracy(mlp_forward(x, params)[0], y) for x, y in ((x_train, y_train), (x_test, y_test))]
    return losses, *scores


NETS = {"softmax regression": [256, 10], "MLP": [256, 34, 10]}
canvas = canvas_set(n_places=1)
first_runs = {name: read_canvas(sizes, canvas) for name, sizes in NETS.items()}

fig, ax = plt.subplots(figsize=(7, 3.6))
for (name, (losses, _, _)), colour in zip(first_runs.items(), (ORANGE, BLUE), strict=True):
    smooth = np.convolve(losses, np.ones(45) / 45, mode="valid")  # 45 batches: all pictures twice
    ax.plot(smooth, color=colour, label=name)
ax.axhline(np.log(10), color=GREY, linestyle="--", linewidth=1)
ax.annotate("ln 10: knows nothing", (2600, np.log(10) + 0.05), color=INK)
ax.set(xlabel="step", ylabel="loss on the training pictures [nats]", ylim=(0, 2.6))
ax.legend(frameon=False)
fig.tight_layout()
for name, (_, on_train, on_test) in first_runs.items():
    print(f"{name:18}  accuracy on the training pictures {on_train:.3f}, on the test pictures {on_test:.3f}")

# %% [markdown]
# The hidden layer with its bend makes a large difference. But look at the training pictures: the
# network knows every one of them, and misreads four in ten of the new ones. It has learned by
# heart. What is missing?
#
# **Question.** A 3 in the upper left corner and the same 3 in the lower right corner: how many pixels
# do they have in common? What does a neuron that recognises the one know about the other?
#
# <details><summary>Answer</summary>
#
# No pixel at all. The two pictures use different inputs and so different weights. To this network
# they are as different as a 3 and a 7. It must learn a 3 at every place anew.
#
# </details>
#
# ### Make it hard to learn by heart
#
# Two small changes to the training help, without one more picture.
#
# - **Blank some pixels.** In every batch each pixel is made paper with probability 0.2, and the rest
#   is divided by 0.8, so that the ink stays the same on average. The network never sees exactly the
#   same picture again and cannot lean on a single pixel. Stage 3 has more on this: it is dropout.
# - **Let the weights shrink.** Each step takes a thousandth of `lr` off every weight. A weight that
#   the loss does not keep up fades away. This is **weight decay**.
#
# Learning becomes harder and takes longer: 30,000 smaller batches, with a learning rate that falls
# to 0. Softmax regression gets the same treatment. Three seeds, for weights, batches and blanks.


# %% tags=["demo"]
def learn_carefully(params, x, y, seed, n_steps=30_000, batch_size=32, lr=1.0, blank=0.2, decay=1e-3):
    """Train by SGD with blanked pixels, shrinking weights and a falling learning rate."""
    rng = np.random.default_rng(seed)
    for step in range(n_steps):
        chosen = rng.integers(0, len(x), batch_size)
        kept = rng.random((batch_size, x.shape[1]), np.float32) >= blank
        logits, cache = mlp_forward(x[chosen] * kept / np.float32(1 - blank), params)
        _, dlogits = cross_entropy(logits, y[chosen])
        grads = mlp_backward(dlogits, cache)
        # Weights shrink; biases do not.
        grads |= {name: grads[name] + decay * w for name, w in params.items() if w.ndim == 2}
        params = sgd_step(params, grads, lr * (1 - step / n_steps))
    return params


x_train, y_train, x_test, y_test = canvas
canvas_accuracies, careful = {name: [] for name in NETS}, {}
for name, sizes in NETS.items():
    for seed in range(3):
        start = random_params(sizes, np.random.default_rng(seed), np.float32)
        careful[name, seed] = learn_carefully(start, x_train, y_train, seed)
        logits, _ = mlp_forward(x_test, careful[name, seed])
        canvas_accuracies[name].append(accuracy(logits, y_test))
    print(
        f"{name:18}  accuracy on the test pictures {[round(share, 3) for share in canvas_accuracies[name]]}"
    )
n_numbers = sum(value.size for value in careful["MLP", 0].values())

# %% [markdown]
# About seven in ten, from the same pictures. The measures helped a lot. Softmax regression is where it
# was: it had nothing by heart.
#
# ### Show more places
#
# Is it true that a 3 must be learned at every place anew? Then it should help to *see* the digits at
# more places. Take the first, careless training again, with the same number of steps, and paste each
# training digit at 1, 2, 4, 8 and 16 places.

# %% tags=["demo"]
places = [1, 2, 4, 8, 16]
# Each list begins with what one place gave above.
more = {name: [read_canvas(sizes, canvas_set(n))[2] for n in places[1:]] for name, sizes in NETS.items()}
by_places = {name: [first_runs[name][2], *found] for name, found in more.items()}

fig, ax = plt.subplots(figsize=(6.4, 3.6))
for (name, found), colour in zip(by_places.items(), (ORANGE, BLUE), strict=True):
    ax.semilogx(places, found, "o-", color=colour, label=name)
ax.plot(1, np.mean(canvas_accuracies["MLP"]), "D", color=BLUE, markerfacecolor="white")
ax.annotate("with blanks and decay", (0.98, np.mean(canvas_accuracies["MLP"]) + 0.09), color=INK)
ax.set(xlabel="places at which each training digit is shown", ylabel="test accuracy", ylim=(0, 1))
ax.set_xticks(places, [str(n) for n in places])
ax.minorticks_off()
ax.legend(frameon=False, loc="center right")
fig.tight_layout()
for name, found in by_places.items():
    print(f"{name:18}  {[round(share, 3) for share in found]}")

# %% [markdown]
# It is true. The same 9,088 numbers are enough for far better reading, once the digits have been
# seen everywhere. A second place is worth about as much as all the care above. Softmax regression
# hardly gains: it *cannot* use what it sees.
#
# So the MLP could read the canvas. What it lacks is the idea that a 3 stays a 3 when it moves. It
# has to be told so again and again, with examples. Stage 4 builds the idea in.
#
# Last, the same test pictures through your own kernels, and what some hidden neurons look at.

# %% tags=["demo"]
params = careful["MLP", 0]
kernel_accuracy = accuracy(kernel_forward(params, x_test)[0], y_test)
print(
    f"accuracy on the test pictures: kernels {kernel_accuracy:.3f}, NumPy {canvas_accuracies['MLP'][0]:.3f}"
)

strongest = np.argsort(-np.abs(params["w0"]).sum(axis=0))[:12]
limit = np.abs(params["w0"][:, strongest]).max() / 2
fig, axes = plt.subplots(2, 6, figsize=(9, 3.2))
for ax, unit_index in zip(axes.flat, strongest, strict=True):
    ax.imshow(params["w0"][:, unit_index].reshape(16, 16), cmap="PuOr_r", vmin=-limit, vmax=limit)
    ax.set(xticks=[], yticks=[])
fig.suptitle("weights of twelve hidden neurons: orange wants ink, purple wants none")
fig.tight_layout()

# %% [markdown]
# Nobody asked for this. Hardly any neuron looks for a stroke in one corner. They have found *stripes*:
# across, upright and slanted, coarse and fine, over nearly the whole canvas. Push a digit along by one
# full stripe, and the neuron answers much as before. With 34 neurons for 81 places, that is a clever
# way to care less about the place.
#
# ## 2.14 What you have, and what is missing
#
# | forward | backward | the idea in a line |
# |---|---|---|
# | `max(x, 0)` | `dout * (x > 0)` | a gate: where it let pass, the gradient passes |
# | sigmoid `s`, tanh `t` | `dout * s * (1 - s)`, `dout * (1 - t * t)` | the slope is known from the output |
# | affine, bend, affine, ... | the same chain in reverse | each layer needs its cache and its `dout` |
#
# In PyTorch:
#
# ```python
# net = torch.nn.Sequential(
#     torch.nn.Linear(256, 34),
#     torch.nn.ReLU(),
#     torch.nn.Linear(34, 10),
# )
# torch.autograd.gradcheck(net.double(), x)  # your check_gradient
# ```
#
# Three things to take along. Without a bend, layers collapse. With a bend, one hidden layer can
# imitate any function, if it is wide enough. And each further layer can multiply the number of bends.
#
# **A last question.** If depth multiplies bends, let us stack thirty layers. The weights are random
# and each layer multiplies by them. What becomes of a number that is multiplied thirty times by
# something a little smaller than 1? Or a little larger?
#
# <details><summary>Answer</summary>
#
# $0.8^{30}$ is 0.001, and $1.25^{30}$ is 800. The signal fades away or explodes, and so does the
# gradient on its way back. Deep networks need their first weights to be just right. How right, and
# why, is stage 3.
#
# </details>
