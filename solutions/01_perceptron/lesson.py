# %% [markdown]
# # 1. Perceptron: one affine layer learns digits
#
# Here is a picture of a digit: 64 numbers, each saying how much ink one square holds. Which digit
# is it? You see it at once, and you cannot say how. Nobody has ever written down the rule by hand.
#
# In this stage a rule is found by itself. You start with the oldest machine that learns, a single
# neuron from 1958, and end with a layer of ten neurons that reads handwritten digits and is right
# about 96 times in 100. You write every line of it twice: once in NumPy, where it is easy to see
# what is true, and once as kernels for a GPU, where it is fast.
#
# Eighteen exercises sounds like a lot. Most of them are one to five lines long.
#
# You need Python with NumPy, what a derivative is, and stage 0 for the kernels.

# %% tags=["setup"]
import numpy as np
from jaxtyping import Float, Int

import gradschool as gs

gs.start("01_perceptron")

# %% [markdown]
# **How to work.** Each exercise is a function with a docstring that says what goes in, what comes
# out, and which inputs it must refuse. Replace `raise NotImplementedError` by your code, run the
# cell, then run the check below it. A check tries a few small cases that you can work out by hand.
# The grader later tries many more.
#
# Three rules hold for every function in this course:
#
# - An input is never changed. `x = x + b` makes a new array; `x += b` writes into the caller's.
# - `float32` in, `float32` out. Kernels compute in `float32`, and you will want to compare. One
#   trap: NumPy makes `float64` of `float32` times a NumPy `int64`. Plain Python numbers do no harm.
# - What cannot be right is refused: `raise ValueError("...")` with a sentence that says what came
#   in.
#
# Questions come before answers. Try to answer each one before you open it. A wrong guess teaches
# more than no guess.

# %% [markdown]
# ## 1.1 A neuron is a weighted vote
#
# Start with something smaller than digits. In 1936 Ronald Fisher published measurements of 150 iris
# flowers. Take two kinds, *setosa* and *versicolor*, and two numbers per flower: how long and how
# wide its sepals are, the outer leaves of the blossom. Both are measured from the average flower,
# so $-0.4$ means 0.4 cm less than average.

# %% tags=["demo"]
import matplotlib.pyplot as plt

BLUE, ORANGE, INK, GREY = "#1f6fb2", "#c05e00", "#1f2933", "#8a949e"
plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})

flowers, species = gs.load_iris()


def two_kinds(first, second):
    """Return sepal length and width of two kinds, in cm from their average, and labels -1 and +1."""
    chosen = (species == first) | (species == second)
    x = flowers[chosen][:, :2]
    return x - x.mean(axis=0), np.where(species[chosen] == first, -1, 1)


iris_x, iris_y = two_kinds(0, 1)


def draw_flowers(ax, x, y, names=("setosa", "versicolor")):
    for label, colour, marker, name in ((-1, BLUE, "o", names[0]), (1, ORANGE, "^", names[1])):
        ax.scatter(*x[y == label].T, s=22, c=colour, marker=marker, label=name, alpha=0.8, linewidths=0)


fig, ax = plt.subplots(figsize=(6, 4))
draw_flowers(ax, iris_x, iris_y)
ax.set(xlabel="sepal length [cm]", ylabel="sepal width [cm]", title="100 flowers, two kinds")
ax.legend(frameon=False)
fig.tight_layout()

# %% [markdown]
# A straight line can keep the two kinds apart. A machine that knows the line can name a new flower:
# it looks which side the flower is on.
#
# How does a machine compute a side? It takes a vote. Each measurement votes with a **weight**, the
# votes are added, and a **bias** is added on top:
#
# $$\text{score} = x_1 w_1 + x_2 w_2 + b$$
#
# A positive score means one side, a negative score the other. This is a **neuron**: weighted
# inputs, one sum, one decision.
#
# ![A neuron: inputs times weights, summed, plus a bias, and the sign decides](figures/neuron.svg)
#
# The line itself is where the vote is a tie, score = 0. The weights $w$ point straight away from
# the line, towards the positive side. The bias slides the line without turning it.
#
# **Question.** Double both weights and the bias. What happens to the line? What happens to the
# scores?
#
# <details><summary>Answer</summary>
#
# The line stays where it is: if the score is 0, twice the score is 0 too. All scores double. So the
# line does not fix the size of the weights. Keep this in mind until 1.4, where the size of a score
# gets a meaning.
#
# </details>

# %% [markdown]
# ## 1.2 Learning from mistakes
#
# **Question.** Somebody must choose $w_1$, $w_2$ and $b$. Suppose you may look at one flower at a
# time and turn the line a little after each look. When should you turn it, and which way?
#
# <details><summary>Answer</summary>
#
# Leave it alone when the flower is on its right side: there is nothing to mend. When the flower is
# on the wrong side, change the weights so that *this* flower's score moves towards its label.
#
# </details>
#
# Write the label as $y = +1$ or $y = -1$. Then $y \cdot \text{score}$ is positive exactly when the
# answer is right. This product is called the **margin**. It is one number that says right or wrong,
# for both kinds alike.
#
# Frank Rosenblatt's rule of 1958 is three lines long. For each example in turn:
#
# - compute the margin $y\,(x \cdot w + b)$,
# - if it is at most 0, set $w \leftarrow w + \eta\, y\, x$,
# - and $b \leftarrow b + \eta\, y$.
#
# The number $\eta$ (in code `lr`, the learning rate) says how big the correction is.
#
# Why this correction? Put the new weights into the same example's margin, with $\eta = 1$:
#
# $$y\,\big(x \cdot (w + yx) + b + y\big) = y\,(x \cdot w + b) + \underbrace{y^2}_{1}\,(x \cdot x + 1)$$
#
# The margin of this example has grown by $|x|^2 + 1$, whatever the label is. One correction may not
# be enough to make it positive, and it may spoil another example. But it always goes the right way
# for the example that asked.
#
# ![A misjudged flower turns the weights towards itself, and the line with them](figures/correction.svg)
#
# **Question.** The machine starts at $w = 0$, $b = 0$. What is the margin of the first flower? Is
# that a mistake?
#
# <details><summary>Answer</summary>
#
# The margin is 0, for every flower. If only negative margins counted as mistakes, nothing would
# ever move. So a margin of exactly 0 must count as a mistake: the test is `<= 0`.
#
# </details>
#
# **Your turn.** `perceptron_step` visits all the examples it is given once, in order. Each one
# meets the weights that the examples before it have left.


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
        x: Examples, one per row.
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
    x, y = np.atleast_2d(x), np.atleast_1d(y)  # one example alone is a batch of one
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

# %% [markdown]
# Now watch it learn. One pass over all flowers is an **epoch**. The next cell shuffles the flowers,
# runs epochs until one passes without a mistake, and draws the line after some of the corrections.
#
# Before you run it: how many corrections will 100 flowers need? Ten? A hundred? Thousands?


