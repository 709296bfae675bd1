# %% [markdown]
# # 6. Attention: every position looks at every other
#
# So far the wires of a network were fixed. A weight of an MLP connects the same two numbers for every
# input; a convolution always looks at the same neighbours. What if the right place to look depends on
# what is there?
#
# In this stage you build the layer that decides while it runs where to look. It is the heart of every
# transformer, and it is small: two matrix products with a softmax between them. You will write it,
# its way back and its kernels. Then one such layer learns a task in 300 steps that an MLP of the same
# size does not learn at all.
#
# Twelve functions and eight kernels. You need softmax (stage 1) and Adam (stage 3), which is given.

# %% tags=["setup"]
import os

# The matrix products of this stage are small: several threads would mostly wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from jaxtyping import Bool, Float, Int

import gradschool as gs

gs.start("06_attention")

# %% [markdown]
# ## 6.1 A task without a fixed place to look
#
# The task of this stage is called **associative recall**. A sequence holds pairs, a letter and a
# digit each. Then one of the letters comes again. Which digit belongs to it?
#
# `k 3 a 7 m 1 c 7 b 0 f 4 m` has the answer `1`.
#
# There are 16 letters and 8 digits, all drawn at random for every sequence. So there is nothing to
# learn by heart. The rule is all.
#
# **Question.** Count from 0: in the example the answer stands at place 5. Which weights of an MLP
# would you make large so that it reads place 5? And for the next sequence?
#
# <details><summary>Answer</summary>
#
# It is at another place each time, and the place depends on the letters. An MLP has one weight for
# "the letter m at place 5" and another for "the letter m at the end", and must learn anew for each
# letter and each place that the two belong together.
#
# </details>
#
# Here are the sequences as arrays, a loss and Adam. Nothing in the cell is new.


# %%
LETTERS, DIGITS = "abcdefghijklmnop", "01234567"
N_TOKENS = len(LETTERS) + len(DIGITS)


def recall_batch(n, n_pairs, rng):
    """Return tokens (n, 2 * n_pairs + 1) and answers (n,); letters are 0 to 15, digits 16 to 23."""
    letters = rng.permuted(np.tile(np.arange(len(LETTERS)), (n, 1)), axis=1)[:, :n_pairs]
    digits = rng.integers(len(LETTERS), N_TOKENS, (n, n_pairs))
    asked = rng.integers(n_pairs, size=n)
    tokens = np.empty((n, 2 * n_pairs + 1), np.int64)
    tokens[:, 0:-1:2], tokens[:, 1::2] = letters, digits
    tokens[:, -1] = letters[np.arange(n), asked]
    return tokens, digits[np.arange(n), asked]


def spell(tokens):
    return " ".join((LETTERS + DIGITS)[token] for token in tokens)


def one_hot(tokens):
    return np.eye(N_TOKENS, dtype=np.float32)[tokens]


def cross_entropy(logits, labels):
    """Return the mean loss in nats and its gradient."""
    exps = np.exp(logits - logits.max(axis=1, keepdims=True))
    probs = exps / exps.sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    loss = -np.log(probs[rows, labels] + 1e-30).mean()
    probs[rows, labels] -= 1
    return float(loss), probs / len(labels)


def adam_step(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """Return new parameters and the new state; an empty state starts at zero."""
    t = state.get("t", 0) + 1
    new, new_state = {}, {"t": t}
    for name, grad in grads.items():
        m = beta1 * state.get(f"m_{name}", 0) + (1 - beta1) * grad
        v = beta2 * state.get(f"v_{name}", 0) + (1 - beta2) * grad * grad
        step = lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
        new[name], new_state[f"m_{name}"], new_state[f"v_{name}"] = params[name] - step, m, v
    return new, new_state


def normal(rng, *shape):
    """Weights with variance 1 / fan-in."""
    return (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)


# %% [markdown]
# Now measure. The MLP sees the whole sequence at once, each token as a one-hot vector, 13 of them in
# a row. It trains on new sequences in every step. The small one has about 2,700 parameters, as the
# attention layer will have. The large one has eight times as many and gets five times the steps.
#
# **Question.** Someone who only knows which digits occurred, and picks one of the six, is right how
# often?
#
# <details><summary>Answer</summary>
#
# With probability 1/6 it picks the right one, and otherwise another pair has the same digit with
# probability 1/8: together 0.27.
#
# </details>

# %% tags=["demo"]
import matplotlib.pyplot as plt

BLUE, ORANGE, GREEN, INK, GREY = "#1f6fb2", "#c05e00", "#2b7a3d", "#1f2933", "#8a949e"
plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})

N_PAIRS, SEEDS = 6, (0, 1, 2)


def mlp_logits(tokens, params):
    x = one_hot(tokens).reshape(len(tokens), -1)
    hidden = np.maximum(x @ params["w0"] + params["b0"], 0)
    return x, hidden, hidden @ params["w1"] + params["b1"]


def train_mlp(width, n_steps, seed, lr=0.01):
    """Train an MLP with one hidden layer on recall; return its losses, accuracy and size."""
    rng, state, losses = np.random.default_rng(seed), {}, []
    n_inputs = (2 * N_PAIRS + 1) * N_TOKENS
    # Of the inputs of a token only one is not 0: the fan-in that counts is the number of tokens.
    params = {"w0": normal(rng, n_inputs, width) * np.float32(np.sqrt(2 * N_TOKENS)), "b0": np.zeros(width)}
    params |= {"w1": normal(rng, width, N_TOKENS), "b1": np.zeros(N_TOKENS)}
    params = {name: value.astype(np.float32) for name, value in params.items()}
    for step in range(n_steps):
        tokens, answers = recall_batch(64, N_PAIRS, rng)
        x, hidden, logits = mlp_logits(tokens, params)
        loss, dlogits = cross_entropy(logits, answers)
        dhidden = (dlogits @ params["w1"].T) * (hidden > 0)
        grads = {"w0": x.T @ dhidden, "b0": dhidden.sum(axis=0)}
        grads |= {"w1": hidden.T @ dlogits, "b1": dlogits.sum(axis=0)}
        params, state = adam_step(params, grads, state, lr * (1 - step / n_steps))
        losses.append(loss)
    tokens, answers = recall_batch(1000, N_PAIRS, np.random.default_rng(1000 + seed))
    accuracy = np.mean(mlp_logits(tokens, params)[2].argmax(axis=1) == answers)
    return losses, float(accuracy), sum(value.size for value in params.values())


tokens, answers = recall_batch(3, N_PAIRS, np.random.default_rng(0))
for row, answer in zip(tokens, answers, strict=True):
    print(f"{spell(row)}    answer {spell([answer])}")
small_mlps = [train_mlp(8, 300, seed) for seed in SEEDS]
large_mlps = [train_mlp(64, 1500, seed) for seed in SEEDS]
for name, runs in (("small", small_mlps), ("large", large_mlps)):
    reached = "  ".join(f"{accuracy:.2f}" for _, accuracy, _ in runs)
    print(f"{name} MLP, {runs[0][2]:5} parameters: {reached} right on new sequences")