# %% tags=["demo"]
def learn_line(x, y, max_epochs):
    """Run epochs until one has no mistake; return the line after each correction, and how many each epoch had."""
    w, b = np.zeros(x.shape[1]), 0.0
    lines, corrections = [], []
    for _ in range(max_epochs):
        n_before = len(lines)
        for i in range(len(x)):
            new_w, new_b = perceptron_step(x[i : i + 1], y[i : i + 1], w, b, lr=1.0)
            if new_b != b:  # the bias moves at every correction
                lines.append((new_w, new_b))
            w, b = new_w, new_b
        corrections.append(len(lines) - n_before)
        if corrections[-1] == 0:
            break
    return lines, corrections


order = np.random.default_rng(2).permutation(100)
lines, corrections = learn_line(iris_x[order], iris_y[order], max_epochs=50)
last_w, last_b = lines[-1]
iris_epochs = len(corrections)
iris_separated = bool(np.all(iris_y * (iris_x @ last_w + last_b) > 0))

shown = np.unique(np.linspace(0, len(lines) - 1, 6).astype(int))
fig, axes = plt.subplots(2, 3, figsize=(10, 6), sharex=True, sharey=True)
for ax, i in zip(axes.flat, shown, strict=False):
    draw_flowers(ax, iris_x, iris_y)
    w, b = lines[i]
    ax.axline((0, -b / w[1]), slope=-w[0] / w[1], color=INK, linewidth=1.5)  # where the score is 0
    n_wrong = np.sum(iris_y * (iris_x @ w + b) <= 0)
    ax.set(xlim=(-1.4, 1.8), ylim=(-1.3, 1.5))
    ax.set_title(f"after correction {i + 1}: {n_wrong} wrong", fontsize=11)
for ax in axes[1]:
    ax.set_xlabel("sepal length [cm]")
for ax in axes[:, 0]:
    ax.set_ylabel("sepal width [cm]")
fig.tight_layout()
print(f"epochs: {iris_epochs}, corrections: {sum(corrections)}, separated: {iris_separated}")

# %% [markdown]
# A dozen corrections in a few hundred looks. At first the line swings wildly: one correction throws
# half of the flowers to the wrong side, the next brings almost all of them back. The weights grow
# longer with the corrections, so a later one turns the line less.
#
# ### Why does it ever stop?
#
# A correction helps one flower and may hurt others. It could go round in circles for ever. Albert
# Novikoff proved in 1962 that it cannot, if any separating line exists. The proof fits in a few
# lines, and it is worth following once.
#
# Put the bias among the weights: $v = (w, b)$, and give every example an extra input of 1. Suppose
# some $u$ of length 1 separates the classes with room to spare, so that every margin
# $y\,(x \cdot u)$ is at least some $\gamma > 0$. Let no example be longer than $R$. Take $\eta = 1$,
# start at $v = 0$, and look at $v$ after $k$ corrections.
#
# 1. **It turns towards $u$.** Each correction adds $y\,(x \cdot u) \ge \gamma$ to $v \cdot u$. So
#    $v \cdot u \ge k\gamma$. It grows like $k$.
# 2. **It grows slowly.** A correction changes $|v|^2$ by $2\,y\,(x \cdot v) + |x|^2$. The first
#    term is not positive, because only mistakes are corrected. So $|v|^2 \le kR^2$, and $|v|$ grows
#    only like $\sqrt{k}$.
# 3. **Both cannot go on.** $v \cdot u$ can never be larger than $|v|$. So
#    $k\gamma \le \sqrt{k}\,R$, which means
#
# $$k \le \left(\frac{R}{\gamma}\right)^2.$$
#
# The number of corrections is limited, however many flowers there are and in whatever order they
# come. How many there are does depend on the order. What makes a problem hard is a thin gap (small
# $\gamma$), not many examples.
#
# **Question.** Where does the proof use that the machine leaves right answers alone?
#
# <details><summary>Answer</summary>
#
# In step 2. If a right answer were corrected too, $y\,(x \cdot v)$ could be large and positive,
# $|v|$ could grow like $k$, and there would be no contradiction.
#
# </details>
#
# ### And if there is no line?
#
# The other two kinds of iris, *versicolor* and *virginica*, overlap. No line separates them. What
# will the rule do?

# %% tags=["demo"]
other_x, other_y = two_kinds(1, 2)
_, other_corrections = learn_line(other_x[order], other_y[order], max_epochs=50)

fig, ax = plt.subplots(figsize=(7, 3.5))
ax.plot(range(1, iris_epochs + 1), corrections, "o-", color=BLUE, label="setosa and versicolor")
ax.plot(range(1, 51), other_corrections, ".-", color=ORANGE, label="versicolor and virginica")
ax.set(
    xlabel="epoch",
    ylabel="corrections",
    ylim=(-0.5, None),
    title="With a gap it stops, without one it never does",
)
ax.legend(frameon=False)
fig.tight_layout()
print(f"corrections in the last five epochs: {other_corrections[-5:]}")

# %% [markdown]
# It never settles. Each flower in the overlap drags the line to itself, and the next one drags it
# back.
#
# Here the rule shows its limits. It knows only *right* and *wrong*. It cannot say that a flower is
# *probably* a virginica, it cannot accept a few mistakes for the good of the rest, and it knows two
# classes only.
#
# Digits have ten classes, and badly written ones overlap. So three things must change: more
# outputs, answers with shades between yes and no, and a rule that weighs all examples at once. The
# rest of this stage makes these three changes, one after the other.

# %% [markdown]
# ## 1.3 Ten neurons at once
#
# Let each digit have its own neuron. The neuron for 3 votes for "this is a 3", with its own 64
# weights and its own bias. Ten neurons look at the same picture and give ten scores. The highest
# score wins.

# %% tags=["demo"]
from gradschool.data import split

pictures, digits = gs.load_digits()
x_train, y_train, x_test, y_test = split(pictures, digits)

fig, axes = plt.subplots(2, 10, figsize=(10, 2.4))
for digit in range(10):
    for row in range(2):
        axes[row, digit].imshow(x_train[y_train == digit][row].reshape(8, 8), cmap="Greys")
        axes[row, digit].axis("off")
    axes[0, digit].set_title(digit)
fig.tight_layout()
print(
    f"{len(x_train)} pictures to learn from, {len(x_test)} to be tested on, {x_train.shape[1]} numbers each"
)