# %% [markdown]
# The small one picks any digit of the sequence. And the large one? Whoever counts the digits and
# names the one that occurs most often is right in 0.36 of all cases. So that is what it has learned:
# to count. It has not learned to look something up.
#
# ## 6.2 A dictionary that can be differentiated
#
# Programs look things up all the time. `d = {"k": 3, "a": 7, "m": 1}`, and `d["m"]` is 1. A
# dictionary compares the **query** `"m"` with every **key**, and where they agree it returns the
# **value**.
#
# A network cannot learn with that. "Agrees" is yes or no, and yes or no has no gradient. So soften
# it, in three steps:
#
# 1. Queries and keys are vectors. *How well* they agree is a number, their dot product: the
#    **score**.
# 2. A softmax over all keys turns scores into **weights**: positive, and their sum is 1.
# 3. What comes back is not one value but the mean of all values with those weights.
#
# ![A query is compared with every key; softmax makes weights of the scores; the weights mix the values](figures/attention.svg)
#
# If one score is far above the others, its weight is nearly 1, and the soft dictionary returns nearly
# what the hard one would. If scores are equal, it returns the mean of everything. And every step has
# a gradient.
#
# That is all that Q, K and V are. $Q$ holds one query per row, what a position is looking for. $K$
# holds one key per row, what a position can be found by. $V$ holds one value per row, what it says
# when it is found. With all dot products in one matrix product:
#
# $$\text{attn} = \text{softmax}\left(\frac{Q K^\top}{\sqrt{d}}\right) \qquad \text{out} = \text{attn}\; V$$
#
# The rows of attn belong to queries, the columns to keys. Where do "queries" and "keys" come from? A
# learned matrix each makes them of whatever stands at a position. That comes in 6.6; until then they
# simply are given.
#
# ## 6.3 Why divide by the root of d?
#
# $d$ is the length of a query and of a key. Why does the formula divide by $\sqrt d$ and not by $d$,
# and why divide at all?
#
# **Question.** The entries of q and k are independent, with mean 0 and variance 1. What is the
# variance of $q \cdot k = \sum_e q_e k_e$?
#
# <details><summary>Answer</summary>
#
# Each product has variance 1, and independent variances add: $d$. So scores have a standard deviation
# of $\sqrt d$: 1.4 for two entries, 32 for 1024. Divided by $\sqrt d$ they have 1, whatever d is.
#
# </details>
#
# The next cell measures three things for growing d: the variance of the scores, how spread the
# weights over 64 keys are, and how much gradient gets through the softmax. For the spread take the
# **entropy**, $-\sum p \ln p$. It is $\ln 64 = 4.16$ when all keys weigh the same and 0 when one has
# everything.
#
# **Question.** What do the entropy and the gradient do as d grows, without the division? Does the
# gradient fall from the start?


# %% tags=["demo"]
def spread_of_weights(d, scale, rng, n=200, n_keys=64):
    """Return the variance of the scores, the entropy of the weights, the size of the scores' gradient."""
    q, k = rng.standard_normal((n, 1, d)), rng.standard_normal((n, n_keys, d))
    scores = scale * (k * q).sum(axis=-1)
    attn = np.exp(scores - scores.max(axis=1, keepdims=True))
    attn /= attn.sum(axis=1, keepdims=True)
    entropy = -(attn * np.log(attn + 1e-300)).sum(axis=1).mean()
    dattn = rng.standard_normal(attn.shape)
    dscores = attn * (dattn - (attn * dattn).sum(axis=1, keepdims=True))
    return scores.var(), entropy, np.median(np.linalg.norm(dscores, axis=1))


WIDTHS = (1, 4, 16, 64, 256, 1024)
raw = np.array([spread_of_weights(d, 1.0, np.random.default_rng(0)) for d in WIDTHS])
scaled = np.array([spread_of_weights(d, d**-0.5, np.random.default_rng(0)) for d in WIDTHS])
print("   d   variance of scores       entropy [nats]          gradient")
print("            raw    / sqrt(d)       raw    / sqrt(d)      raw    / sqrt(d)")
for d, a, b in zip(WIDTHS, raw, scaled, strict=True):
    print(f"{d:4}   {a[0]:9.1f}   {b[0]:6.2f}    {a[1]:9.2f}   {b[1]:6.2f}    {a[2]:10.1e}   {b[2]:.1e}")

fig, axes = plt.subplots(1, 3, figsize=(12, 3.6))
titles = ("Variance of the scores", "Entropy of the weights [nats]", "Size of the scores' gradient")
for place, (ax, title) in enumerate(zip(axes, titles, strict=True)):
    ax.loglog(WIDTHS, raw[:, place], "o-", color=ORANGE)
    ax.loglog(WIDTHS, scaled[:, place], "o-", color=BLUE)
    ax.set(title=title, xlabel="d", xlim=(0.8, 20000), xticks=(1, 10, 100, 1000))
    ax.annotate("  as it is", (1024, raw[-1, place]), color=ORANGE, va="center")
    ax.annotate("  divided", (1024, scaled[-1, place]), color=BLUE, va="center")
axes[1].set(yscale="linear", ylim=(-0.25, 4.4))
fig.tight_layout()

# %% [markdown]
# Without the division, wide vectors make a hard choice: the entropy falls towards 0, one key gets all
# the weight. It is a choice between vectors that are *random* so far. And it is hard to take back: up
# to d = 16 the gradient even grows a little, but at 1024 it is 3,000 times smaller. It has vanished
# along with the other weights. With the division a fresh layer looks at everything a little, and the
# gradient tells it where to look more.
#
# And dividing by $d$? Then the scores of wide vectors would all be close to 0, and a layer would have
# to grow large weights before it could choose anything.
#
# **Your turn.** All scores at once. "Leading axes" are whatever comes before the last two: none, a
# batch, or batch and heads in the next stage. `@` treats them as a stack of matrices.


# %%
def attention_scores(
    q: Float[np.ndarray, "*batch n_queries d_head"], k: Float[np.ndarray, "*batch n_keys d_head"]
) -> Float[np.ndarray, "*batch n_queries n_keys"]:
    """Compare every query with every key.

    scores[..., i, j] = sum_e q[..., i, e] * k[..., j, e] / sqrt(d_head)

    Args:
        q: One query per row.
        k: One key per row.

    Returns:
        One score per pair, queries along rows, keys along columns; dtype of `q`.

    Raises:
        ValueError: q or k has fewer than two axes; their leading axes or their d_head differ; d_head is 0.

    Source:
        Vaswani et al. 2017, "Attention Is All You Need", section 3.2.1.
    """
    ### BEGIN SOLUTION
    if q.ndim < 2 or k.ndim < 2:
        raise ValueError(f"q {q.shape} and k {k.shape} need two axes at least: positions and d_head.")
    if q.shape[:-2] != k.shape[:-2] or q.shape[-1] != k.shape[-1]:
        raise ValueError(f"q {q.shape} and k {k.shape} must agree in all axes but the number of rows.")
    d_head = q.shape[-1]
    if d_head == 0:
        raise ValueError(f"q has shape {q.shape}: vectors without entries cannot be compared.")
    return q @ np.swapaxes(k, -1, -2) * d_head**-0.5
    ### END SOLUTION


# %% tags=["check"]
gs.check("attention_scores")

# %% [markdown]
# ### The kernel `attention_scores.wgsl`
#
# A matrix product again, once for each item of the batch. The grid has three axes now: keys along x,
# queries along y, items along z. The second factor is not transposed in memory; it need not be. Row j
# of k lies in one piece, and that is the row you need.
#
# **Question.** Where does the query `i` of item `b` start in memory?
#
# <details><summary>Answer</summary>
#
# Before it lie `b` items of `n_queries` rows and then `i` rows, each of `d_head` numbers:
# `(b * n_queries + i) * d_head`.
#
# </details>

# %% tags=["demo"]
gs.show_kernel("attention_scores.wgsl")

# %% tags=["check"]
gs.check("attention_scores.wgsl")

# %% [markdown]
# ## 6.4 Where the probabilities come from
#
# A row of attn is positive and sums to 1. People call it a probability, and nothing in the layer is
# random. Why a softmax then?
#
# We need weights for a mean: positive, with sum 1. We need the largest score to win. And we need a
# gradient everywhere. Softmax is the plainest function that does all three, and only *differences* of
# scores count in it: a difference of 1 makes a key 2.7 times as heavy as another. So each row is a
# bet on where the answer is: "0.9 on place 5, 0.1 on the rest". It was never told to be one. It comes
# out that way because the mean of the values is the better, the more weight lies on the right place.
#
# ### Masks
#
# Some keys must not be looked at. There are two reasons.
#
# ![A causal mask is a triangle; a padding mask cuts off the columns past each sequence's end](figures/masks.svg)
#
# - **Causal.** A language model predicts the next word. If it could look at the next word, it would
#   learn to copy. So position i sees positions 0 to i, itself included.
# - **Padding.** Sequences of a batch have different lengths, and an array is a rectangle. The short
#   ones are filled up, and nobody may look at the filling.
#
# A mask is boolean, with `True` for "may attend". Masks broadcast like any array: `(seq, seq)` serves
# a whole batch, and `(batch, 1, seq)` forbids the same keys to all queries. Two masks are combined by
# `&`.
#
# **Question.** Why `(batch, 1, seq)` for padding, and not `(batch, seq, 1)`?
#
# <details><summary>Answer</summary>
#
# The last axis of the scores runs over keys. It is keys that must not be seen. What a query at a
# filled place gets does not matter: nobody reads it.
#
# </details>


# %%
def causal_mask(seq: int) -> Bool[np.ndarray, "seq seq"]:
    """Let each position attend to itself and to what comes before it.

    mask[i, j] = (j <= i)

    Args:
        seq: Number of positions.

    Returns:
        True where query i may attend to key j.

    Raises:
        ValueError: `seq` is less than 1.

    Source:
        Vaswani et al. 2017, "Attention Is All You Need", section 3.2.3.
    """
    ### BEGIN SOLUTION
    if seq < 1:
        raise ValueError(f"seq is {seq}; a sequence has at least one position.")
    return np.tril(np.ones((seq, seq), dtype=bool))
    ### END SOLUTION


# %% tags=["check"]
gs.check("causal_mask")


# %%
def padding_mask(lengths: Int[np.ndarray, "*batch"], seq: int) -> Bool[np.ndarray, "*batch 1 seq"]:
    """Let every query attend to the first `length` keys of its sequence.

    mask[..., 0, j] = (j < lengths[...])

    Args:
        lengths: Number of real positions of each sequence, 0 to `seq`.
        seq: Number of positions with the filling.

    Returns:
        One row per sequence, for all of its queries.

    Raises:
        ValueError: `lengths` is not of integers, or one lies outside 0 to `seq`.

    Source:
        The masks of `torch.nn.MultiheadAttention` (there True forbids; here True allows).
    """
    ### BEGIN SOLUTION
    if lengths.dtype.kind not in "iu":
        raise ValueError(f"lengths are {lengths.dtype}; they must be integers.")
    if np.any(lengths < 0) or np.any(lengths > seq):
        raise ValueError(f"lengths {lengths} must lie between 0 and {seq}, the length of the sequence.")
    return np.arange(seq) < lengths[..., None, None]
    ### END SOLUTION


# %% tags=["check"]
gs.check("padding_mask")

# %% [markdown]
# ### How to forbid
#
# **Question.** Three ideas to mask a softmax. (a) Compute the softmax, then set the forbidden weights
# to 0. (b) Set forbidden scores to 0, then softmax. (c) Set forbidden scores to -10,000, then
# softmax. What is wrong with each?
#
# <details><summary>Answer</summary>
#
# (a) The row no longer sums to 1: the forbidden keys still took their share. (b) A score of 0 is not
# small; $e^0 = 1$ is as much as an average key gets. (c) It works until real scores are near
# -100,000, and then the forbidden key has the *largest* score of all. Nothing finite is low enough
# for every row.
#
# </details>
#
# What works is to leave the forbidden keys out: of the maximum, of the sum, of the result. In NumPy,
# $-\infty$ does all three, since `np.exp(-np.inf)` is exactly 0.
#
# One case is left. A row may have *nothing* allowed: a sequence of length 0, for example. The sum is
# 0 then, and 0 / 0 is NaN, and one NaN in a batch ruins every weight of the net. We say: such a row
# gets zeros. It found nothing, so it brings nothing.


# %%
def masked_softmax_forward(
    scores: Float[np.ndarray, "*batch n_queries n_keys"],
    mask: Bool[np.ndarray, "..."] | None = None,
) -> tuple[Float[np.ndarray, "*batch n_queries n_keys"], object]:
    """Softmax over the allowed keys of each row.

    attn[..., j] = exp(scores[..., j] - top) / sum over allowed j' of exp(scores[..., j'] - top)
    where j is allowed, and 0 where not; top is the row's largest allowed score.

    Args:
        scores: Any finite numbers, at forbidden places too.
        mask: True = may attend; broadcasts to `scores`. None allows everything.

    Returns:
        attn: Each row sums to 1; a row with nothing allowed is all 0. Shape and dtype of `scores`.
        cache: What `masked_softmax_backward` needs.

    Raises:
        ValueError: There are no keys; the mask is not boolean, or does not broadcast to the shape of `scores`.

    Source:
        Vaswani et al. 2017, "Attention Is All You Need", sections 3.2.1 and 3.2.3.
    """
    ### BEGIN SOLUTION
    visible = scores
    if mask is not None:
        if mask.dtype != bool:
            raise ValueError(f"The mask is {mask.dtype}; it must be boolean, True = may attend.")
        try:
            allowed = np.broadcast_to(mask, scores.shape)
        except ValueError:
            raise ValueError(f"A mask of shape {mask.shape} does not fit scores {scores.shape}.") from None
        visible = np.where(allowed, scores, -np.inf)
    top = visible.max(axis=-1, keepdims=True)  # no keys, no maximum: NumPy raises ValueError
    top = np.where(np.isneginf(top), 0, top)  # nothing allowed: -inf - (-inf) would be NaN
    exps = np.exp(visible - top)
    sums = exps.sum(axis=-1, keepdims=True)
    attn = exps / np.where(sums > 0, sums, 1)
    return attn, attn
    ### END SOLUTION


# %% tags=["check"]
gs.check("masked_softmax_forward")

# %% [markdown]
# ### The way back
#
# It is the softmax of stage 1: $ds_j = p_j (dp_j - \sum_k p_k\, dp_k)$.
#
# **Question.** Where in this formula does the mask go?
#
# <details><summary>Answer</summary>
#
# Nowhere. A forbidden key has $p_j = 0$, so it gets no gradient and adds nothing to the sum. A row
# with nothing allowed has only zeros, so all its gradients are 0.
#
# </details>