# %% [markdown]
# Write the weights of the neurons side by side, as the columns of one matrix `w` with 64 rows and
# 10 columns. Write the pictures under each other, as the rows of `x`. Then all scores of all
# pictures are one matrix product:
#
# $$\text{out}_{rj} = \sum_i x_{ri}\, w_{ij} + b_j \qquad\text{or}\qquad \text{out} = x w + b$$
#
# ![Shapes of an affine layer: rows of x are examples, columns of w are neurons](figures/affine.svg)
#
# This is an **affine layer**. It is the part that every network in this course is made of:
# perceptron, convolution, attention and transformer all multiply by learned weights and add a bias.
#
# Follow the sizes. `x` is (n, d_in), `w` is (d_in, d_out). The inner sizes meet and vanish in the
# sum. The outer ones stay: (n, d_out).
#
# **Question.** `b` has shape (d_out,), one number per neuron. NumPy adds it to an array of shape
# (n, d_out). Along which axis is it repeated?
#
# <details><summary>Answer</summary>
#
# Along the examples. NumPy lines shapes up from the right, so the d_out numbers of `b` meet the
# d_out columns. Every row gets the same biases. That is what we want: a bias belongs to a neuron,
# not to a picture.
#
# </details>
#
# Later stages feed this layer with whole sequences, of shape (batch, seq, d_in). Nothing needs to
# change: the layer works on the last axis, and all axes before it only count examples. `@` already
# treats them so.
#
# The function returns two things. `out` is the result. `cache` is a note to yourself: whatever the
# way back (section 1.9) will need. You choose what is in it.


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

# %% [markdown]
# ### The kernel `affine_forward.wgsl`
#
# On the GPU one invocation makes one number of `out`. So the launch has two dimensions, like `out`
# itself: `global_id.x` is the column $j$, `global_id.y` is the row $r$. The invocation walks along
# row $r$ of `x` and down column $j$ of `w`, multiplies and adds.
#
# Memory has no rows. A matrix lies there row after row, so element (r, i) of `x` is
# `x[r * d_in + i]`. Most errors in kernels like this one are a wrong number in that product: it is
# always the *length of a row*, the number of columns.
#
# Workgroups here are 8 by 8. For 3 pictures and 10 neurons, two workgroups are launched, which
# makes 16 by 8 invocations for 30 numbers. The other 98 must do nothing.
#
# **Question.** You guard the rows and forget the columns. Invocation (r = 0, j = 10) then writes to
# `out[0 * 10 + 10]`. Whose place is that?
#
# <details><summary>Answer</summary>
#
# It is `out[1 * 10 + 0]`: the first score of the *second* picture. Nothing crashes and nothing is
# out of bounds. Two invocations write the same place, and the result depends on which comes last. A
# forgotten row guard writes behind the array; a forgotten column guard writes into it.
#
# </details>

# %% tags=["demo"]
gs.show_kernel("affine_forward.wgsl")

# %% tags=["check"]
gs.check("affine_forward.wgsl")

# %% [markdown]
# ## 1.4 From scores to probabilities
#
# The ten scores can be any numbers. "The neuron for 3 says 7.2" means nothing by itself. We want
# ten numbers that say how likely each digit is: none negative, together 1.
#
# **Question.** Why not divide each score by the sum of the scores?
#
# <details><summary>Answer</summary>
#
# Scores can be negative, and then so would be the "probabilities". The sum can be 0. And adding 5
# to all scores would change the result, although it changes no comparison between them.
#
# </details>
#
# So first make the scores positive, then divide by their sum. The function that does it is $e^x$.
# It is positive everywhere, it keeps the order, and it turns a *difference* of scores into a
# *ratio* of probabilities:
#
# $$p_c = \frac{e^{x_c}}{\sum_k e^{x_k}} \qquad\qquad \frac{p_a}{p_b} = e^{x_a - x_b}$$
#
# A digit that leads by 1 is $e \approx 2.7$ times as likely. One that leads by 10 is 22,000 times
# as likely. This is the **softmax**. Now the size of a score has a meaning, which it did not have
# for the perceptron: larger weights mean a machine that is surer of itself.

# %% tags=["demo"]
scores = np.array([2.0, 1.0, 0.0, -1.0])
fig, axes = plt.subplots(1, 3, figsize=(9, 2.6), sharey=True)
for ax, factor in zip(axes, (0.3, 1.0, 3.0), strict=True):
    exps = np.exp(factor * scores)
    ax.bar(range(4), exps / exps.sum(), color=BLUE)
    ax.set(xticks=range(4), xticklabels=[f"{s:g}" for s in factor * scores], ylim=(0, 1), xlabel="score")
axes[0].set_ylabel("probability")
fig.suptitle("The same order, three degrees of certainty")
fig.tight_layout()

# %% [markdown]
# ### Where the maximum comes in
#
# The formula is right and the computer fails at it. `float32` holds numbers up to about 3.4e38, and
# $e^{88.8}$ is already larger. A score of 100 is nothing unusual.

# %% tags=["demo"]
with np.errstate(over="ignore", invalid="ignore"):
    exps = np.exp(np.array([100.0, 99.0], np.float32))
    print("exponentials:", exps, " divided by their sum:", exps / exps.sum())

# %% [markdown]
# Infinity divided by infinity is `nan`, *not a number*.
#
# The way out is already in the formula. Only differences of scores matter. So subtract the same
# number $m$ from all of them, any number you like:
#
# $$\frac{e^{x_c - m}}{\sum_k e^{x_k - m}} = \frac{e^{-m}\, e^{x_c}}{e^{-m} \sum_k e^{x_k}} = p_c$$
#
# Choose $m$ as the largest score of the row. Then the largest exponent is 0, and nothing can
# overflow. The largest exponential is 1, so the sum is at least 1 and the division is safe. Very
# low scores may become 0. That is harmless: so small a share is 0 anyway.
#
# **Question.** Two pictures are in the batch. One has scores around 1000, the other around 0. Would
# it do to subtract the largest number of the whole array?
#
# <details><summary>Answer</summary>
#
# No. The second row would be around $-1000$, all its exponentials would be 0, and 0/0 is `nan`.
# Each row needs its own maximum: `x.max(axis=-1, keepdims=True)`. With `keepdims` the result has
# shape (n, 1) and lines up with the rows.
#
# </details>
#
# A score may also be `-inf`. It says "this one is impossible", and its probability is exactly 0.
# Stage 6 uses it to hide the future from a language model. If you do nothing special,
# $e^{-\infty} = 0$ already does the right thing.


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

# %% [markdown]
# ### The kernel `softmax_forward.wgsl`
#
# A row needs its maximum before any exponential, and its sum before any division. So the
# invocations of a row must talk to each other, and only invocations of one workgroup can. Hence
# **one workgroup per row**, with 64 invocations that share the columns: invocation 3 takes columns
# 3, 67, 131 and so on.
#
# You know both halves from stage 0: `row_max`, then `row_sum`, each a tree in workgroup memory. The
# whole kernel has three parts:
#
# 1. find the row's maximum with a tree,
# 2. find the sum of `exp(x - max)` with a tree,
# 3. write each column.
#
# What is new is that the second tree uses the memory of the first.
#
# **Question.** After the first tree every invocation reads the maximum from `partial[0]`. Then each
# writes its own sum into `partial[lane]`. Invocation 0 is quick and invocation 5 is slow. What goes
# wrong, and what mends it?
#
# <details><summary>Answer</summary>
#
# Invocation 0 overwrites `partial[0]` with its sum before invocation 5 has read the maximum there.
# Invocation 5 then subtracts a wrong number. A `workgroupBarrier()` between the reading and the
# writing makes the quick ones wait.
#
# </details>
#
# Mind the start of the maximum. Invocations that get no column must not bring a number of their own
# into the tree: with a start of 0, a row of negative scores would get a maximum of 0.