# %%
def masked_softmax_backward(
    dattn: Float[np.ndarray, "*batch n_queries n_keys"], cache: object
) -> Float[np.ndarray, "*batch n_queries n_keys"]:
    """Return the gradient of the scores.

    dscores[..., j] = attn[..., j] * (dattn[..., j] - sum_k attn[..., k] * dattn[..., k])

    Args:
        dattn: Gradient of the loss with respect to `attn`.
        cache: From `masked_softmax_forward`.

    Returns:
        Shape of the scores; 0 where it was forbidden to look.

    Raises:
        ValueError: `dattn` does not have the shape of `attn`.

    Source:
        Bridle 1990, "Probabilistic Interpretation of Feedforward Classification Network Outputs".
    """
    ### BEGIN SOLUTION
    attn = cache
    if dattn.shape != attn.shape:
        raise ValueError(f"dattn has shape {dattn.shape}; attn has {attn.shape}.")
    return attn * (dattn - (dattn * attn).sum(axis=-1, keepdims=True))
    ### END SOLUTION


# %% tags=["check"]
gs.check("masked_softmax_backward")

# %% [markdown]
# ### The kernels `masked_softmax_forward.wgsl` and `masked_softmax_backward.wgsl`
#
# One workgroup per row, as in stage 1, on a grid of queries by items. WGSL has no good $-\infty$: a
# compiler may assume that infinities do not happen. So test the mask and leave the key out, three
# times. The maximum starts at the lowest number there is, and nobody minds, for the sum says whether
# any key was allowed.
#
# The mask holds `u32`, because a buffer of `bool` does not exist. There may be fewer masks than
# items: item b uses mask `b / (n_batch / n_masks)`. In the next stage each sequence has several
# heads, and they share a mask.
#
# The backward reads attn and needs no mask.

# %% tags=["demo"]
gs.show_kernel("masked_softmax_forward.wgsl")

# %% tags=["check"]
gs.check("masked_softmax_forward.wgsl")

# %% tags=["demo"]
gs.show_kernel("masked_softmax_backward.wgsl")

# %% tags=["check"]
gs.check("masked_softmax_backward.wgsl")

# %% [markdown]
# ## 6.5 The whole layer
#
# Scores, softmax, weighted mean. You have two of three. Queries and keys may differ in number (a
# translator's 5 new words look at 7 old ones), and values may be longer or shorter than keys. There
# is one value for each key.
#
# Keep the weights in the cache under `"attn"`, so that they can be looked at later.


# %%
def attention_forward(
    q: Float[np.ndarray, "*batch n_queries d_head"],
    k: Float[np.ndarray, "*batch n_keys d_head"],
    v: Float[np.ndarray, "*batch n_keys d_v"],
    mask: Bool[np.ndarray, "..."] | None = None,
) -> tuple[Float[np.ndarray, "*batch n_queries d_v"], dict]:
    """Look up each query among the keys and return a mean of their values.

    attn = masked softmax of attention_scores(q, k)
    out = attn @ v

    Args:
        q: One query per row.
        k: One key per row.
        v: One value per key.
        mask: True = may attend; broadcasts to (*batch, n_queries, n_keys). None allows everything.

    Returns:
        out: One row per query. A query that may attend to nothing gets zeros.
        cache: A dict for `attention_backward`; `cache["attn"]` holds the weights.

    Raises:
        ValueError: q and k do not fit (see `attention_scores`), there is not one value for each key, or
            the mask does not fit (see `masked_softmax_forward`).

    Source:
        Vaswani et al. 2017, "Attention Is All You Need", eq. 1.
    """
    ### BEGIN SOLUTION
    if v.shape[:-1] != k.shape[:-1]:
        raise ValueError(f"v has shape {v.shape}, k has {k.shape}; each key needs one value.")
    attn, softmax_cache = masked_softmax_forward(attention_scores(q, k), mask)
    return attn @ v, {"attn": attn, "softmax": softmax_cache, "q": q, "k": k, "v": v}
    ### END SOLUTION


# %% tags=["check"]
gs.check("attention_forward")

# %% [markdown]
# ### The way back, in five products
#
# There are two matrix products in the forward, so there are four in the backward: each product has
# two factors. The softmax sits between them.
#
# $$d\text{attn} = d\text{out}\, V^\top \qquad dV = \text{attn}^\top d\text{out} \qquad
#   d\text{scores} = \text{softmax\_backward}(d\text{attn})$$
#
# $$dQ = d\text{scores}\; K / \sqrt d \qquad dK = d\text{scores}^\top Q / \sqrt d$$
#
# **Question.** Why is dK made with the *transposed* dscores?
#
# <details><summary>Answer</summary>
#
# Row j of dK belongs to key j. Every query that was compared with it adds to its gradient, and these
# are in *column* j of dscores. With as many queries as keys, the wrong one has the right shape and
# nobody complains. With 5 queries and 7 keys NumPy does.
#
# </details>


# %%
def attention_backward(
    dout: Float[np.ndarray, "*batch n_queries d_v"], cache: dict
) -> tuple[
    Float[np.ndarray, "*batch n_queries d_head"],
    Float[np.ndarray, "*batch n_keys d_head"],
    Float[np.ndarray, "*batch n_keys d_v"],
]:
    """Return the gradients of q, k and v.

    dattn = dout @ vT, dv = attnT @ dout, dscores from the softmax's backward,
    dq = dscores @ k / sqrt(d_head), dk = dscoresT @ q / sqrt(d_head)

    Args:
        dout: Gradient of the loss with respect to `out`.
        cache: From `attention_forward`.

    Returns:
        dq: Shape of `q`; 0 for a query that may attend to nothing.
        dk: Shape of `k`; 0 for a key that no query may attend to.
        dv: Shape of `v`; likewise.

    Raises:
        ValueError: `dout` does not have the shape of `out`.

    Source:
        Rumelhart et al. 1986, "Learning representations by back-propagating errors", eq. 4 to 7.
    """
    ### BEGIN SOLUTION
    q, k, v, attn = cache["q"], cache["k"], cache["v"], cache["attn"]
    if dout.shape != (*q.shape[:-1], v.shape[-1]):
        raise ValueError(f"dout has shape {dout.shape}; out has {(*q.shape[:-1], v.shape[-1])}.")
    dattn = dout @ np.swapaxes(v, -1, -2)
    dv = np.swapaxes(attn, -1, -2) @ dout
    dscores = masked_softmax_backward(dattn, cache["softmax"]) * q.shape[-1] ** -0.5
    dq = dscores @ k
    dk = np.swapaxes(dscores, -1, -2) @ q
    return dq, dk, dv
    ### END SOLUTION


# %% tags=["check"]
gs.check("attention_backward")

# %% [markdown]
# ### Five kernels
#
# One for each product. They look alike, and that is the point: only the strides differ. Two of them
# walk down a column of their first factor (`attention_backward_k` and `attention_backward_v`), and
# there a step is `n_keys` numbers long.
#
# Write down for each: which axis is summed over? How far apart in memory are two terms of the sum?

# %% tags=["demo"]
gs.show_kernel("attention_output.wgsl")

# %% tags=["check"]
gs.check("attention_output.wgsl")

# %% tags=["demo"]
gs.show_kernel("attention_backward_attn.wgsl")

# %% tags=["check"]
gs.check("attention_backward_attn.wgsl")

# %% tags=["demo"]
gs.show_kernel("attention_backward_q.wgsl")