# %% tags=["demo"]
gs.show_kernel("softmax_forward.wgsl")

# %% tags=["check"]
gs.check("softmax_forward.wgsl")

# %% [markdown]
# ## 1.5 How wrong is a probability?
#
# The machine says: 70% a 3, 20% an 8, and a little for the rest. It was a 3. How good is that
# answer? A machine that is to improve needs one number for how bad it is, and the number must
# change smoothly when the weights do.
#
# **Question.** Why not just count the wrong answers?
#
# <details><summary>Answer</summary>
#
# The count moves in jumps. If you turn a weight a little, most likely no answer flips, and the
# count stays the same. It gives no hint which way to go. The perceptron had exactly this trouble.
#
# </details>
#
# Look at the probability that was given to the right answer, and ask how *surprised* the machine is
# to hear it. Three wishes lead to one formula:
#
# - what was certain ($p = 1$) surprises by 0,
# - the less probable, the more surprising,
# - two independent surprises add up, while their probabilities multiply.
#
# Only the logarithm turns products into sums. Surprise is $-\log p$. With the natural logarithm it
# is measured in **nats**.

# %% tags=["demo"]
p = np.linspace(0.004, 1, 400)
fig, ax = plt.subplots(figsize=(6, 3.6))
ax.plot(p, -np.log(p), color=BLUE, linewidth=2)
for q, name in ((0.7, "70%"), (0.1, "a blind guess among ten"), (0.01, "1%")):
    ax.plot(q, -np.log(q), "o", color=ORANGE)
    ax.annotate(f"{name}: {-np.log(q):.2f} nats", (q, -np.log(q)), (q + 0.03, -np.log(q) + 0.15), color=INK)
ax.set(xlabel="probability given to the right answer", ylabel="surprise [nats]", ylim=(0, 5.6))
fig.tight_layout()

# %% [markdown]
# The mean surprise over all examples is the **cross-entropy**, and it is our loss:
#
# $$\text{loss} = \frac{1}{n} \sum_r -\log p_{r,\,\text{label}_r}$$
#
# Keep one number in mind. A machine that knows nothing gives each of the ten digits 10%, and is
# surprised by $\ln 10 = 2.303$ nats every time. Training starts there. A loss above 2.303 is worse
# than knowing nothing: it comes from being sure and wrong.
#
# ### Do not take the logarithm of a probability
#
# Softmax and then the logarithm is right on paper. But a label's score may lie 200 below the best
# one. Its probability $e^{-200}$ is 0 in `float32`, and the logarithm of 0 is $-\infty$. The
# surprise is a plain number, 200 nats, and we lost it on the way.
#
# So do not go that way. Take the logarithm of the softmax on paper first, with $m$ the row's
# maximum:
#
# $$-\log p_y = -\log \frac{e^{x_y - m}}{\sum_c e^{x_c - m}} = \log \sum_c e^{x_c - m} - (x_y - m)$$
#
# There is no exponential of the label's score left that could vanish. The sum is at least 1, so its
# logarithm is safe. This form is called **log-sum-exp**.
#
# **Question.** Adding a tiny number before the logarithm, `np.log(p + 1e-9)`, also avoids the
# infinity. Why is it worse?
#
# <details><summary>Answer</summary>
#
# It puts a lid on the loss: no surprise can exceed 20.7 nats, however wrong the answer was. Above
# the lid the loss does not change with the score any more, so the worst answers are the ones that
# are never corrected.
#
# </details>
#
# One more rule. A label of $-1$ means "do not judge this example". It leaves the sum, and it leaves
# the count that the sum is divided by. Text of different lengths will need this from stage 8 on. If
# nothing is left to judge, the loss is 0.


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

# %% [markdown]
# ### The kernel `cross_entropy_forward.wgsl`
#
# The kernel gives one loss per row, and the host takes the mean. A sum over rows would need
# workgroups to wait for each other, and WGSL has no barrier between workgroups.
#
# It begins like the softmax: a tree for the maximum, a tree for the sum of exponentials. Then one
# number remains to be written, so one invocation writes it.
#
# Labels are signed integers, `array<i32>`, because of the $-1$. An index must be unsigned:
# `u32(label)`.
#
# **Question.** A row with label $-1$ is to be ignored. May the kernel simply not write its loss?
#
# <details><summary>Answer</summary>
#
# No. Output memory holds whatever was there before. A row that is not written does not come out as
# 0 but as garbage. Write the 0. And it may not return early either: the other invocations of its
# workgroup would wait at a barrier for ever.
#
# </details>

# %% tags=["demo"]
gs.show_kernel("cross_entropy_forward.wgsl")

# %% tags=["check"]
gs.check("cross_entropy_forward.wgsl")

# %% [markdown]
# ## 1.6 Which way is down?
#
# The loss is now a function of 650 numbers: 640 weights and 10 biases. Think of a landscape with
# 650 directions, and of yourself somewhere on a slope, in fog. You cannot see the valley. But you
# can feel which way is down.
#
# For each number, ask: if I raise it by a tiny bit, by how much does the loss rise, per bit? That
# is the partial derivative. All 650 of them together are the **gradient**. It points where the loss
# rises fastest. So step the other way.
#
# You can find a partial derivative without any theory. Nudge the number up by $\varepsilon$, nudge
# it down by $\varepsilon$, and look at the difference:
#
# $$\frac{\partial f}{\partial x_i} \approx \frac{f(x + \varepsilon e_i) - f(x - \varepsilon e_i)}{2 \varepsilon}$$
#
# **Question.** Then why learn any calculus? What would one gradient of our 650 numbers cost this
# way?
#
# <details><summary>Answer</summary>
#
# 1,300 runs through all the training data for a single step. A language model with a billion
# weights would need two billion. The way back, which you write now, gets the whole gradient for the
# price of about two runs.
#
# </details>
#
# So the nudges are too slow to learn with. But they are an honest judge. They know nothing of your
# formulas, so they cannot make the same mistake. Here is the judge. It works in `float64`, where
# $\varepsilon = 10^{-6}$ leaves nine good digits or so.


# %%
def numerical_gradient(f, x, eps=1e-6):
    """Return the gradient of the number f(x) by nudging each element of x up and down."""
    grad = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[index] += eps
        down[index] -= eps
        grad[index] = (f(up) - f(down)) / (2 * eps)
    return grad


# %% [markdown]
# ## 1.7 Back through the loss
#
# Our computation is a chain: pictures, affine layer, scores, loss. We walk it backwards. The first
# step goes from the loss to the scores.
#
# Take one example with scores $z$ and label $y$. Its loss in log-sum-exp form is
#
# $$\ell = \log \sum_c e^{z_c} - z_y .$$
#
# **Question.** Nudge one score $z_k$. What happens to each of the two terms?
#
# Take the second term first. $z_y$ changes only if $k$ is the label. Its derivative is 1 if
# $k = y$, otherwise 0. Written for all $k$ at once, these are the numbers of a **one-hot** vector:
# a 1 at the label, 0 elsewhere.
#
# Now the first term. The derivative of $\log S$ is $1/S$ times the derivative of $S$. The sum $S$
# contains $z_k$ in one place only, $e^{z_k}$, whose derivative is $e^{z_k}$ itself. Together:
#
# $$\frac{\partial}{\partial z_k} \log \sum_c e^{z_c} = \frac{e^{z_k}}{\sum_c e^{z_c}} = p_k$$
#
# It is the softmax. Put the two together:
#
# $$\frac{\partial \ell}{\partial z_k} = p_k - \text{onehot}_k$$
#
# **What the machine believed, minus what was true.** Nothing simpler could have come out.
#
# Read it as a set of pushes. If the machine gave the right digit 70%, its score is pushed up with
# force 0.3, and the wrong ones are pushed down, each by the probability it had stolen. The forces
# cancel: they sum to 0. And no force is ever larger than 1, however wrong the answer.
#
# Compare with the perceptron, which pushed with force 1 after a mistake and with 0 otherwise. This
# rule pushes gently where the doubt is small, and never stops completely. It also knows how to live
# with overlap.
#
# Three details make the function complete:
#
# - The loss is a mean, so the gradient is divided by the number of examples that count.
# - Rows with label $-1$ had no part in the loss. Their gradient is 0.
# - `dloss` is the gradient of whatever comes after the loss with respect to the loss. It multiplies
#   everything. It is 1 when the loss itself is minimised. Every backward in this course takes such
#   an *upstream gradient*, because every layer is a link in some chain.
#
# **Question.** The cache holds the probabilities. It is tempting to subtract the 1 right there:
# `probs[rows, labels] -= 1`. Who would notice?
#
# <details><summary>Answer</summary>
#
# Whoever uses the cache again. A second backward would subtract a second 1 and get another
# gradient. It is the rule from the beginning: an input is never changed, and a cache is an input.
#
# </details>


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

# %% tags=["demo"]
rng = np.random.default_rng(0)
z, labels = rng.standard_normal((4, 5)), np.array([3, 0, -1, 4])


def loss_of(z):
    return cross_entropy_forward(z, labels)[0]


_, cache = cross_entropy_forward(z, labels)
gap = np.abs(cross_entropy_backward(1.0, cache) - numerical_gradient(loss_of, z)).max()
print(f"the formula and the judge differ by at most {gap:.1e}")

# %% [markdown]
# ### The kernel `cross_entropy_backward.wgsl`
#
# The forward kernel kept nothing but the losses. So this kernel starts from the logits again and
# makes the probabilities anew: the two trees, a third time. That is usual on GPUs. Computing a
# number twice is often cheaper than storing it and fetching it back.
#
# The host passes `scale` = `dloss / n_counted`, because no workgroup knows how many rows count.
# Then each invocation writes its columns: `scale * (probability - target)`, and 0 in an ignored
# row.
#
# **Question.** How does an invocation know the target of its column, without a one-hot array?
#
# <details><summary>Answer</summary>
#
# It compares: the target is 1 if its column number equals the row's label, otherwise 0.
# `select(0.0, 1.0, condition)` is WGSL's way to say so. Note the order: the value for *false* comes
# first.
#
# </details>

# %% tags=["demo"]
gs.show_kernel("cross_entropy_backward.wgsl")

# %% tags=["check"]
gs.check("cross_entropy_backward.wgsl")

# %% [markdown]
# ## 1.8 Back through softmax alone
#
# Loss and softmax together had a simple gradient. But softmax will also stand alone: in attention
# its probabilities are not compared with labels but used as weights. Then some gradient `dout`
# arrives at the probabilities, and it must be carried to the scores.
#
# **Question.** Raise one score $x_k$ and leave the others. Which probabilities change?
#
# <details><summary>Answer</summary>
#
# All of them. $p_k$ rises, and since they sum to 1, all others fall. So
# $\partial \text{loss} / \partial x_k$ collects a contribution from every output of the row.
#
# </details>
#
# Write $p_c = e_c / S$ with $e_c = e^{x_c}$ and use the rule for fractions.
#
# - For $c = k$ both numerator and sum move:
#   $\dfrac{\partial p_k}{\partial x_k} = \dfrac{e_k S - e_k e_k}{S^2} = p_k - p_k p_k$.
# - For $c \ne k$ only the sum moves:
#   $\dfrac{\partial p_c}{\partial x_k} = -\dfrac{e_c e_k}{S^2} = -p_c p_k$.
#
# Add up over all outputs, each weighted with its upstream gradient $g_c$ (that is `dout`):
#
# $$\frac{\partial \text{loss}}{\partial x_k} = g_k p_k - \sum_c g_c\, p_c\, p_k = p_k \Big( g_k - \sum_c g_c\, p_c \Big)$$
#
# The sum is the mean of the upstream gradient, weighted with the probabilities. So the formula
# says: an output that would help *more than average* gets more score, one that would help less gets
# less. If all $g_c$ are equal, nothing happens: all outputs cannot rise together.
#
# No matrix of derivatives is ever built. One sum per row is enough.


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

# %% [markdown]
# Two roads now lead from the loss to the scores. The short one is `cross_entropy_backward`. The
# long one goes through the probabilities: the derivative of $-\log p_y$ is $-1/p_y$ at the label
# and 0 elsewhere, and `softmax_backward` carries it on. They must meet. The judge has a word, too.

# %% tags=["demo"]
labels = np.array([3, 0, 2, 4])
_, cache = cross_entropy_forward(z, labels)
short = cross_entropy_backward(1.0, cache)

probs = softmax_forward(z)
dprobs = np.zeros_like(probs)
dprobs[np.arange(4), labels] = -1 / probs[np.arange(4), labels] / 4
long = softmax_backward(dprobs, probs)
print(f"short road and long road differ by at most {np.abs(short - long).max():.1e}")

upstream = rng.standard_normal((4, 5))  # random: a gradient of all ones would hide mistakes


def weighted_sum(z):
    return (upstream * softmax_forward(z)).sum()


gap = np.abs(softmax_backward(upstream, probs) - numerical_gradient(weighted_sum, z)).max()
print(f"the formula and the judge differ by at most {gap:.1e}")

# %% [markdown]
# **Question.** Why would an upstream gradient of all ones be a bad test here?
#
# <details><summary>Answer</summary>
#
# With all $g_c = 1$ the right answer is 0 everywhere. A function that returns zeros for anything
# would pass.
#
# </details>
#
# ### The kernel `softmax_backward.wgsl`
#
# One workgroup per row again. One tree for the sum of `dout * out`, then one line per column. It is
# the shortest of the tree kernels. There is no exponential in it: the probabilities come in as
# `out`.

# %% tags=["demo"]
gs.show_kernel("softmax_backward.wgsl")

# %% tags=["check"]
gs.check("softmax_backward.wgsl")