# %% tags=["check"]
gs.check("attention_backward_q.wgsl")

# %% tags=["demo"]
gs.show_kernel("attention_backward_k.wgsl")

# %% tags=["check"]
gs.check("attention_backward_k.wgsl")

# %% tags=["demo"]
gs.show_kernel("attention_backward_v.wgsl")

# %% tags=["check"]
gs.check("attention_backward_v.wgsl")

# %% [markdown]
# ## 6.6 Self-attention
#
# Where do queries, keys and values come from? In **self-attention** all three are made of the same x:
#
# $$Q = x W_Q \qquad K = x W_K \qquad V = x W_V \qquad \text{out} = \text{attention}(Q, K, V)\, W_O$$
#
# Each position asks, and each position can be found. The four matrices are all that is learned. The
# scores are not weights: they are computed anew for every input. **The wires depend on the data.**
#
# **Question.** Why two matrices $W_Q$ and $W_K$? What could the layer not do with $Q = K = x$?
#
# <details><summary>Answer</summary>
#
# With $Q = K$ the scores are symmetric, and most positions find themselves best. But a letter should
# find the *digit after its twin*, and a verb should find its subject, which is looked for by other
# features than its own. Asking and being found are two roles.
#
# </details>


# %%
def self_attention_forward(
    x: Float[np.ndarray, "*batch seq d_model"],
    params: dict,
    mask: Bool[np.ndarray, "..."] | None = None,
) -> tuple[Float[np.ndarray, "*batch seq d_out"], dict]:
    """Let each position of x look at all positions of x.

    out = attention(x @ wq, x @ wk, x @ wv, mask) @ wo

    Args:
        x: One row per position.
        params: wq (d_model, d_head), wk (d_model, d_head), wv (d_model, d_v), wo (d_v, d_out). Often all
            four sizes are equal.
        mask: True = may attend; broadcasts to (*batch, seq, seq). None allows everything.

    Returns:
        out: One row per position.
        cache: A dict for `self_attention_backward`; `cache["attn"]` holds the weights.

    Raises:
        ValueError: x has fewer than two axes, or a matrix does not fit x or another matrix.

    Source:
        Vaswani et al. 2017, "Attention Is All You Need", section 3.2.2, with one head.
    """
    ### BEGIN SOLUTION
    if x.ndim < 2:
        raise ValueError(f"x has shape {x.shape}; it needs positions and d_model.")
    for name in ("wq", "wk", "wv"):
        if params[name].shape[0] != x.shape[-1]:
            raise ValueError(f"{name} has shape {params[name].shape}; x has {x.shape[-1]} columns.")
    if params["wq"].shape[1] != params["wk"].shape[1]:
        raise ValueError(f"wq {params['wq'].shape} and wk {params['wk'].shape} make vectors of two lengths.")
    if params["wv"].shape[1] != params["wo"].shape[0]:
        raise ValueError(f"wv {params['wv'].shape} and wo {params['wo'].shape} do not fit each other.")

    q, k, v = x @ params["wq"], x @ params["wk"], x @ params["wv"]
    found, attention_cache = attention_forward(q, k, v, mask)
    out = found @ params["wo"]
    attn = attention_cache["attn"]
    return out, {"attn": attn, "attention": attention_cache, "x": x, "found": found, "params": params}
    ### END SOLUTION


# %% tags=["check"]
gs.check("self_attention_forward")

# %% [markdown]
# On the way back x collects three gradients, since it went into three products. For the gradient of a
# matrix, forget the batch: put all positions of all sequences under one another, and it is the affine
# layer of stage 1.


# %%
def self_attention_backward(
    dout: Float[np.ndarray, "*batch seq d_out"], cache: dict
) -> tuple[Float[np.ndarray, "*batch seq d_model"], dict]:
    """Return the gradients of x and of the four matrices.

    Args:
        dout: Gradient of the loss with respect to `out`.
        cache: From `self_attention_forward`.

    Returns:
        dx: Shape of `x`.
        grads: wq, wk, wv and wo, each of the shape of its matrix, summed over all positions.

    Raises:
        ValueError: `dout` does not have the shape of `out`.

    Source:
        Rumelhart et al. 1986, "Learning representations by back-propagating errors", eq. 4 to 7.
    """
    ### BEGIN SOLUTION
    x, found, params = cache["x"], cache["found"], cache["params"]
    if dout.shape != (*x.shape[:-1], params["wo"].shape[1]):
        raise ValueError(f"dout has shape {dout.shape}; out has {(*x.shape[:-1], params['wo'].shape[1])}.")

    def matrix_gradient(inputs, dproduct):
        return inputs.reshape(-1, inputs.shape[-1]).T @ dproduct.reshape(-1, dproduct.shape[-1])

    dfound = dout @ params["wo"].T
    dq, dk, dv = attention_backward(dfound, cache["attention"])
    grads = {
        "wq": matrix_gradient(x, dq),
        "wk": matrix_gradient(x, dk),
        "wv": matrix_gradient(x, dv),
        "wo": matrix_gradient(found, dout),
    }
    dx = dq @ params["wq"].T + dk @ params["wk"].T + dv @ params["wv"].T
    return dx, grads
    ### END SOLUTION


# %% tags=["check"]
gs.check("self_attention_backward")

# %% [markdown]
# ## 6.7 Attention does not know what comes first
#
# **Question.** Take a sentence and shuffle its words. What does a self-attention layer make of it?
#
# <details><summary>Answer</summary>
#
# The same rows, shuffled in the same way. A mean does not care about the order of its terms, and no
# formula in the layer mentions i or j except as "which row". "Dog bites man" and "man bites dog" are
# the same to it.
#
# </details>
#
# A function is **permutation equivariant** if shuffling its input shuffles its output likewise, and
# does nothing else: $f(Px) = P f(x)$ for every permutation $P$ of the positions. That can be tested.
# Shuffle before, shuffle after, compare, for several random shuffles. The comparison is up to
# rounding, because sums in another order round otherwise.
#
# `f` is a function, as in stage 5: it returns one array, or `out, cache`. Three functions to try it
# on are given.


# %%
def distance_from_mean(x):
    """What is left of each row when the mean of all rows is taken away."""
    return x - x.mean(axis=-2, keepdims=True)


def shifted_on(x):
    """Each row moves one place on; the last comes to the front."""
    return np.roll(x, 1, axis=-2)


def features_backwards(x):
    """Each row is read from its end."""
    return x[..., ::-1]


# %%
def is_permutation_equivariant(f, x: Float[np.ndarray, "*batch seq d"], rng: np.random.Generator) -> bool:
    """Test whether shuffling the positions of x shuffles the rows of f(x) in the same way.

    f(x[..., order, :]) == f(x)[..., order, :] for some random orders of the positions.

    Args:
        f: A function of x. It returns an array with one row per position, or a tuple that begins with one.
        x: One row per position, on the axis before the last.
        rng: Where the orders come from. Try several, and do not count an order that changes nothing.

    Returns:
        False if one order makes a difference that is more than rounding, measured against the largest entry
        of f(x). True otherwise.

    Raises:
        ValueError: x has fewer than two axes or fewer than two positions, or f(x) does not have one row per
            position: all axes but the last must be those of x.

    Source:
        Zaheer et al. 2017, "Deep Sets", section 2.
    """

    ### BEGIN SOLUTION
    def rows(x):
        out = f(x)
        return out[0] if isinstance(out, tuple) else out

    if x.ndim < 2 or x.shape[-2] < 2:
        raise ValueError(f"x has shape {x.shape}; it takes two positions to swap them.")
    out = rows(x)
    if out.shape[:-1] != x.shape[:-1]:
        raise ValueError(f"f makes {out.shape} of {x.shape}; it must give one row per position.")
    rounding = np.finfo(x.dtype).eps ** 0.6 * np.abs(out).max()
    seq, n_tried = x.shape[-2], 0
    while n_tried < 8:
        order = rng.permutation(seq)
        if np.array_equal(order, np.arange(seq)):
            continue
        n_tried += 1
        difference = rows(x[..., order, :]) - out[..., order, :]
        if np.abs(difference).max() > rounding:
            return False
    return True
    ### END SOLUTION