# %% [markdown]
# ## 1.9 Back through the affine layer
#
# We have the gradient at the scores, `dout`, one number for every picture and neuron. Now it must
# reach the weights.
#
# Every gradient in this course can be found with two questions: *Which outputs does this number
# touch? And by how much?* Then add up, each touched output with its upstream gradient. Recall the
# forward:
#
# $$\text{out}_{rj} = \sum_i x_{ri}\, w_{ij} + b_j$$
#
# | nudge | touches | each by | so its gradient is |
# |---|---|---|---|
# | $w_{ij}$ | column $j$ of every row | $x_{ri}$ | $\sum_r x_{ri}\, \text{dout}_{rj}$ |
# | $b_j$ | column $j$ of every row | 1 | $\sum_r \text{dout}_{rj}$ |
# | $x_{ri}$ | all of row $r$ | $w_{ij}$ | $\sum_j \text{dout}_{rj}\, w_{ij}$ |
#
# The sums are matrix products. You need not remember them, the shapes tell you. A gradient has the
# shape of the thing it belongs to. `dw` must be (d_in, d_out), and it is made of `x`, (n, d_in),
# and `dout`, (n, d_out). There is only one way to multiply these two that fits.
#
# ![The three gradients of an affine layer, found by their shapes](figures/backward.svg)
#
# **Question.** `dw` and `db` are sums over the examples. Should they not be divided by n? We want a
# mean, after all.
#
# <details><summary>Answer</summary>
#
# The mean was taken in the loss, and its 1/n is already inside `dout`. Dividing again would make
# the gradient n times too small. A layer does not know what its output is used for. It passes on
# what it gets.
#
# </details>
#
# **Question.** Who needs `dx`? Nobody wants to change the pictures.
#
# <details><summary>Answer</summary>
#
# In this stage nobody does. In the next one, the input of this layer is the output of another one,
# and `dx` is what that layer receives as its `dout`. That is how a gradient travels through a
# hundred layers.
#
# </details>
#
# With more leading axes, all of them count examples. Flatten them to one axis before you sum over
# it, and give `dx` the shape of `x` back.


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

# %% tags=["demo"]
x, w, b = rng.standard_normal((2, 3, 4)), rng.standard_normal((4, 5)), rng.standard_normal(5)
upstream = rng.standard_normal((2, 3, 5))
_, cache = affine_forward(x, w, b)
gradients = affine_backward(upstream, cache)
judged = (
    numerical_gradient(lambda x: (upstream * affine_forward(x, w, b)[0]).sum(), x),
    numerical_gradient(lambda w: (upstream * affine_forward(x, w, b)[0]).sum(), w),
    numerical_gradient(lambda b: (upstream * affine_forward(x, w, b)[0]).sum(), b),
)
for name, mine, theirs in zip(("dx", "dw", "db"), gradients, judged, strict=True):
    print(f"{name}: the formula and the judge differ by at most {np.abs(mine - theirs).max():.1e}")

# %% [markdown]
# ### The kernel `affine_backward_input.wgsl`
#
# On the GPU each of the three gradients is a kernel of its own, because each has another shape and
# so another launch.
#
# `dx = dout @ w.T` is the forward over again, with one difference: the sum runs over $j$, and `w`
# is read along a row instead of down a column. Nothing is transposed in memory. You only write the
# index the other way round: `w[i * d_out + j]` with $i$ fixed and $j$ running.
#
# **Question.** One invocation per element of `dx`. What are the two sizes its guard must test, and
# what is the length of the loop?
#
# <details><summary>Answer</summary>
#
# `dx` is (n_rows, d_in). So the row is tested against `n_rows` and the column against `d_in`. The
# loop runs over `d_out`.
#
# </details>

# %% tags=["demo"]
gs.show_kernel("affine_backward_input.wgsl")

# %% tags=["check"]
gs.check("affine_backward_input.wgsl")

# %% [markdown]
# ### The kernel `affine_backward_weight.wgsl`
#
# `dw = x.T @ dout`: one invocation per weight, and it walks over the *examples*. This is the sum
# over the batch, and it happens inside one invocation, so no two invocations write to the same
# place.
#
# **Question.** One could also start one invocation per example and let each add its share to
# `dw[i, j]`. What would go wrong?
#
# <details><summary>Answer</summary>
#
# Many invocations would read, add and write the same number at the same time, and shares would be
# lost. Stage 0 showed this with the histogram. The remedy is either atomics or, as here, to give
# every output a single owner. A single owner is simpler and always gives the same rounding.
#
# </details>

# %% tags=["demo"]
gs.show_kernel("affine_backward_weight.wgsl")

# %% tags=["check"]
gs.check("affine_backward_weight.wgsl")

# %% [markdown]
# ### The kernel `affine_backward_bias.wgsl`
#
# `db` is the sum of each column of `dout`. One invocation per neuron walks down its column.
#
# In stage 0 you summed rows with a tree. Here a plain loop does. With ten columns of a hundred
# numbers there is little to gain from a tree. And in each round of the loop, neighbouring
# invocations read neighbouring numbers, which is how a GPU likes to fetch memory.

# %% tags=["demo"]
gs.show_kernel("affine_backward_bias.wgsl")

# %% tags=["check"]
gs.check("affine_backward_bias.wgsl")

# %% [markdown]
# ## 1.10 One step down
#
# The gradient says which way is up. So every parameter takes a small step the other way:
#
# $$w \leftarrow w - \eta\, \frac{\partial \text{loss}}{\partial w}$$
#
# That is the whole of **gradient descent**. It is called *stochastic* (SGD) when the gradient comes
# not from all examples but from a handful drawn at random, a **batch**. Such a gradient is a bit
# wrong each time and right on average, and it is many times cheaper.
#
# **Question.** The gradient is exact only at the spot where you stand. What happens if the step is
# far too small? Far too large?
#
# <details><summary>Answer</summary>
#
# Too small: you arrive next year. Too large: you leave the place where the gradient was true, step
# over the valley and land higher on the other side. The picture below the exercise shows both.
#
# </details>
#
# `sgd_step` takes the parameters as a dict of arrays, `{"w": ..., "b": ...}`, and the gradients
# under the same names. It returns a *new* dict. The old one stays as it was, so you can compare, or
# go back.


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


# %% tags=["demo"]
def one_batch(params, x, labels):
    """Return the loss on a batch and its gradients."""
    logits, affine_cache = affine_forward(x, params["w"], params["b"])
    loss, loss_cache = cross_entropy_forward(logits, labels)
    dlogits = cross_entropy_backward(1.0, loss_cache)
    _, dw, db = affine_backward(dlogits, affine_cache)
    return loss, {"w": dw, "b": db}


def loss_on(params, x, labels):
    return cross_entropy_forward(affine_forward(x, params["w"], params["b"])[0], labels)[0]


start = {"w": np.zeros((64, 10)), "b": np.zeros(10)}
start_loss, grads = one_batch(start, x_train, y_train)
sizes = np.geomspace(0.03, 3000, 80)
after = [loss_on(sgd_step(start, grads, lr), x_train, y_train) for lr in sizes]

fig, ax = plt.subplots(figsize=(6.5, 3.6))
ax.semilogx(sizes, after, color=BLUE, linewidth=2)
ax.axhline(start_loss, color=GREY, linestyle="--", linewidth=1)
ax.annotate(f"before the step: {start_loss:.3f}", (0.035, start_loss + 0.2), color=INK)
ax.set(
    xlabel="learning rate",
    ylabel="loss after one step [nats]",
    ylim=(0, 8),
    title="How far should one step go?",
)
fig.tight_layout()
print(f"the loss before any learning is {start_loss:.4f}, and ln 10 is {np.log(10):.4f}")

# %% [markdown]
# All weights are zero at the start, so all scores are equal and every digit gets 10%. The loss is
# $\ln 10$, as promised.
#
# About 40 is the best learning rate for this one step, which starts on flat ground. It would be far
# too large for the steps that follow: once the machine is sure of some answers, a step of that size
# throws the loss far above $\ln 10$. We will use 1.
#
# Starting from zero is allowed here, because ten neurons with ten different labels are pulled apart
# at once. In a network with hidden layers it is not. Stage 3 is about that.
#
# ### The kernel `sgd_step.wgsl`
#
# One invocation per parameter, as in `scale_shift` of stage 0. What is new is that `w` is read
# *and* written: the kernel updates the caller's array in place. On a GPU there is no room for a
# second copy of all weights.
#
# **Question.** The NumPy version must not change its input, and this kernel must. Is it a race if
# all invocations read and write `w` at the same time?
#
# <details><summary>Answer</summary>
#
# No. A race needs two invocations at the *same* element, one of them writing. Here element `i`
# belongs to invocation `i` alone.
#
# </details>
#
# The kernel does not care that `w` is a matrix: it sees `n` numbers in a row.

# %% tags=["demo"]
gs.show_kernel("sgd_step.wgsl")

# %% tags=["check"]
gs.check("sgd_step.wgsl")

# %% [markdown]
# ## 1.11 Counting right answers
#
# The loss is what the machine improves. What we want to know is how often it is right. The digit
# with the highest score is the answer, and the share of right answers is the **accuracy**.
#
# **Question.** Do you need the softmax to find the most probable digit?
#
# <details><summary>Answer</summary>
#
# No. Softmax keeps the order, so the highest score is also the highest probability.
#
# </details>


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

# %% [markdown]
# ## 1.12 The run
#
# Everything is in place. Draw a batch of 64 pictures, compute the loss, go back, take a step.
# Repeat until all pictures were used once: that is an epoch. Then shuffle and start again.
#
# The 359 test pictures take no part in it. The machine sees them for the first time at the end.
# Otherwise it could have learned them by heart, and we would not know.


# %% tags=["demo"]
def batches(n_examples, batch_size, n_epochs, seed):
    """Yield the indices of each batch, in a new random order in every epoch."""
    rng = np.random.default_rng(seed)
    for _ in range(n_epochs):
        order = rng.permutation(n_examples)
        for first in range(0, n_examples, batch_size):
            yield order[first : first + batch_size]


x32, test32 = x_train.astype(np.float32), x_test.astype(np.float32)
params = {"w": np.zeros((64, 10), np.float32), "b": np.zeros(10, np.float32)}
numpy_losses = []
for chosen in batches(len(x32), batch_size=64, n_epochs=30, seed=0):
    loss, grads = one_batch(params, x32[chosen], y_train[chosen])
    params = sgd_step(params, grads, lr=1.0)
    numpy_losses.append(float(loss))

train_accuracy = accuracy(affine_forward(x32, **params)[0], y_train)
test_logits = affine_forward(test32, **params)[0]
test_accuracy = accuracy(test_logits, y_test)

fig, ax = plt.subplots(figsize=(7, 3.6))
ax.plot(numpy_losses, color=BLUE, linewidth=0.8, alpha=0.5, label="each batch")
window = np.convolve(numpy_losses, np.ones(23) / 23, mode="valid")  # 23 batches are an epoch
ax.plot(np.arange(len(window)) + 11, window, color=INK, label="mean over an epoch")
ax.axhline(np.log(10), color=GREY, linestyle="--", linewidth=1)
ax.annotate("ln 10: knows nothing", (230, np.log(10) - 0.16), color=INK)
ax.set(xlabel="step", ylabel="loss [nats]", ylim=(0, 2.5))
ax.legend(frameon=False)
fig.tight_layout()
print(f"accuracy on the training pictures {train_accuracy:.3f}, on the test pictures {test_accuracy:.3f}")

# %% [markdown]
# This machine is called **softmax regression**. It has 650 numbers, it was trained in less than a
# second, and nobody told it what a digit looks like.
#
# ### What has it learned?
#
# The weights of a neuron have the shape of a picture: one weight per square. So look at them as
# pictures. Orange squares vote for the digit when they hold ink, purple squares vote against it.
#
# **Question.** What do you expect in the middle of the 0?

# %% tags=["demo"]
limit = np.abs(params["w"]).max()
fig, axes = plt.subplots(2, 5, figsize=(9, 4))
for digit, ax in enumerate(axes.flat):
    image = ax.imshow(params["w"][:, digit].reshape(8, 8), cmap="PuOr_r", vmin=-limit, vmax=limit)
    ax.set_title(digit)
    ax.axis("off")
fig.colorbar(image, ax=axes, shrink=0.8, label="weight")

# %% [markdown]
# The middle of the 0 is a strong vote against: whoever has ink there is no 0. Other digits are
# harder to recognise. A neuron does not draw its digit. It only looks for what sets that digit
# apart from the other nine.
#
# ### Where is it wrong?
#
# A table says which digit is taken for which. Rows are what was written, columns what was read.

# %% tags=["demo"]
read = test_logits.argmax(axis=-1)
table = np.zeros((10, 10), int)
np.add.at(table, (y_test, read), 1)
mistaken = np.flatnonzero(read != y_test)
test_probs = softmax_forward(test_logits)
worst = mistaken[np.argsort(test_probs[mistaken, y_test[mistaken]])][:6]

fig, ax = plt.subplots(figsize=(4.6, 4.2))
ax.imshow(np.log1p(table), cmap="Blues")
for row in range(10):
    for column in range(10):
        if table[row, column]:
            ax.text(
                column,
                row,
                table[row, column],
                ha="center",
                va="center",
                color="white" if row == column else INK,
            )
ax.set(xlabel="read as", ylabel="written", xticks=range(10), yticks=range(10))
fig.tight_layout()

fig, axes = plt.subplots(2, 6, figsize=(10, 3.6), height_ratios=(2, 1))
for (picture, bars), i in zip(axes.T, worst, strict=False):
    picture.imshow(test32[i].reshape(8, 8), cmap="Greys")
    picture.set_title(f"a {y_test[i]}, read as {read[i]}", fontsize=10)
    picture.axis("off")
    colours = [ORANGE if digit == y_test[i] else BLUE for digit in range(10)]
    bars.bar(range(10), test_probs[i], color=colours)
    bars.set(ylim=(0, 1), xticks=range(10), yticks=[])
    bars.tick_params(labelsize=8)