# %% tags=["check"]
gs.check("is_permutation_equivariant")

# %% [markdown]
# **Question.** Which of these six are equivariant: the distance from the mean; a shift by one place;
# every row read backwards; self-attention; self-attention with a causal mask; self-attention after
# another vector was added at each position?

# %% tags=["demo"]
rng = np.random.default_rng(6)
words = rng.standard_normal((4, 9, 8))
some = {name: rng.standard_normal((8, 8)) / np.sqrt(8) for name in ("wq", "wk", "wv", "wo")}
places = rng.standard_normal((9, 8))
candidates = {
    "distance from the mean": distance_from_mean,
    "shift by one place": shifted_on,
    "every row backwards": features_backwards,
    "self-attention": lambda x: self_attention_forward(x, some),
    "with a causal mask": lambda x: self_attention_forward(x, some, causal_mask(9)),
    "with positions added": lambda x: self_attention_forward(x + places, some),
}
equivariant = {name: is_permutation_equivariant(f, words, rng) for name, f in candidates.items()}
for name, verdict in equivariant.items():
    print(f"{name:22}  {'equivariant' if verdict else 'the order counts'}")

# %% [markdown]
# So whoever wants order must put it **into the data**: add to each row a vector that says where it
# stands. How to choose that vector is a subject of the next stage. A causal mask brings a little
# order by itself, since the third position sees three rows and the ninth sees nine.
#
# ## 6.8 Attention over pixels
#
# Nothing in the layer says that positions are words. In 2018 Xiaolong Wang and others put it into
# networks for images and called it a **non-local block**: every pixel looks at every pixel. A
# convolution needs many layers until two far corners meet. Here they meet in one.
#
# The idea is older. To clean a noisy picture, replace each pixel by a mean of the pixels whose
# *surroundings* look like its own, wherever they are. Antoni Buades did that in 2005, and called it
# non-local means. It is attention, with the surroundings as query and key and the grey value as
# value. Nothing needs to be learned for it:

# %% tags=["demo"]
pixels, _ = gs.load_digits()
digit = np.kron(pixels[0].reshape(8, 8), np.ones((3, 3)))
noisy = digit + 0.25 * np.random.default_rng(1).standard_normal(digit.shape)
padded = np.pad(noisy, 1, mode="reflect")
around = np.stack([padded[i : i + 24, j : j + 24].ravel() for i, j in np.ndindex(3, 3)], axis=1)
# -|a - b|^2 / 2 = a . b - |a|^2 / 2 - |b|^2 / 2. The middle term is the same for all keys, and softmax ignores it;
# the last one becomes an entry of the key, beside a 1 in the query.
sharpness = 4.0
key_size = -0.5 * (around**2).sum(axis=1, keepdims=True)
queries = np.concatenate([around, np.ones((576, 1))], axis=1) * sharpness * np.sqrt(10)
keys = np.concatenate([around, key_size], axis=1)
cleaned, clean_cache = attention_forward(queries, keys, noisy.reshape(-1, 1))
noise_before = float(np.sqrt(np.mean((noisy - digit) ** 2)))
noise_after = float(np.sqrt(np.mean((cleaned.reshape(24, 24) - digit) ** 2)))

pixel = (10, 7)
fig, axes = plt.subplots(1, 4, figsize=(11, 3))
for ax, picture, title in zip(
    axes,
    (digit, noisy, clean_cache["attn"][pixel[0] * 24 + pixel[1]].reshape(24, 24), cleaned.reshape(24, 24)),
    ("the picture", "with noise", "where one pixel looks", "after one attention"),
    strict=True,
):
    ax.imshow(picture, cmap="Greys" if title != "where one pixel looks" else "Blues")
    ax.set_title(title)
    ax.axis("off")
axes[2].plot(pixel[1], pixel[0], "s", markersize=13, markerfacecolor="none", color=ORANGE, markeredgewidth=2)
fig.tight_layout()
print(f"error before {noise_before:.3f}, after {noise_after:.3f}")

# %% [markdown]
# The block of Wang lets the net learn what to compare. Three 1 by 1 convolutions (a matrix for the
# channels of each pixel) make queries $\theta$, keys $\phi$ and values $g$. A fourth brings the
# result back to the channels of x, and x itself is added, as in stage 5:
#
# $$y = \text{softmax}(\theta\, \phi^\top)\, g \qquad \text{out} = x + y\, W_\text{out}$$
#
# Two things to mind. Pixels are positions, so `(n, c, h, w)` must become `(n, h * w, c)`: swap axes,
# do not only reshape. And the paper does **not** divide by $\sqrt d$. Your `attention_forward` does,
# so multiply $\theta$ by $\sqrt d$ first.


# %%
def non_local_block_forward(
    x: Float[np.ndarray, "n c_in h w"], params: dict
) -> tuple[Float[np.ndarray, "n c_in h w"], dict]:
    """Let each pixel look at all pixels of its picture, and add what it finds.

    With one row per pixel, rows along h, then w:
    theta = rows @ w_theta, phi = rows @ w_phi, g = rows @ w_g
    out = x + softmax(theta @ phiT) @ g @ w_out, without a division by sqrt(d)

    Args:
        x: Feature maps.
        params: w_theta (c_in, d), w_phi (c_in, d), w_g (c_in, d), w_out (d, c_in).

    Returns:
        out: Shape of `x`.
        cache: A dict for `non_local_block_backward`; `cache["attn"]` (n, h * w, h * w) holds the weights.

    Raises:
        ValueError: x does not have four axes, or not the channels that w_theta needs.

    Source:
        Wang et al. 2018, "Non-local Neural Networks", eq. 1, 4 and 6 (embedded Gaussian).
    """
    ### BEGIN SOLUTION
    if x.ndim != 4 or x.shape[1] != params["w_theta"].shape[0]:
        raise ValueError(f"x has shape {x.shape}; w_theta {params['w_theta'].shape} does not fit.")
    rows = x.reshape(*x.shape[:2], -1).swapaxes(1, 2)
    theta, phi, g = rows @ params["w_theta"], rows @ params["w_phi"], rows @ params["w_g"]
    y, attention_cache = attention_forward(theta * theta.shape[-1] ** 0.5, phi, g)
    out = x + (y @ params["w_out"]).swapaxes(1, 2).reshape(x.shape)
    cache = {"attn": attention_cache["attn"], "attention": attention_cache}
    return out, cache | {"shape": x.shape, "rows": rows, "y": y, "params": params}
    ### END SOLUTION


# %% tags=["check"]
gs.check("non_local_block_forward")