fig.suptitle("The most surprising mistakes; the right digit in orange")
fig.tight_layout()
print(f"{len(mistaken)} of {len(y_test)} test pictures are misread")

# %% [markdown]
# Some of these would puzzle you too. Others are plain to you and not to the machine. Its neurons
# can only add up ink, square by square. They cannot ask whether a loop is closed, and a digit that
# is shifted by one square is a different set of votes.

# %% [markdown]
# ## 1.13 The same run on your own kernels
#
# Now leave NumPy out. First a test of all nine kernels against their twins, on one small batch of
# odd sizes. Both compute in `float32`, but they add in different orders, so the last digits may
# differ.

# %% tags=["demo"]
x, w, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((13, 21), (21, 7), (7,)))
labels = rng.integers(-1, 7, 13).astype(np.int32)
n_counted = int((labels >= 0).sum())

logits, affine_cache = affine_forward(x, w, b)
loss, loss_cache = cross_entropy_forward(logits, labels)
dlogits = cross_entropy_backward(1.0, loss_cache)
dx, dw, db = affine_backward(dlogits, affine_cache)
probs = softmax_forward(logits)
upstream = rng.standard_normal(probs.shape).astype(np.float32)

pairs = {
    "affine_forward": (gs.kernel("affine_forward.wgsl")(x=x, w=w, b=b), logits),
    "softmax_forward": (gs.kernel("softmax_forward.wgsl")(x=logits), probs),
    "softmax_backward": (
        gs.kernel("softmax_backward.wgsl")(dout=upstream, out=probs),
        softmax_backward(upstream, probs),
    ),
    "cross_entropy_forward": (
        gs.kernel("cross_entropy_forward.wgsl")(logits=logits, labels=labels).sum() / n_counted,
        loss,
    ),
    "cross_entropy_backward": (
        gs.kernel("cross_entropy_backward.wgsl")(logits=logits, labels=labels, scale=1 / n_counted),
        dlogits,
    ),
    "affine_backward_input": (gs.kernel("affine_backward_input.wgsl")(dout=dlogits, w=w), dx),
    "affine_backward_weight": (gs.kernel("affine_backward_weight.wgsl")(x=x, dout=dlogits), dw),
    "affine_backward_bias": (gs.kernel("affine_backward_bias.wgsl")(dout=dlogits), db),
    "sgd_step": (
        gs.kernel("sgd_step.wgsl")(w=w.reshape(-1), grad=dw.reshape(-1), lr=0.5),
        sgd_step({"w": w}, {"w": dw}, 0.5)["w"].reshape(-1),
    ),
}
kernel_gaps = {name: float(np.abs(mine - twin).max()) for name, (mine, twin) in pairs.items()}
for name, gap in kernel_gaps.items():
    print(f"{name:24} differs from its twin by at most {gap:.1e}")

# %% [markdown]
# Then the training itself: the same batches in the same order, the same learning rate, the same
# start. The weights live on the GPU from the first step to the last. `gs.to_device` copies an array
# there. A kernel that is given such an array leaves its result there, too. Only the losses come
# back, one number per picture.
#
# Three of the nine kernels rest in this run. There is no layer below that would want `dx`, and the
# loss has its softmax inside.
#
# The loop is a recipe of seven launches per step:

# %% tags=["demo"]
forward = gs.kernel("affine_forward.wgsl")
surprise = gs.kernel("cross_entropy_forward.wgsl")
surprise_backward = gs.kernel("cross_entropy_backward.wgsl")
weight_gradient = gs.kernel("affine_backward_weight.wgsl")
bias_gradient = gs.kernel("affine_backward_bias.wgsl")
descend = gs.kernel("sgd_step.wgsl")

device_w = gs.to_device(np.zeros((64, 10), np.float32))
device_b = gs.to_device(np.zeros(10, np.float32))
kernel_losses = []
for chosen in batches(len(x32), batch_size=64, n_epochs=30, seed=0):
    x, labels = gs.to_device(x32[chosen]), gs.to_device(y_train[chosen].astype(np.int32))
    logits = forward(x=x, w=device_w, b=device_b)
    kernel_losses.append(float(surprise(logits=logits, labels=labels).numpy().mean()))
    dlogits = surprise_backward(logits=logits, labels=labels, scale=1 / len(chosen))
    dw, db = weight_gradient(x=x, dout=dlogits), bias_gradient(dout=dlogits)
    # sgd_step sees plain rows of numbers, and updates them in place.
    descend(w=device_w.reshape(-1), grad=dw.reshape(-1), lr=1.0)
    descend(w=device_b, grad=db, lr=1.0)

kernel_accuracy = accuracy(forward(x=test32, w=device_w.numpy(), b=device_b.numpy()), y_test)
loss_gap = float(np.abs(np.array(kernel_losses) - np.array(numpy_losses)).max())
print(f"{len(kernel_losses)} steps; the losses of the two runs differ by at most {loss_gap:.1e} nats")
print(f"accuracy on the test pictures: kernels {kernel_accuracy:.3f}, NumPy {test_accuracy:.3f}")

# %% [markdown]
# Every multiplication in that run was made by lines that you wrote. The two runs agree to rounding,
# over all 690 steps.
#
# ## 1.14 What you have, and what is missing
#
# | forward | backward | the idea in a line |
# |---|---|---|
# | `out = x @ w + b` | `dx = dout @ w.T`, `dw = x.T @ dout`, `db = dout.sum(0)` | which outputs does it touch, and by how much? |
# | `p = exp(x - max) / sum` | `p * (dout - (dout * p).sum())` | more than average gains, less than average loses |
# | `log(sum(exp)) - x[label]` | `(p - onehot) / n` | belief minus truth |
# | | `w - lr * dw` | a small step down |
#
# PyTorch calls the same things `nn.Linear`, `softmax`, `cross_entropy` and `optim.SGD`:
#
# ```python
# layer = torch.nn.Linear(64, 10)
# optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
#
# loss = torch.nn.functional.cross_entropy(layer(x), labels, ignore_index=-1)
# optimizer.zero_grad()
# loss.backward()      # your cross_entropy_backward and affine_backward
# optimizer.step()     # your sgd_step
# ```
#
# There is no magic behind `loss.backward()`. It keeps a cache for each forward, walks the list from
# the end, and calls functions like yours. One difference in layout: PyTorch stores the weights as
# (d_out, d_in) and multiplies by their transpose.
#
# **A last question.** Stack two affine layers, one on top of the other, with twice the weights. How
# much better will they read digits?
#
# <details><summary>Answer</summary>
#
# Not at all. $(x w_1 + b_1)\, w_2 + b_2 = x\,(w_1 w_2) + (b_1 w_2 + b_2)$ is one affine layer
# again. Something must stand between the two that is not a straight line. What that is, and why a
# bend is enough for everything, is stage 2.
#
# </details>