# %%
def non_local_block_backward(
    dout: Float[np.ndarray, "n c_in h w"], cache: dict
) -> tuple[Float[np.ndarray, "n c_in h w"], dict]:
    """Return the gradients of x and of the four matrices.

    Args:
        dout: Gradient of the loss with respect to `out`.
        cache: From `non_local_block_forward`.

    Returns:
        dx: Shape of `x`, through the attention and past it.
        grads: w_theta, w_phi, w_g and w_out, each of the shape of its matrix.

    Raises:
        ValueError: `dout` does not have the shape of `out`.

    Source:
        Wang et al. 2018, "Non-local Neural Networks", eq. 6, and backpropagation.
    """
    ### BEGIN SOLUTION
    rows, y, params = cache["rows"], cache["y"], cache["params"]
    if dout.shape != cache["shape"]:
        raise ValueError(f"dout has shape {dout.shape}; out has {cache['shape']}.")

    def matrix_gradient(inputs, dproduct):
        return np.einsum("npi,npj->ij", inputs, dproduct)

    dproduct = dout.reshape(*dout.shape[:2], -1).swapaxes(1, 2)
    dtheta, dphi, dg = attention_backward(dproduct @ params["w_out"].T, cache["attention"])
    dtheta = dtheta * params["w_theta"].shape[1] ** 0.5
    grads = {
        "w_theta": matrix_gradient(rows, dtheta),
        "w_phi": matrix_gradient(rows, dphi),
        "w_g": matrix_gradient(rows, dg),
        "w_out": matrix_gradient(y, dproduct),
    }
    drows = dtheta @ params["w_theta"].T + dphi @ params["w_phi"].T + dg @ params["w_g"].T
    return dout + drows.swapaxes(1, 2).reshape(dout.shape), grads
    ### END SOLUTION


# %% tags=["check"]
gs.check("non_local_block_backward")

# %% [markdown]
# ## 6.9 The run: recall
#
# Back to the letters and digits. One self-attention layer with a causal mask; the output at the last
# place is the logits, one for each of the 24 tokens. `wo` maps straight to them.
#
# A row of x holds the one-hot vector of the token *and that of the token before it*. The layer does
# not know the order (6.7), and "the digit after the letter m" is a statement about order. So each
# position is told its left neighbour. That is the vector that says where a row stands, for this task.
#
# **Question.** How can one layer solve it now? What should $W_Q$, $W_K$ and $W_V$ pick out of a row?
#
# <details><summary>Answer</summary>
#
# The last place asks with its own letter: $W_Q$ picks the token. A digit is found by the letter
# before it: $W_K$ picks the left neighbour. What it says is itself: $W_V$ picks the token. Such a
# head is called an *induction head*, and large language models are full of them.
#
# </details>


# %% tags=["demo"]
def recall_rows(tokens, with_neighbour=True):
    """One row per position: the token, and the token to its left (zeros without neighbour)."""
    x = one_hot(tokens)
    left = np.zeros_like(x)
    if with_neighbour:
        left[:, 1:] = x[:, :-1]
    return np.concatenate([x, left], axis=-1)


def recall_init(rng, d_head=16):
    params = {name: normal(rng, 2 * N_TOKENS, d_head) for name in ("wq", "wk", "wv")}
    return params | {"wo": normal(rng, d_head, N_TOKENS)}


def recall_step(x, answers, params):
    """Return the loss at the last position and the gradients."""
    out, cache = self_attention_forward(x, params, causal_mask(x.shape[1]))
    loss, dlogits = cross_entropy(out[:, -1], answers)
    dout = np.zeros_like(out)
    dout[:, -1] = dlogits
    return loss, self_attention_backward(dout, cache)[1]


def train_attention(seed, with_neighbour=True, n_steps=300, lr=0.03):
    rng, state, losses = np.random.default_rng(seed), {}, []
    params = recall_init(rng)
    for step in range(n_steps):
        tokens, answers = recall_batch(64, N_PAIRS, rng)
        loss, grads = recall_step(recall_rows(tokens, with_neighbour), answers, params)
        params, state = adam_step(params, grads, state, lr * (1 - step / n_steps))
        losses.append(loss)
    return losses, params


def recall_accuracy(params, n_pairs, seed, with_neighbour=True):
    tokens, answers = recall_batch(1000, n_pairs, np.random.default_rng(1000 + seed))
    x = recall_rows(tokens, with_neighbour)
    out, _ = self_attention_forward(x, params, causal_mask(x.shape[1]))
    return float(np.mean(out[:, -1].argmax(axis=1) == answers))


attention_runs = [train_attention(seed) for seed in SEEDS]
blind_runs = [train_attention(seed, with_neighbour=False) for seed in SEEDS]
n_attention = sum(value.size for value in attention_runs[0][1].values())
n_mlp = small_mlps[0][2]
attention_accuracies = [
    recall_accuracy(run[1], N_PAIRS, seed) for seed, run in zip(SEEDS, attention_runs, strict=True)
]
longer_accuracies = [
    recall_accuracy(run[1], 16, seed) for seed, run in zip(SEEDS, attention_runs, strict=True)
]
blind_accuracies = [
    recall_accuracy(run[1], N_PAIRS, seed, False) for seed, run in zip(SEEDS, blind_runs, strict=True)
]
mlp_accuracies = [accuracy for _, accuracy, _ in small_mlps]
large_mlp_accuracies = [accuracy for _, accuracy, _ in large_mlps]
table = {
    f"attention, {n_attention} parameters": attention_accuracies,
    "  the same layers on 16 pairs": longer_accuracies,
    "  without the left neighbour": blind_accuracies,
    f"MLP, {n_mlp} parameters": mlp_accuracies,
    f"MLP, {large_mlps[0][2]} parameters, 5 times the steps": large_mlp_accuracies,
}
for name, reached in table.items():
    print(f"{name:46}", "  ".join(f"{accuracy:.3f}" for accuracy in reached))

# %% tags=["demo"]
fig, ax = plt.subplots(figsize=(7, 3.8))
runs = (
    ("attention", [run[0] for run in attention_runs], BLUE),
    ("no neighbour", [run[0] for run in blind_runs], GREEN),
    ("MLP", [run[0] for run in small_mlps], ORANGE),
)
for name, losses, colour in runs:
    for curve in losses:
        ax.plot(np.convolve(curve, np.ones(5) / 5, mode="valid"), color=colour, linewidth=1.3)
    ax.annotate(f" {name}", (296, np.mean([curve[-5:] for curve in losses])), color=colour, va="center")
ax.axhline(np.log(8), color=GREY, linewidth=1, linestyle=":")
ax.annotate("any digit", (297, np.log(8)), color=GREY, va="bottom", ha="left", fontsize=9)
ax.set(xlabel="step", ylabel="loss [nats]", xlim=(0, 365), ylim=(-0.1, 3.4), xticks=range(0, 301, 50))
fig.tight_layout()

# %% [markdown]
# The attention layer is right every time, on sequences that nobody has seen, and the same weights
# serve 16 pairs although they were trained on 6: its four matrices do not know how long a sequence
# is. The MLP of equal size guesses. The larger one too, and it could not even be *given* a longer
# sequence.
#
# Without the left neighbour, the layer counts digits, as the large MLP does. It finds the earlier
# letter m easily, and that says nothing about which digit came after it.
#
# Now look inside. The weights of one sequence, a row for each query:

# %% tags=["demo"]
tokens, answers = recall_batch(1, N_PAIRS, np.random.default_rng(3))
_, cache = self_attention_forward(recall_rows(tokens), attention_runs[0][1], causal_mask(tokens.shape[1]))
attention_map = cache["attn"][0]
names = spell(tokens[0]).split()
found_place = int(attention_map[-1].argmax())

fig, ax = plt.subplots(figsize=(5.6, 5.2))
ax.imshow(attention_map, cmap="Blues", vmin=0, vmax=1)
ax.set(
    xticks=range(len(names)), yticks=range(len(names)), xlabel="key", ylabel="query", title="Who looks where"
)
ax.set_xticklabels(names)
ax.set_yticklabels(names)
ax.add_patch(
    plt.Rectangle((found_place - 0.5, len(names) - 1.5), 1, 1, fill=False, edgecolor=ORANGE, linewidth=2.5)
)
fig.tight_layout()
print(f"{spell(tokens[0])}: the last {names[-1]} puts {attention_map[-1].max():.3f} on place {found_place},")
print(f"where {names[found_place]} follows {names[found_place - 1]}; the answer is {spell(answers)}")

# %% [markdown]
# The last row is the lookup: nearly all weight on the digit that follows the same letter. The rows
# above were never asked anything, because the loss reads only the last one. Where they look means
# nothing.
#
# A warning. The map says where the layer looked. It does not say what the net made of it, and in deep
# nets the two can differ.

# %% [markdown]
# ## 6.10 The same layer on your own kernels
#
# First the eight kernels against NumPy, at sizes that no workgroup divides: 3 items, 5 queries, 67
# keys. The arrays go to the device once; each kernel takes what the one before has left there.


# %% tags=["demo"]
KERNELS = {
    name: gs.kernel(f"{name}.wgsl")
    for name in (
        "attention_scores",
        "masked_softmax_forward",
        "masked_softmax_backward",
        "attention_output",
        "attention_backward_attn",
        "attention_backward_q",
        "attention_backward_k",
        "attention_backward_v",
    )
}


def device_attention_forward(q, k, v, mask):
    """Return out and a cache; all arrays on the device, q (n, n_queries, d), mask (n_masks, ...) of u32."""
    scores = KERNELS["attention_scores"](q=q, k=k)
    attn = KERNELS["masked_softmax_forward"](scores=scores, mask=mask)
    return KERNELS["attention_output"](attn=attn, v=v), {
        "attn": attn,
        "scores": scores,
        "q": q,
        "k": k,
        "v": v,
    }


def device_attention_backward(dout, cache):
    dattn = KERNELS["attention_backward_attn"](dout=dout, v=cache["v"])
    dscores = KERNELS["masked_softmax_backward"](dattn=dattn, attn=cache["attn"])
    dq = KERNELS["attention_backward_q"](dscores=dscores, k=cache["k"])
    dk = KERNELS["attention_backward_k"](dscores=dscores, q=cache["q"])
    return dq, dk, KERNELS["attention_backward_v"](attn=cache["attn"], dout=dout)


rng = np.random.default_rng(7)
q, k, v, dout = (
    rng.standard_normal(shape).astype(np.float32) for shape in ((3, 5, 6), (3, 67, 6), (3, 67, 4), (3, 5, 4))
)
mask = rng.random((3, 5, 67)) < 0.6
mask[1, 2] = False
out, numpy_cache = attention_forward(q, k, v, mask)
device_out, device_cache = device_attention_forward(
    *map(gs.to_device, (q, k, v)), gs.to_device(mask.astype(np.uint32))
)
pairs = {
    "scores": (device_cache["scores"], attention_scores(q, k)),
    "attn": (device_cache["attn"], numpy_cache["attn"]),
    "out": (device_out, out),
}
device_grads = device_attention_backward(gs.to_device(dout), device_cache)
numpy_grads = attention_backward(dout, numpy_cache)
pairs |= {name: pair for name, *pair in zip(("dq", "dk", "dv"), device_grads, numpy_grads, strict=True)}
kernel_gaps = {name: float(np.abs(mine.numpy() - twin).max()) for name, (mine, twin) in pairs.items()}
for name, gap in kernel_gaps.items():
    print(f"{name:6} differs from NumPy by at most {gap:.1e}")

# %% [markdown]
# Then the training. The attention, forward and backward, runs on your kernels; the four matrices
# around it stay in NumPy. Beside it the same run in NumPy, from the same weights and on the same
# sequences.


# %% tags=["demo"]
def recall_step_on_kernels(x, answers, params):
    q, k, v = (gs.to_device(x @ params[name]) for name in ("wq", "wk", "wv"))
    mask = gs.to_device(causal_mask(x.shape[1]).astype(np.uint32)[None])
    found_there, cache = device_attention_forward(q, k, v, mask)
    found = found_there.numpy()
    logits = found[:, -1] @ params["wo"]
    loss, dlogits = cross_entropy(logits, answers)
    dfound = np.zeros_like(found)
    dfound[:, -1] = dlogits @ params["wo"].T
    dparts = device_attention_backward(gs.to_device(dfound), cache)
    grads = {
        name: np.einsum("bti,btj->ij", x, part.numpy())
        for name, part in zip(("wq", "wk", "wv"), dparts, strict=True)
    }
    return loss, grads | {"wo": found[:, -1].T @ dlogits}


def short_run(step, n_steps=60, batch_size=16, n_pairs=3, lr=0.03):
    rng, state, losses = np.random.default_rng(0), {}, []
    params = recall_init(rng, d_head=12)
    for _ in range(n_steps):
        tokens, answers = recall_batch(batch_size, n_pairs, rng)
        loss, grads = step(recall_rows(tokens), answers, params)
        params, state = adam_step(params, grads, state, lr)
        losses.append(loss)
    return np.array(losses)


numpy_losses, kernel_losses = short_run(recall_step), short_run(recall_step_on_kernels)
loss_gap = float(np.abs(numpy_losses - kernel_losses).max())
print(f"loss at the first step {kernel_losses[0]:.3f}, mean of the last ten {kernel_losses[-10:].mean():.3f}")
print(f"in NumPy               {numpy_losses[0]:.3f}                       {numpy_losses[-10:].mean():.3f}")
print(f"the losses differ by at most {loss_gap:.1e}")

# %% [markdown]
# ## 6.11 What you have
#
# | forward | backward | the idea in a line |
# |---|---|---|
# | `q @ kT / sqrt(d)` | `dscores @ k`, `dscoresT @ q`, divided likewise | how well does each query fit each key |
# | masked softmax | `attn * (dattn - sum of attn * dattn)` | weights of a mean; what is forbidden is left out |
# | `attn @ v` | `dout @ vT`, `attnT @ dout` | bring the values |
#
# PyTorch has the three in one call, and its mask has the same meaning as ours:
#
# ```python
# out = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
# ```
#
# What does it cost? Each of n positions looks at n others: $n^2$ scores, where a convolution computes
# $n$ times a few. For 13 tokens nobody cares. For 100,000 tokens it is the main cost of a language
# model, and stage 11 is about that.
#
# **A last question.** One layer has one map: each position has one place to look, or a blend. What if
# it needs two things at once, say the subject *and* the object?
#
# <details><summary>Answer</summary>
#
# Give it several heads: several small queries, keys and values side by side, each with a map of its
# own. That, and a better way to tell positions, is stage 7.
#
# </details>
