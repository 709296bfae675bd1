# %% [markdown]
# # 8. The transformer: the block, the stack, the two halves
#
# Attention lets every position look at every other, and several heads let it look in several ways.
# But attention alone is no network. It only averages: it cannot make a new feature out of an old one,
# it does not know the order of its tokens, and stacked twenty times it would not train.
#
# A transformer adds four small parts. An **embedding** turns a token into a vector. A **norm** keeps
# vectors in range. A **feed-forward** part thinks about one position at a time, and a soft bend,
# **GELU**, stands inside it. The first half of this stage builds these four, in NumPy and as kernels. The
# second half puts them together with attention, first into a block, then into a stack, then into the two
# halves that translate.
#
# You need attention with heads (stages 6 and 7), the shortcut (stage 5) and Adam (stage 3). They are
# given below.

# %% tags=["setup"]
import os

# The matrix products of this stage are small: several threads would mostly wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import math

import numpy as np
from jaxtyping import Bool, Float, Int

import gradschool as gs

gs.start("08_transformer")

# %% [markdown]
# What you have built before, ready to use. Two small helpers are new. Parameters live in one flat dict
# with dotted names, such as `"block0.ff.w1"`. `part(params, "block0.ff.")` cuts out what one part needs,
# and `prefixed` puts the names back.


# %%
def part(params, prefix):
    """Return the entries of `params` whose names begin with `prefix`, without it: `part(params, "ff.")`."""
    return {name[len(prefix) :]: value for name, value in params.items() if name.startswith(prefix)}


def prefixed(prefix, params):
    """Return `params` with `prefix` before every name: the way back of `part`."""
    return {prefix + name: value for name, value in params.items()}


def affine_forward(x, w, b):
    """Return x @ w + b over any leading axes, and the cache."""
    return x @ w + b, (x, w)


def affine_backward(dout, cache):
    """Return dx, dw and db; dw and db are sums over all leading axes."""
    x, w = cache
    rows = dout.reshape(-1, dout.shape[-1])
    return dout @ w.T, x.reshape(-1, x.shape[-1]).T @ rows, rows.sum(axis=0)


def causal_mask(seq):
    """Return (seq, seq): position i may look at j <= i. True = may attend."""
    return np.tril(np.ones((seq, seq), bool))


def padding_mask(lengths, seq):
    """Return (batch, 1, seq): every query may look at the first `lengths[b]` keys."""
    return np.arange(seq) < np.asarray(lengths)[:, None, None]


def attention_forward(q, k, v, mask=None):
    """Return softmax(q kT / sqrt(d_head)) v; a row with nothing allowed gives zeros."""
    scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    allowed = np.ones(scores.shape, bool) if mask is None else np.broadcast_to(mask, scores.shape)
    top = np.where(allowed, scores, -np.inf).max(axis=-1, keepdims=True)
    exps = np.where(allowed, np.exp(np.where(allowed, scores - np.where(np.isfinite(top), top, 0), 0)), 0)
    attn = exps / np.maximum(exps.sum(axis=-1, keepdims=True), np.finfo(q.dtype).tiny)
    attn = attn.astype(q.dtype, copy=False)
    return attn @ v, {"attn": attn, "q": q, "k": k, "v": v}


def attention_backward(dout, cache):
    """Return dq, dk, dv."""
    attn, q, k, v = (cache[name] for name in ("attn", "q", "k", "v"))
    dattn = dout @ np.swapaxes(v, -1, -2)
    dscores = attn * (dattn - (dattn * attn).sum(axis=-1, keepdims=True)) / math.sqrt(q.shape[-1])
    return dscores @ k, np.swapaxes(dscores, -1, -2) @ q, np.swapaxes(attn, -1, -2) @ dout


def split_heads(x, n_heads):
    """(batch, seq, d_model) to (batch, n_heads, seq, d_head)."""
    batch, seq, d_model = x.shape
    return x.reshape(batch, seq, n_heads, d_model // n_heads).transpose(0, 2, 1, 3)


def merge_heads(x):
    """(batch, n_heads, seq, d_head) to (batch, seq, d_model)."""
    batch, n_heads, seq, d_head = x.shape
    return x.transpose(0, 2, 1, 3).reshape(batch, seq, n_heads * d_head)


def multi_head_attention_forward(x_q, x_kv, params, n_heads, mask=None):
    """Attend from x_q (batch, n_queries, d_model) to x_kv (batch, n_keys, d_model).

    `params` holds wq, wk, wv, wo, each (d_model, d_model). `mask` is (n_queries, n_keys) or
    (batch, n_queries, n_keys), axes of size 1 allowed. `cache["attn"]` has one map per head.
    """
    d_model = params["wq"].shape[0]
    if d_model % n_heads:
        raise ValueError(f"d_model = {d_model} cannot be split into {n_heads} heads.")
    if x_q.shape[-1] != d_model or x_kv.shape[-1] != d_model:
        raise ValueError(f"inputs {x_q.shape} and {x_kv.shape} do not have d_model = {d_model} features.")
    if mask is not None and mask.ndim == 3:
        mask = mask[:, None]
    q = split_heads(x_q @ params["wq"], n_heads)
    k, v = (split_heads(x_kv @ params[name], n_heads) for name in ("wk", "wv"))
    heads, cache = attention_forward(q, k, v, mask)
    merged = merge_heads(heads)
    cache |= {"x_q": x_q, "x_kv": x_kv, "merged": merged, "params": params, "n_heads": n_heads}
    return merged @ params["wo"], cache


def multi_head_attention_backward(dout, cache):
    """Return dx_q, dx_kv and the gradients of wq, wk, wv, wo."""
    params, x_q, x_kv, merged = (cache[name] for name in ("params", "x_q", "x_kv", "merged"))

    def flat(x):
        return x.reshape(-1, x.shape[-1])

    dheads = split_heads(dout @ params["wo"].T, cache["n_heads"])
    dq, dk, dv = (merge_heads(d) for d in attention_backward(dheads, cache))
    grads = {"wq": flat(x_q).T @ flat(dq), "wk": flat(x_kv).T @ flat(dk), "wv": flat(x_kv).T @ flat(dv)}
    grads["wo"] = flat(merged).T @ flat(dout)
    return dq @ params["wq"].T, dk @ params["wk"].T + dv @ params["wv"].T, grads


def sinusoidal_positions(seq, d_model):
    """Return (seq, d_model), sines and cosines interleaved."""
    pair = np.arange(d_model) // 2
    angles = np.arange(seq)[:, None] / 10000 ** (2 * pair / d_model)
    return np.where(np.arange(d_model) % 2 == 0, np.sin(angles), np.cos(angles))


def cross_entropy(logits, labels):
    """Return the mean loss in nats and its gradient; labels of -1 do not count. Any leading axes."""
    exps = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probs = exps / exps.sum(axis=-1, keepdims=True)
    counted = labels >= 0
    n_counted = max(int(counted.sum()), 1)
    chosen = np.where(counted, labels, 0)[..., None]
    picked = np.take_along_axis(probs, chosen, axis=-1)[..., 0]
    loss = -(np.log(picked + 1e-30) * counted).sum() / n_counted
    np.put_along_axis(probs, chosen, picked[..., None] - 1, axis=-1)
    return float(loss), probs * counted[..., None] / probs.dtype.type(n_counted)


def adam_step(params, grads, state, lr, beta1=0.9, beta2=0.99, eps=1e-8):
    """Return new parameters and the new state; an empty state starts at zero."""
    t = state.get("t", 0) + 1
    new, new_state = {}, {"t": t}
    for name, grad in grads.items():
        m = beta1 * state.get(f"m_{name}", 0) + (1 - beta1) * grad
        v = beta2 * state.get(f"v_{name}", 0) + (1 - beta2) * grad * grad
        step = lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
        new[name], new_state[f"m_{name}"], new_state[f"v_{name}"] = params[name] - step, m, v
    return new, new_state


# %% [markdown]
# ## 8.1 A token is a row of a table
#
# A network calculates with vectors. A text is a list of tokens: whole numbers that say which letter or
# word of a list stands there.
#
# **Question.** Why not give the network the number itself? Let `a` be 1, `b` be 2, `c` be 3.
#
# <details><summary>Answer</summary>
#
# Because then `b` lies halfway between `a` and `c`, and `z` is twenty-six times as much as `a`. None of
# that means anything. The numbers are names, and one should not calculate with names.
#
# </details>
#
# So each token gets a vector of its own, as a row of a table with `n_vocab` rows. Nobody says what stands
# in the rows. They start as small random numbers and are learned like any weight.
#
# ![A row of zeros with a single one, times the table, is one row of the table](figures/embedding.svg)
#
# **Question.** Is this a new kind of layer?
#
# <details><summary>Answer</summary>
#
# No. Write the token as a row of zeros with a single 1, and multiply by the table: an affine layer
# without a bias. The product of zeros and ones picks one row. A lookup gives the same row and multiplies
# nothing.
#
# </details>
#
# **Your turn.**


# %%
def embedding_forward(
    tokens: Int[np.ndarray, "*batch"], table: Float[np.ndarray, "n_vocab d_model"]
) -> tuple[Float[np.ndarray, "*batch d_model"], tuple]:
    """Look up one row of the table for each token.

    out[..., :] = table[tokens[...], :]

    Args:
        tokens: Whole numbers in 0 .. n_vocab - 1, of any shape.
        table: One row for each token of the vocabulary.

    Returns:
        out: Shape of `tokens` and one more axis; dtype of `table`. Not a view of the table.
        cache: What `embedding_backward` needs.

    Raises:
        ValueError: `table` does not have two axes; `tokens` are not integers; a token is
            negative or n_vocab or larger.

    Source:
        Bengio et al. 2003, "A Neural Probabilistic Language Model", section 2.
    """
    ### BEGIN SOLUTION
    if table.ndim != 2:
        raise ValueError(f"table has shape {table.shape}; it needs (n_vocab, d_model).")
    if not np.issubdtype(tokens.dtype, np.integer):
        raise ValueError(f"tokens are {tokens.dtype}; a row needs a whole number.")
    if np.any((tokens < 0) | (tokens >= len(table))):
        raise ValueError(f"tokens must lie in 0 .. {len(table) - 1}; got {tokens.min()} .. {tokens.max()}.")
    return table[tokens], (tokens, table.shape)
    ### END SOLUTION


# %% tags=["check"]
gs.check("embedding_forward")

# %% [markdown]
# Lookup and product, side by side:

# %% tags=["demo"]
import time

import matplotlib.pyplot as plt

BLUE, ORANGE, INK, GREY = "#1f6fb2", "#c05e00", "#1f2933", "#8a949e"
plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})

rng = np.random.default_rng(0)
tokens, table = rng.integers(0, 5000, 2000), rng.standard_normal((5000, 64)).astype(np.float32)
started = time.process_time()
by_product = np.eye(5000, dtype=np.float32)[tokens] @ table
product_s = time.process_time() - started
started = time.process_time()
by_lookup, _ = embedding_forward(tokens, table)
lookup_s = time.process_time() - started
print(f"the same numbers: {np.array_equal(by_product, by_lookup)}")
print(f"one-hot product {1e3 * product_s:.1f} ms, lookup {1e3 * lookup_s:.1f} ms")

# %% [markdown]
# ### Its gradient
#
# **Question.** The token `e` stands at three places of a batch. Its row was used three times. What is the
# row's gradient?
#
# <details><summary>Answer</summary>
#
# The sum of the three. One row had three effects on the loss, and effects add up. Rows that were not used
# had no effect: their gradient is 0.
#
# </details>
#
# There is a trap in NumPy here. `dtable[tokens] += dout` looks right and is wrong: for a token that
# occurs three times it adds only one of the three gradients. Look up `np.add.at`.


# %%
def embedding_backward(
    dout: Float[np.ndarray, "*batch d_model"], cache: tuple
) -> Float[np.ndarray, "n_vocab d_model"]:
    """Return the gradient of the table.

    dtable[t] = sum of dout over all places where token t stood; 0 where it stood nowhere.

    Args:
        dout: Gradient of the loss with respect to `out`.
        cache: From `embedding_forward`.

    Returns:
        dtable: Shape of the table, dtype of `dout`.

    Raises:
        ValueError: `dout` does not have the shape of `out`.

    Source:
        Bengio et al. 2003, "A Neural Probabilistic Language Model", section 3.
    """
    ### BEGIN SOLUTION
    tokens, (n_vocab, d_model) = cache
    if dout.shape != (*tokens.shape, d_model):
        raise ValueError(f"dout has shape {dout.shape}; out has {(*tokens.shape, d_model)}.")
    dtable = np.zeros((n_vocab, d_model), dout.dtype)
    np.add.at(dtable, tokens, dout)
    return dtable
    ### END SOLUTION


# %% tags=["check"]
gs.check("embedding_backward")

# %% [markdown]
# **Question.** What do rows learn? Here is a network with a table of two numbers per letter and nothing
# else but one affine layer. It sees one letter and predicts the next. Which letters will get similar
# rows?

# %% tags=["demo"]
import re
from pydoc_data.topics import topics

ALPHABET = " abcdefghijklmnopqrstuvwxyz"
text = re.sub("[^a-z]+", " ", " ".join(topics.values())[:200_000].lower())
letters = np.array([ALPHABET.index(letter) for letter in text])


def learn_letters(seed, n_steps=400):
    """Learn two numbers per letter from guessing the next letter; return the table."""
    rng = np.random.default_rng(seed)
    params = {
        "table": 0.1 * rng.standard_normal((27, 2)),
        "w": 0.1 * rng.standard_normal((2, 27)),
        "b": np.zeros(27),
    }
    state = {}
    for step in range(n_steps):
        places = rng.integers(0, len(letters) - 1, 1024)
        h, cache = embedding_forward(letters[places], params["table"])
        logits, affine_cache = affine_forward(h, params["w"], params["b"])
        _, dlogits = cross_entropy(logits, letters[places + 1])
        dh, dw, db = affine_backward(dlogits, affine_cache)
        grads = {"table": embedding_backward(dh, cache), "w": dw, "b": db}
        params, state = adam_step(params, grads, state, 0.05 * (1 - step / n_steps))
    return params["table"]


VOWELS = np.array([ALPHABET.index(letter) for letter in "aeiou"])
CONSONANTS = np.setdiff1d(np.arange(1, 27), VOWELS)
letter_tables = [learn_letters(seed) for seed in (0, 1, 2)]
vowel_neighbours = []
for letter_table in letter_tables:
    gaps = np.linalg.norm(letter_table[:, None] - letter_table, axis=-1) + 99 * np.eye(27)
    nearest = gaps[:, 1:].argmin(axis=1) + 1
    vowel_neighbours.append(np.isin(nearest[[1, 5, 15]], VOWELS).mean())

fig, axes = plt.subplots(1, 3, figsize=(11, 3.8))
for ax, letter_table, seed in zip(axes, letter_tables, (0, 1, 2), strict=True):
    for i in range(1, 27):
        ax.annotate(
            ALPHABET[i], letter_table[i], color=ORANGE if i in VOWELS else BLUE, ha="center", va="center"
        )
    low, high = letter_table[1:].min(axis=0) - 0.4, letter_table[1:].max(axis=0) + 0.4
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xticks=[], yticks=[], title=f"seed {seed}")
fig.tight_layout()
print(f"of a, e and o, the nearest letter is a vowel: {np.mean(vowel_neighbours):.0%} over three seeds")

# %% [markdown]
# The vowels (orange) have moved away from the consonants, and nobody had told the network that there are
# vowels. Letters that are followed by the same letters are used alike, so the same row serves them, and
# their gradients push them to the same place. Where the count misses 100% it is because of `y`: the table has
# put it beside `e`, and in English it does stand where a vowel stands.
#
# That is what an embedding is. Not a meaning that somebody wrote down, but a place among the others that
# makes the prediction easy.
#
# ### The kernels `embedding_forward.wgsl` and `embedding_backward.wgsl`
#
# Forward, an invocation copies one number. Backward there is a choice.
#
# **Question.** Give each place an invocation that adds its `dout` to the row of its token. What goes
# wrong?
#
# <details><summary>Answer</summary>
#
# Two places with the same token add to the same row at the same time, and one of the sums gets lost: a
# race. In stage 0 an atomic add mended that, but WGSL has none for `f32`.
#
# </details>
#
# Turn it round. Give each element of the *table* an invocation. It walks over all tokens and gathers what
# belongs to it. It reads more, but nobody else writes where it writes.
#
# A kernel cannot raise an error. So the contract says what a token outside of the table means: a row of
# zeros.

# %% tags=["demo"]
gs.show_kernel("embedding_forward.wgsl")

# %% tags=["check"]
gs.check("embedding_forward.wgsl")

# %% tags=["demo"]
gs.show_kernel("embedding_backward.wgsl")

# %% tags=["check"]
gs.check("embedding_backward.wgsl")

# %% [markdown]
# ### The kernel `add_positions.wgsl`
#
# A row says *what* the token is, not *where* it stands. Stage 7 had a vector for each place. Here it is
# added to the token's row, the same vector in every sequence of the batch.
#
# `start` is for later: when a text is made token by token, the next token comes alone, and its place is
# not 0.

# %% tags=["demo"]
gs.show_kernel("add_positions.wgsl")

# %% tags=["check"]
gs.check("add_positions.wgsl")

# %% [markdown]
# ## 8.2 A stream that grows
#
# A transformer is a residual stream: every part reads a vector and adds something to it. Stage 5 has
# shown why that helps.
#
# **Question.** Twenty-four parts add to the stream, one after the other. Each makes something about as
# large as what it reads. How large is the stream at the end: a little larger, 24 times, or more?
#
# Guess, then look. The parts are small two-layer networks with weights as He would start them, and then
# with weights 30% smaller and larger.


# %% tags=["demo"]
def ones(d):
    return np.ones(d, np.float32)


def zeros(d):
    return np.zeros(d, np.float32)


def stream_sizes(norm, scale, depth=24, d_model=64, seed=0):
    """Return the size of the stream after each of `depth` parts; `norm` is applied to what a part reads."""
    rng = np.random.default_rng(seed)
    x, sizes = rng.standard_normal((32, d_model)).astype(np.float32), []
    for _ in range(depth):
        w1 = scale * np.sqrt(2 / d_model) * rng.standard_normal((d_model, 4 * d_model))
        w2 = scale * np.sqrt(1 / (4 * d_model)) * rng.standard_normal((4 * d_model, d_model))
        x = x + np.maximum(norm(x) @ w1.astype(np.float32), 0) @ w2.astype(np.float32)
        sizes.append(float(np.sqrt(np.mean(x**2))))
    return sizes


grown = {scale: stream_sizes(lambda x: x, scale) for scale in (1.3, 1.0, 0.7)}
for scale, sizes in grown.items():
    print(f"weights times {scale}: {sizes[-1]:.1e} after 24 parts")

# %% [markdown]
# More. What a part adds is as large as the stream itself, so the stream grows by a *factor* each
# time. And it depends on the weights' size, to the power of 24.
#
# ### Layer normalization
#
# You know a cure: batch norm made a layer blind to the size of its input. Here the cure is taken over
# other numbers. A sequence has the shape `(batch, seq, d_model)`. **Layer norm** takes each vector by
# itself, and measures mean and variance over its `d_model` **features**:
#
# $$\hat x = \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}} \qquad \text{out} = \gamma\, \hat x + \beta$$
#
# $\gamma$ and $\beta$ have one number per feature and are learned. They start at 1 and 0.
#
# ![Batch norm averages over sequences and positions, layer norm over the features of one vector](figures/layer_norm.svg)
#
# **Your turn.** Any leading axes, the last one is measured. Take the mean out first and then average the
# squares, for the reason that stage 5 gave.


# %%
def layer_norm_forward(
    x: Float[np.ndarray, "*batch d_model"],
    gamma: Float[np.ndarray, " d_model"],
    beta: Float[np.ndarray, " d_model"],
    eps: float = 1e-5,
) -> tuple[Float[np.ndarray, "*batch d_model"], tuple]:
    """Normalize each vector over its features, then scale and shift every feature.

    out = gamma * (x - mean) / sqrt(var + eps) + beta

    mean and var are those of the last axis, var with 1 / d_model: one pair for each vector.

    Args:
        x: Vectors of d_model features.
        gamma: Scale of each feature.
        beta: Shift of each feature.
        eps: Added to the variance, under the root.

    Returns:
        out: Shape and dtype of `x`.
        cache: What `layer_norm_backward` needs.

    Raises:
        ValueError: `x` has no features; `gamma` or `beta` is not of shape (d_model,).

    Source:
        Ba et al. 2016, "Layer Normalization", eq. 3 and 4.
    """
    ### BEGIN SOLUTION
    if x.ndim < 1 or x.shape[-1] < 1:
        raise ValueError(f"x has shape {x.shape}; layer norm needs at least one feature.")
    if gamma.shape != x.shape[-1:] or beta.shape != x.shape[-1:]:
        raise ValueError(f"gamma {gamma.shape} and beta {beta.shape} must have the shape {x.shape[-1:]}.")
    centered = x - x.mean(axis=-1, keepdims=True)
    var = (centered**2).mean(axis=-1, keepdims=True)
    rstd = 1 / np.sqrt(var + float(eps))  # a NumPy float64 would widen float32
    x_hat = centered * rstd
    return gamma * x_hat + beta, (x_hat, gamma, rstd)
    ### END SOLUTION


# %% tags=["check"]
gs.check("layer_norm_forward")

# %% [markdown]
# The same twenty-four parts; now each one reads through a layer norm.


# %% tags=["demo"]
def layer_norm(x):
    return layer_norm_forward(x, ones(x.shape[-1]), zeros(x.shape[-1]))[0]


normed = {scale: stream_sizes(layer_norm, scale) for scale in (1.3, 1.0, 0.7)}
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8))
for ax, runs, title in ((left, grown, "Nothing measured"), (right, normed, "A layer norm before each part")):
    for (scale, sizes), colour in zip(runs.items(), (ORANGE, INK, BLUE), strict=True):
        ax.plot(range(1, 25), sizes, color=colour)
        ax.annotate(f" weights times {scale}", (24, sizes[-1]), color=colour, va="center")
    ax.set(xlabel="part", ylabel="size of the stream", xlim=(1, 36), title=title)
left.set_yscale("log")
fig.tight_layout()
for scale, sizes in normed.items():
    print(f"weights times {scale}: {sizes[-1]:.1f} after 24 parts")

# %% [markdown]
# From twenty million to eight. Every part now reads vectors of one size, whatever came before. So it adds
# something of the same size each time, and the stream grows like a sum, not like a power: slower and
# slower.
#
# ### Why over the features, and not over the batch?
#
# **Question.** Batch norm worked for pictures. What would it do to sentences? Think of three things: a
# neighbour in the batch, a word that comes later, and a text that is written one word at a time.
#
# The next cell measures all three. `batch_norm` takes one mean per feature over batch and positions.


# %% tags=["demo"]
def batch_norm(x):
    mean, var = x.mean(axis=(0, 1)), x.var(axis=(0, 1))
    return (x - mean) / np.sqrt(var + 1e-5)


sentences = np.random.default_rng(0).standard_normal((4, 6, 8)).astype(np.float32)
louder_neighbour, other_ending = sentences.copy(), sentences.copy()
louder_neighbour[3] *= 3
other_ending[0, 5] += 3
norm_leaks = {}
for name, norm in (("batch norm", batch_norm), ("layer norm", layer_norm)):
    out = norm(sentences)
    norm_leaks[name] = {
        "another sentence of the batch gets louder": np.abs(norm(louder_neighbour) - out)[0].max(),
        "the last word of this sentence changes": np.abs(norm(other_ending) - out)[0, 0].max(),
        "the word comes alone, as in writing": np.abs(norm(sentences[:1, :1]) - out[:1, :1]).max(),
    }
print("how far the first word of the first sentence moves, at most")
for change in norm_leaks["batch norm"]:
    print(
        f"  {change:42} batch norm {norm_leaks['batch norm'][change]:.2f}   layer norm {norm_leaks['layer norm'][change]:.2f}"
    )

# %% [markdown]
# With batch norm the answer for a sentence depends on whoever shares its batch. Worse, the first word
# feels the last one. A decoder must not see what comes later, that was the point of the causal mask, and
# the mean of a batch goes round every mask. And a word alone has no spread at all: batch norm answers
# with zeros, whatever the word is. Running averages would help, but sentences differ more than pictures
# do.
#
# Layer norm's three numbers are 0. A vector is measured against nothing but itself.
#
# ### The way back
#
# It is stage 5's formula along another axis, with one difference. $\gamma$ now varies *inside* the group
# that shares a mean. So it must be multiplied first: with $d = \gamma \cdot \text{dout}$,
#
# $$dx = \frac{1}{\sqrt{\sigma^2 + \varepsilon}} \left( d - \overline{d} - \hat x \; \overline{d \cdot \hat x} \right)$$
#
# where a bar is the mean over the features. $\gamma$ and $\beta$ served every vector, so their gradients
# are sums over all of them.


# %%
def layer_norm_backward(
    dout: Float[np.ndarray, "*batch d_model"], cache: tuple
) -> tuple[Float[np.ndarray, "*batch d_model"], Float[np.ndarray, " d_model"], Float[np.ndarray, " d_model"]]:
    """Return the gradients of x, gamma and beta.

    With d = gamma * dout and x_hat = (x - mean) / sqrt(var + eps):
    dx = (d - mean(d) - x_hat * mean(d * x_hat)) / sqrt(var + eps), means over the last axis;
    dgamma = sum dout * x_hat, dbeta = sum dout, sums over all other axes.

    Args:
        dout: Gradient of the loss with respect to `out`.
        cache: From `layer_norm_forward`.

    Returns:
        dx: Shape of `x`.
        dgamma: Shape (d_model,).
        dbeta: Shape (d_model,).

    Raises:
        ValueError: `dout` does not have the shape of `out`.

    Source:
        Ba et al. 2016, "Layer Normalization", eq. 3, differentiated.
    """
    ### BEGIN SOLUTION
    x_hat, gamma, rstd = cache
    if dout.shape != x_hat.shape:
        raise ValueError(f"dout has shape {dout.shape}; out has {x_hat.shape}.")
    others = tuple(range(dout.ndim - 1))
    dgamma = (dout * x_hat).sum(axis=others)
    dbeta = dout.sum(axis=others)
    d = gamma * dout
    along = (d * x_hat).mean(axis=-1, keepdims=True)
    dx = rstd * (d - d.mean(axis=-1, keepdims=True) - x_hat * along)
    return dx, dgamma, dbeta
    ### END SOLUTION


# %% tags=["check"]
gs.check("layer_norm_backward")

# %% [markdown]
# ### What $\gamma$ and $\beta$ are for
#
# **Question.** An affine layer `w, b` follows the norm. Can it do the work of $\gamma$ and $\beta$?
#
# <details><summary>Answer</summary>
#
# Yes. $(\gamma \hat x + \beta)\, w + b = \hat x\, (\gamma w) + (\beta w + b)$: another affine layer, with
# row $i$ of `w` multiplied by $\gamma_i$. Before an affine layer they add nothing that could not be said
# without them.
#
# </details>
#
# So when do they matter? When nothing that learns comes after. Let the norm's output be the logits of ten
# digits. The next cell trains that net twice, once with $\gamma$ and $\beta$ learned and once with 1 and
# 0.

# %% tags=["demo"]
pixels, digits = gs.load_digits()
order = np.random.default_rng(0).permutation(len(pixels))
train, test = order[:1438], order[1438:]
pixels = ((pixels - pixels[train].mean()) / pixels[train].std()).astype(np.float32)


def normed_logits(learned, seed=0, n_steps=300):
    """Train affine and layer norm as logits; return the mean loss of the last 20 steps, and the parameters."""
    rng, state, losses = np.random.default_rng(seed), {}, []
    w = (rng.standard_normal((64, 10)) / 8).astype(np.float32)
    params = {"w": w, "b": zeros(10), "gamma": ones(10), "beta": zeros(10)}
    for _ in range(n_steps):
        chosen = rng.choice(train, 64)
        h, affine_cache = affine_forward(pixels[chosen], params["w"], params["b"])
        logits, norm_cache = layer_norm_forward(h, params["gamma"], params["beta"])
        loss, dlogits = cross_entropy(logits, digits[chosen])
        dh, dgamma, dbeta = layer_norm_backward(dlogits, norm_cache)
        _, dw, db = affine_backward(dh, affine_cache)
        grads = {"w": dw, "b": db} | ({"gamma": dgamma, "beta": dbeta} if learned else {})
        moved, state = adam_step(params, grads, state, 0.02)
        params |= moved
        losses.append(loss)
    return float(np.mean(losses[-20:])), params


floor = -math.log(math.exp(3) / (math.exp(3) + 9 * math.exp(-1 / 3)))
fixed_loss, _ = normed_logits(learned=False)
learned_loss, learned_params = normed_logits(learned=True)
print(f"1 and 0:  loss {fixed_loss:.3f}, and it cannot go below {floor:.3f}")
print(
    f"learned:  loss {learned_loss:.3f}, gamma has grown to {learned_params['gamma'].mean():.1f} on average"
)

# %% [markdown]
# A normalized vector has mean 0 and length $\sqrt{d}$. All ten logits together have length $\sqrt{10}$,
# so even the surest answer is (3, -1/3, ..., -1/3), and that is a probability of 0.76. Without $\gamma$
# the net cannot say how sure it is. With it, it says so.
#
# In a transformer the last norm stands in such a place: before the output. Inside the blocks the norm's
# vector is read by layers that could learn $\gamma$ themselves. There the two vectors are cheap, one knob
# per feature for all readers at once, and models without them are about as good.
#
# ### The kernels `layer_norm_forward.wgsl` and `layer_norm_backward.wgsl`
#
# Forward it is a workgroup per row: the tree for the mean, the tree for the squares. It also writes
# `mean` and `rstd`, which is $1 / \sqrt{\sigma^2 + \varepsilon}$: two numbers per row, and the backward
# need not go up the trees again.
#
# **Question.** Backward, `dx` needs sums along rows, and `dgamma` needs sums along columns. Must that be
# two kernels?
#
# <details><summary>Answer</summary>
#
# Not if the workgroups share the work by number: the first `n_rows` take a row each, the next `d_model` a
# column each. A branch on the workgroup's number is the same for all its invocations, so barriers inside
# it are allowed.
#
# </details>

# %% tags=["demo"]
gs.show_kernel("layer_norm_forward.wgsl")

# %% tags=["check"]
gs.check("layer_norm_forward.wgsl")

# %% tags=["demo"]
gs.show_kernel("layer_norm_backward.wgsl")

# %% tags=["check"]
gs.check("layer_norm_backward.wgsl")

# %% [markdown]
# ## 8.3 RMS norm: is the mean needed?
#
# **Question.** Layer norm does two things. It takes out the mean, and it divides by the size. Which of
# them keeps the stream from growing?
#
# <details><summary>Answer</summary>
#
# The division. The mean is one direction out of `d_model`, and most vectors have little of it: of a
# random vector of 64 features, 1/64 of the squared length.
#
# </details>
#
# RMS norm does only that: it divides by the root of the mean square.
#
# $$\text{out} = \gamma\, \frac{x}{\sqrt{\overline{x^2} + \varepsilon}}$$
#
# One sum instead of two, one learned vector instead of two. Most large language models since 2023 use it.


# %%
def rms_norm_forward(
    x: Float[np.ndarray, "*batch d_model"], gamma: Float[np.ndarray, " d_model"], eps: float = 1e-5
) -> tuple[Float[np.ndarray, "*batch d_model"], tuple]:
    """Divide each vector by its root mean square, then scale every feature.

    out = gamma * x / sqrt(mean(x**2) + eps), the mean over the last axis.

    Args:
        x: Vectors of d_model features.
        gamma: Scale of each feature.
        eps: Added to the mean square, under the root.

    Returns:
        out: Shape and dtype of `x`.
        cache: What `rms_norm_backward` needs.

    Raises:
        ValueError: `x` has no features; `gamma` is not of shape (d_model,).

    Source:
        Zhang & Sennrich 2019, "Root Mean Square Layer Normalization", eq. 4.
    """
    ### BEGIN SOLUTION
    if x.ndim < 1 or x.shape[-1] < 1:
        raise ValueError(f"x has shape {x.shape}; RMS norm needs at least one feature.")
    if gamma.shape != x.shape[-1:]:
        raise ValueError(f"gamma has shape {gamma.shape}; x {x.shape} needs {x.shape[-1:]}.")
    rrms = 1 / np.sqrt((x**2).mean(axis=-1, keepdims=True) + float(eps))
    x_hat = x * rrms
    return gamma * x_hat, (x_hat, gamma, rrms)
    ### END SOLUTION


# %% tags=["check"]
gs.check("rms_norm_forward")

# %% [markdown]
# **Question.** Take layer norm's formula for $dx$. Which of its terms belonged to the mean?
#
# <details><summary>Answer</summary>
#
# $\overline{d}$. RMS norm feels it when a number is added to all features, so that part of the gradient
# stays. What RMS norm does not feel is a change of length. So the part along $\hat x$ still goes.
#
# </details>


# %%
def rms_norm_backward(
    dout: Float[np.ndarray, "*batch d_model"], cache: tuple
) -> tuple[Float[np.ndarray, "*batch d_model"], Float[np.ndarray, " d_model"]]:
    """Return the gradients of x and gamma.

    With d = gamma * dout, rms = sqrt(mean(x**2) + eps) and x_hat = x / rms:
    dx = (d - x_hat * mean(d * x_hat)) / rms, the mean over the last axis;
    dgamma = sum dout * x_hat over all other axes.

    Args:
        dout: Gradient of the loss with respect to `out`.
        cache: From `rms_norm_forward`.

    Returns:
        dx: Shape of `x`.
        dgamma: Shape (d_model,).

    Raises:
        ValueError: `dout` does not have the shape of `out`.

    Source:
        Zhang & Sennrich 2019, "Root Mean Square Layer Normalization", section 4.
    """
    ### BEGIN SOLUTION
    x_hat, gamma, rrms = cache
    if dout.shape != x_hat.shape:
        raise ValueError(f"dout has shape {dout.shape}; out has {x_hat.shape}.")
    dgamma = (dout * x_hat).sum(axis=tuple(range(dout.ndim - 1)))
    d = gamma * dout
    dx = rrms * (d - x_hat * (d * x_hat).mean(axis=-1, keepdims=True))
    return dx, dgamma
    ### END SOLUTION


# %% tags=["check"]
gs.check("rms_norm_backward")


# %% [markdown]
# First, what each of them does not feel. Then both in the same net: a stream of twenty small parts, each
# one matrix and a ReLU, learning to read the digits with three seeds.


# %% tags=["demo"]
def rms_norm(x):
    return rms_norm_forward(x, ones(x.shape[-1]))[0]


vectors = np.random.default_rng(1).standard_normal((500, 64)).astype(np.float32)
for name, norm in (("layer norm", layer_norm), ("RMS norm", rms_norm)):
    by_shift = np.abs(norm(vectors + 5) - norm(vectors)).max()
    by_scale = np.abs(norm(5 * vectors) - norm(vectors)).max()
    print(f"{name:10}  moved by adding 5: {by_shift:.4f}   by multiplying with 5: {by_scale:.4f}")
unit = [
    norm(vectors) / np.linalg.norm(norm(vectors), axis=1, keepdims=True) for norm in (layer_norm, rms_norm)
]
print(f"cosine between the two, on random vectors: {np.mean(np.sum(unit[0] * unit[1], axis=1)):.3f}")


def deep_net(norm, seed, n_steps=120, d=48, depth=20, lr=0.003):
    """Train a stream of one-layer parts that read through the norm; return test accuracy and last loss."""
    rng, state, losses = np.random.default_rng(seed), {}, []
    params = {"w_in": (rng.standard_normal((64, d)) / 8).astype(np.float32)}
    for i in range(depth):
        params[f"w{i}"] = (rng.standard_normal((d, d)) * np.sqrt(2 / d)).astype(np.float32)
        params |= {f"gamma{i}": ones(d), f"beta{i}": zeros(d)}
    params |= {"w_out": np.zeros((d, 10), np.float32), "b_out": zeros(10)}

    def forward(x, params):
        x, caches = x @ params["w_in"], []
        for i in range(depth):
            read, norm_cache = x, None
            if norm == "layer":
                read, norm_cache = layer_norm_forward(x, params[f"gamma{i}"], params[f"beta{i}"])
            elif norm == "RMS":
                read, norm_cache = rms_norm_forward(x, params[f"gamma{i}"])
            made = np.maximum(read @ params[f"w{i}"], 0)
            caches.append((read, norm_cache, made > 0))
            x = x + made
        return *affine_forward(x, params["w_out"], params["b_out"]), caches

    for _ in range(n_steps):
        chosen, grads = rng.choice(train, 64), {}
        logits, head_cache, caches = forward(pixels[chosen], params)
        loss, dlogits = cross_entropy(logits, digits[chosen])
        losses.append(loss)
        dx, grads["w_out"], grads["b_out"] = affine_backward(dlogits, head_cache)
        for i in reversed(range(depth)):
            read, norm_cache, passed = caches[i]
            dmade = dx * passed
            dread, grads[f"w{i}"] = dmade @ params[f"w{i}"].T, read.T @ dmade
            if norm == "layer":
                dread, grads[f"gamma{i}"], grads[f"beta{i}"] = layer_norm_backward(dread, norm_cache)
            elif norm == "RMS":
                dread, grads[f"gamma{i}"] = rms_norm_backward(dread, norm_cache)
            dx = dx + dread
        grads["w_in"] = pixels[chosen].T @ dx
        moved, state = adam_step(params, grads, state, lr)
        params |= moved
    reached = np.mean(forward(pixels[test], params)[0].argmax(axis=1) == digits[test])
    return float(reached), float(np.mean(losses[-20:]))


norm_runs = {norm: [deep_net(norm, seed) for seed in (0, 1, 2)] for norm in ("none", "layer", "RMS")}
print("norm    test accuracy of three seeds   mean loss at the end")
for norm, runs in norm_runs.items():
    accuracies = "  ".join(f"{reached:.3f}" for reached, _ in runs)
    print(f"{norm:6}  {accuracies}            {np.mean([loss for _, loss in runs]):.3f}")

# %% [markdown]
# Without a norm twenty parts in a row do not learn. With one they do, and it matters little which:
# between the two the seeds decide. That is why people have dropped the mean. It costs something, and
# nobody has found what it is good for.
#
# ## 8.4 GELU: a bend without a corner
#
# ReLU is open or closed. **GELU** asks: if I draw a number from a normal distribution, how likely is it
# below x? With that share it multiplies x:
#
# $$\text{gelu}(x) = x \cdot \Phi(x), \qquad \Phi(x) = \tfrac{1}{2}\left(1 + \operatorname{erf}(x / \sqrt 2)\right)$$
#
# A large x passes, a very negative one is stopped, and in between there is a slope instead of a corner.
#
# The error function `erf` is not in NumPy, and a GPU has none either. So there is a second form, made of
# tanh, which is close enough that GPT-2 was trained with it. You write both. `erf` is given.


# %%
def erf(x):
    """Return the error function of each element, in the dtype of `x`."""
    values = np.array([math.erf(value) for value in np.ravel(x)], dtype=np.float64)
    return values.reshape(np.shape(x)).astype(x.dtype)


# %%
def gelu_forward(
    x: Float[np.ndarray, "*shape"], approximate: str = "none"
) -> tuple[Float[np.ndarray, "*shape"], tuple]:
    """Multiply every x by the share of a normal distribution that lies below it.

    "none":  out = x / 2 * (1 + erf(x / sqrt(2)))
    "tanh":  out = x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))

    Args:
        x: Any finite values; the largest floats must not overflow on the way.
        approximate: "none" or "tanh".

    Returns:
        out: Shape and dtype of `x`.
        cache: What `gelu_backward` needs.

    Raises:
        ValueError: `approximate` is neither "none" nor "tanh".

    Source:
        Hendrycks & Gimpel 2016, "Gaussian Error Linear Units (GELUs)", section 2.
    """
    ### BEGIN SOLUTION
    if approximate == "none":
        below = (1 + erf(x / math.sqrt(2))) / 2
    elif approximate == "tanh":
        # Beyond 10 the tanh is 1 to the last digit, and x**3 could overflow.
        near = np.clip(x, -10, 10)
        below = (1 + np.tanh(math.sqrt(2 / math.pi) * (near + 0.044715 * near * near * near))) / 2
    else:
        raise ValueError(f'approximate is {approximate!r}; it must be "none" or "tanh".')
    return x * below, (x, below, approximate)
    ### END SOLUTION


# %% tags=["check"]
gs.check("gelu_forward")

# %% [markdown]
# Backward, a product has two slopes: that of `x`, which is 1, and that of the share. The share's own
# slope is the normal distribution's density, or, in the tanh form, what the chain rule makes of tanh.


# %%
def gelu_backward(dout: Float[np.ndarray, "*shape"], cache: tuple) -> Float[np.ndarray, "*shape"]:
    """Return the gradient of x, by the product rule.

    out = x * below(x), so dx = dout * (below + x * slope), slope the derivative of below:

    "none":  slope = exp(-x**2 / 2) / sqrt(2 * pi)
    "tanh":  slope = (1 - tanh(u)**2) / 2 * u', u = sqrt(2 / pi) * (x + 0.044715 * x**3)

    Args:
        dout: Gradient of the loss with respect to `out`.
        cache: From `gelu_forward`.

    Returns:
        dx: Shape of `x`; finite for every finite x.

    Raises:
        ValueError: `dout` does not have the shape of `out`.

    Source:
        Hendrycks & Gimpel 2016, "Gaussian Error Linear Units (GELUs)", section 2.
    """
    ### BEGIN SOLUTION
    x, below, approximate = cache
    if dout.shape != x.shape:
        raise ValueError(f"dout has shape {dout.shape}; out has {x.shape}.")
    near = np.clip(x, -40, 40)  # the slope is 0 beyond; squares and cubes could overflow
    if approximate == "none":
        slope = np.exp(-(near**2) / 2) / math.sqrt(2 * math.pi)
    else:
        # 1 - tanh**2 = (1 - tanh)(1 + tanh) = 4 * below * (1 - below)
        slope = 2 * below * (1 - below) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * near**2)
    return dout * (below + near * slope)
    ### END SOLUTION


# %% tags=["check"]
gs.check("gelu_backward")

# %% tags=["demo"]
line = np.linspace(-4, 4, 801)
forms = {form: gelu_forward(line, form) for form in ("none", "tanh")}
form_gap = float(np.abs(forms["none"][0] - forms["tanh"][0]).max())
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6))
left.plot(line, np.maximum(line, 0), color=ORANGE)
left.plot(line, forms["none"][0], color=BLUE)
left.annotate("ReLU", (-2.6, 0.1), color=ORANGE)
left.annotate("GELU", (-2.2, -0.42), color=BLUE)
left.set(xlabel="x", ylabel="out", ylim=(-0.6, 3), xlim=(-4, 3), title="The bend")
right.plot(line, np.where(line > 0, 1, 0), color=ORANGE)
right.plot(line, gelu_backward(np.ones_like(line), forms["none"][1]), color=BLUE)
right.annotate("ReLU", (0.1, 0.3), color=ORANGE)
right.annotate("GELU", (1.5, 1.16), color=BLUE)
right.set(xlabel="x", ylabel="slope", xlim=(-4, 4), title="Its slope")
fig.tight_layout()
print(f"the two forms differ by at most {form_gap:.5f}")

# %% [markdown]
# **Question.** Look at the slopes left of 0. ReLU's is 0 there. What happens to a unit that is negative
# for *every* example?
#
# <details><summary>Answer</summary>
#
# Its gradient is 0 for every example. It never changes again: it is dead. GELU's slope is small there,
# but it is not 0, so the unit can come back.
#
# </details>
#
# Measure it, on purpose with a bad start: a bias of -7 switches every hidden unit off.


# %% tags=["demo"]
def revive(bend, start, seed, n_steps=400):
    """Train one hidden layer whose bias starts at `start`; return test accuracy and the share of dead units."""
    rng, state = np.random.default_rng(seed), {}
    params = {
        "w1": (rng.standard_normal((64, 48)) * np.sqrt(2 / 64)).astype(np.float32),
        "b1": start + zeros(48),
    }
    params |= {"w2": (rng.standard_normal((48, 10)) / np.sqrt(48)).astype(np.float32), "b2": zeros(10)}
    for _ in range(n_steps):
        chosen = rng.choice(train, 64)
        wide, cache1 = affine_forward(pixels[chosen], params["w1"], params["b1"])
        hidden, gelu_cache = gelu_forward(wide, "tanh") if bend == "GELU" else (np.maximum(wide, 0), None)
        logits, cache2 = affine_forward(hidden, params["w2"], params["b2"])
        _, dlogits = cross_entropy(logits, digits[chosen])
        dhidden, dw2, db2 = affine_backward(dlogits, cache2)
        dwide = gelu_backward(dhidden, gelu_cache) if bend == "GELU" else dhidden * (wide > 0)
        _, dw1, db1 = affine_backward(dwide, cache1)
        params, state = adam_step(params, {"w1": dw1, "b1": db1, "w2": dw2, "b2": db2}, state, 0.01)
    wide, at_test = pixels[train] @ params["w1"] + params["b1"], pixels[test] @ params["w1"] + params["b1"]
    hidden = gelu_forward(at_test, "tanh")[0] if bend == "GELU" else np.maximum(at_test, 0)
    guesses = (hidden @ params["w2"] + params["b2"]).argmax(axis=1)
    return float(np.mean(guesses == digits[test])), float(np.mean(wide.max(axis=0) < 0))


revived = {}
print("bias at the start   bend   test accuracy of three seeds   units that no example switches on")
for start in (0, -7):
    for bend in ("ReLU", "GELU"):
        runs = revived[bend, start] = [revive(bend, np.float32(start), seed) for seed in (0, 1, 2)]
        accuracies = "  ".join(f"{reached:.3f}" for reached, _ in runs)
        print(f"{start:17}   {bend}   {accuracies}          {np.mean([dead for _, dead in runs]):.0%}")

# %% [markdown]
# From a good start both learn equally well, so do not expect wonders from a soft bend. But from -7 ReLU
# is lost for ever, and GELU climbs out. In a long training, weights wander, and units that can come back
# are worth something.
#
# ### The kernels `gelu_forward.wgsl` and `gelu_backward.wgsl`
#
# One number per invocation, in the tanh form. One trap: for large arguments some drivers calculate tanh
# as a quotient of two infinities, and the answer is NaN. And $x^3$ is infinite from $10^{13}$ on. Beyond
# 6 the bend is over, so clamp x there before you cube it. But only inside the tanh: outside, x itself is
# multiplied.

# %% tags=["demo"]
gs.show_kernel("gelu_forward.wgsl")

# %% tags=["check"]
gs.check("gelu_forward.wgsl")

# %% tags=["demo"]
gs.show_kernel("gelu_backward.wgsl")

# %% tags=["check"]
gs.check("gelu_backward.wgsl")

# %% [markdown]
# ## 8.5 The feed-forward part: a memory at every position
#
# Attention moves information between positions. What is done with it at a position, once it is there? The
# feed-forward part is a small MLP with one hidden layer, usually four times as wide as the stream:
#
# $$\text{out} = \text{gelu}(x\, w_1 + b_1)\, w_2 + b_2$$
#
# Every position goes through it alone, and all through the same one.


# %%
def feed_forward_forward(
    x: Float[np.ndarray, "*batch d_model"], params: dict
) -> tuple[Float[np.ndarray, "*batch d_model"], tuple]:
    """Widen, bend, narrow: the same small MLP at every position.

    out = gelu(x @ w1 + b1) @ w2 + b2, GELU in its tanh form.

    Args:
        x: Vectors; the last axis holds the features.
        params: w1 (d_model, d_ff), b1 (d_ff,), w2 (d_ff, d_model), b2 (d_model,).

    Returns:
        out: Shape and dtype of `x`.
        cache: What `feed_forward_backward` needs.

    Raises:
        ValueError: The shapes of x, w1, b1, w2 and b2 do not fit together.

    Source:
        Vaswani et al. 2017, "Attention Is All You Need", eq. 2, with GELU for ReLU as in
        Radford et al. 2018.
    """
    ### BEGIN SOLUTION
    w1, b1, w2, b2 = (params[name] for name in ("w1", "b1", "w2", "b2"))
    d_model, d_ff = w1.shape
    if x.shape[-1:] != (d_model,):
        raise ValueError(f"x has shape {x.shape}; w1 {w1.shape} needs {d_model} features.")
    if b1.shape != (d_ff,) or w2.shape != (d_ff, d_model) or b2.shape != (d_model,):
        raise ValueError(f"b1 {b1.shape}, w2 {w2.shape} and b2 {b2.shape} do not fit w1 {w1.shape}.")
    wide, cache1 = affine_forward(x, w1, b1)
    hidden, gelu_cache = gelu_forward(wide, "tanh")
    out, cache2 = affine_forward(hidden, w2, b2)
    return out, (cache1, gelu_cache, cache2)
    ### END SOLUTION


# %% tags=["check"]
gs.check("feed_forward_forward")

# %% [markdown]
# On the way back you need nothing new: two affine layers with a bend between them.


# %%
def feed_forward_backward(
    dout: Float[np.ndarray, "*batch d_model"], cache: tuple
) -> tuple[Float[np.ndarray, "*batch d_model"], dict]:
    """Return the gradient of x and those of the parameters.

    Args:
        dout: Gradient of the loss with respect to `out`.
        cache: From `feed_forward_forward`.

    Returns:
        dx: Shape of `x`.
        grads: The gradients of w1, b1, w2 and b2 under these names, summed over all positions.

    Raises:
        ValueError: `dout` does not have the shape of `out`.

    Source:
        Rumelhart et al. 1986, "Learning representations by back-propagating errors", eq. 4 to 7.
    """
    ### BEGIN SOLUTION
    cache1, gelu_cache, cache2 = cache
    if dout.shape != cache1[0].shape:
        raise ValueError(f"dout has shape {dout.shape}; out has {cache1[0].shape}.")
    dhidden, dw2, db2 = affine_backward(dout, cache2)
    dwide = gelu_backward(dhidden, gelu_cache)
    dx, dw1, db1 = affine_backward(dwide, cache1)
    return dx, {"w1": dw1, "b1": db1, "w2": dw2, "b2": db2}
    ### END SOLUTION


# %% tags=["check"]
gs.check("feed_forward_backward")

# %% [markdown]
# **Question.** What can such a part do? Look at one hidden unit. Its column of $w_1$ is compared with x.
# Its row of $w_2$ is added to the stream, as often as x agreed with the column.
#
# So a column is a **key** and a row is a **value**: *if the stream looks like this, add that*. It is a
# memory with as many entries as hidden units. The next cell writes one by hand. It stores random facts,
# key to value, in vectors of 32 features, then asks for each key with some noise on it, and sees whether
# the right value comes out.


# %% tags=["demo"]
def recall(n_facts, bend, seed, d_model=32):
    """Return the share of facts that come back, from a part with one hidden unit per fact."""
    rng = np.random.default_rng(seed)
    keys, values = rng.standard_normal((2, n_facts, d_model))
    keys, values = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (keys, values))
    asked = keys + 0.3 * rng.standard_normal(keys.shape) / np.sqrt(d_model)
    # A unit fires when its key agrees by more than 0.6 with what is asked.
    params = {"w1": 10 * keys.T, "b1": np.full(n_facts, -6.0), "w2": values, "b2": np.zeros(d_model)}
    answers = feed_forward_forward(asked, params)[0] if bend else asked @ keys.T @ values
    return float(np.mean((answers @ values.T).argmax(axis=1) == np.arange(n_facts)))


FACTS = (8, 16, 32, 64, 128, 256, 512)
remembered = {
    bend: [np.mean([recall(n, bend, seed) for seed in range(3)]) for n in FACTS] for bend in (True, False)
}
fig, ax = plt.subplots(figsize=(6.5, 3.6))
for bend, colour, name in ((True, BLUE, "with the bend"), (False, ORANGE, "without")):
    ax.semilogx(FACTS, remembered[bend], "o-", color=colour, markersize=4, base=2)
    ax.annotate(f"  {name}", (512, remembered[bend][-1]), color=colour, va="center")
ax.set(
    xlabel="facts stored in 32 features",
    ylabel="share recalled",
    ylim=(0, 1.08),
    xlim=(7, 2200),
    title="A memory",
)
ax.set_xticks(FACTS, FACTS)
fig.tight_layout()
for n, with_bend, without in zip(FACTS, remembered[True], remembered[False], strict=True):
    print(f"{n:3} facts: {with_bend:.2f} with the bend, {without:.2f} without")

# %% [markdown]
# Without a bend the two layers are one matrix of 32 by 32, and more facts than features run into each
# other. With it, a unit that agrees only a little stays silent, and 512 facts fit. That is why the part
# widens: each hidden unit is one more entry.
#
# In trained language models people have looked at single units and found just that: keys that fire on
# "ends with the name of a town", values that make the right next word likely (Geva et al. 2021).
#
# **Question.** A block has four attention matrices of `d_model` by `d_model`, and a feed-forward part
# that is four times as wide. Where are most of its weights?
#
# <details><summary>Answer</summary>
#
# Attention has $4 d^2$, the feed-forward part $2 \cdot 4 d^2 = 8 d^2$. Two thirds of the weights are in
# the memory.
#
# </details>
#
# ## 8.6 The parts on your kernels
#
# One kernel is left. What a part makes is added to the stream: `residual_add.wgsl`, the simplest one of
# this stage and the one that makes a transformer deep.

# %% tags=["demo"]
gs.show_kernel("residual_add.wgsl")

# %% tags=["check"]
gs.check("residual_add.wgsl")

# %% [markdown]
# Now all of them against their NumPy twins, on sizes that no workgroup divides.

# %% tags=["demo"]
rng = np.random.default_rng(8)
N_TOKENS, N_VOCAB, D_MODEL, EPS = 35, 11, 70, 1e-5
tokens = rng.integers(0, N_VOCAB, N_TOKENS).astype(np.int32)
table = rng.standard_normal((N_VOCAB, D_MODEL)).astype(np.float32)
x, dout = rng.standard_normal((2, N_TOKENS, D_MODEL)).astype(np.float32)
gamma, beta = rng.standard_normal((2, D_MODEL)).astype(np.float32)

out, cache = layer_norm_forward(x, gamma, beta, EPS)
dx, dgamma, dbeta = layer_norm_backward(dout, cache)
mine = gs.kernel("layer_norm_forward.wgsl")(x=x, gamma=gamma, beta=beta, eps=EPS)
back = gs.kernel("layer_norm_backward.wgsl")(
    dout=dout, x=x, gamma=gamma, mean=mine["mean"], rstd=mine["rstd"]
)
bent, bend_cache = gelu_forward(x, "tanh")
rows, lookup_cache = embedding_forward(tokens, table)
pairs = {
    "layer_norm_forward": (mine["out"], out),
    "layer_norm_backward, dx": (back["dx"], dx),
    "layer_norm_backward, dgamma": (back["dgamma"], dgamma),
    "layer_norm_backward, dbeta": (back["dbeta"], dbeta),
    "gelu_forward": (gs.kernel("gelu_forward.wgsl")(x=x.ravel()), bent.ravel()),
    "gelu_backward": (
        gs.kernel("gelu_backward.wgsl")(dout=dout.ravel(), x=x.ravel()),
        gelu_backward(dout, bend_cache).ravel(),
    ),
    "embedding_forward": (gs.kernel("embedding_forward.wgsl")(tokens=tokens, table=table), rows),
    "embedding_backward": (
        gs.kernel("embedding_backward.wgsl")(tokens=tokens, dout=dout, n_vocab=N_VOCAB),
        embedding_backward(dout, lookup_cache),
    ),
    "add_positions": (
        gs.kernel("add_positions.wgsl")(x=x.reshape(5, 7, D_MODEL), positions=table, start=2),
        x.reshape(5, 7, D_MODEL) + table[2:9],
    ),
    "residual_add": (gs.kernel("residual_add.wgsl")(x=x.ravel(), residual=dout.ravel()), (x + dout).ravel()),
}
part_gaps = {name: float(np.abs(kernel - twin).max()) for name, (kernel, twin) in pairs.items()}
for name, gap in part_gaps.items():
    print(f"{name:28} differs from its twin by at most {gap:.1e}")

# %% [markdown]
# And a chain: from tokens to the stream after one feed-forward part, with nothing coming back to the host
# in between. The arrays stay on the device, and the affine layers run on stage 1's kernel. `gs.kernel` finds it
# when the folder of stage 1 lies beside this one.

# %% tags=["demo"]
SEQ, D_FF = 7, 4 * D_MODEL
positions = sinusoidal_positions(SEQ, D_MODEL).astype(np.float32)
weights = {
    "w1": (rng.standard_normal((D_MODEL, D_FF)) / np.sqrt(D_MODEL)).astype(np.float32),
    "b1": zeros(D_FF),
    "w2": (rng.standard_normal((D_FF, D_MODEL)) / np.sqrt(D_FF)).astype(np.float32),
    "b2": zeros(D_MODEL),
}


def stream_in_numpy():
    stream = embedding_forward(tokens.reshape(-1, SEQ), table)[0] + positions
    return stream + feed_forward_forward(layer_norm_forward(stream, gamma, beta, EPS)[0], weights)[0]


def stream_on_kernels():
    """The same on the device: every argument and every result stays there until `.numpy()`."""
    on_device = {name: gs.to_device(value) for name, value in weights.items()}
    affine = gs.kernel("affine_forward.wgsl")
    rows = gs.kernel("embedding_forward.wgsl")(tokens=gs.to_device(tokens), table=gs.to_device(table))
    stream = gs.kernel("add_positions.wgsl")(
        x=rows.reshape(-1, SEQ, D_MODEL), positions=gs.to_device(positions), start=0
    )
    stream = stream.reshape(-1, D_MODEL)
    read = gs.kernel("layer_norm_forward.wgsl")(x=stream, gamma=gamma, beta=beta, eps=EPS)["out"]
    wide = affine(x=read, w=on_device["w1"], b=on_device["b1"])
    bent = gs.kernel("gelu_forward.wgsl")(x=wide.reshape(-1)).reshape(-1, D_FF)
    added = affine(x=bent, w=on_device["w2"], b=on_device["b2"])
    return gs.kernel("residual_add.wgsl")(x=added.reshape(-1), residual=stream.reshape(-1))


chained = stream_on_kernels().numpy().reshape(-1, SEQ, D_MODEL)
chain_gap = float(np.abs(chained - stream_in_numpy()).max())
print(f"the stream after six kernels in a row differs from NumPy's by at most {chain_gap:.1e}")

# %% [markdown]
# You have all the parts. What is missing is the order in which they stand, and that is the transformer.

# %% [markdown]
# ## 8.7 The block
#
# Now put the pieces together. A **block** has two halves. In the first, attention: each position reads
# from the others. In the second, the feed-forward part: each position works on what it has read. Both
# halves *add* their result to what came in, as the residual blocks of stage 5 did.
#
# ![The residual stream of an encoder block: two branches read from it and add to it](figures/residual_stream.svg)
#
# The thick line is the **residual stream**: one vector of `d_model` numbers per position. Nothing
# ever overwrites it. A block reads it, computes something, and adds that.
#
# **Question.** Where would you put the norms? They keep numbers in range, so *some* place needs them.
#
# <details><summary>Answer</summary>
#
# There are two schools. The paper of 2017 put them on the stream, after each sum: **post-norm**. Then
# the stream itself is normalized again and again. Most models since 2019 put them on the branch, before
# attention and before the feed-forward part: **pre-norm**. Then the stream runs from the first to the
# last block untouched, and each branch reads a normalized copy.
#
# </details>
#
# | | pre | post |
# |---|---|---|
# | attention | `x = x + attention(norm1(x))` | `x = norm1(x + attention(x))` |
# | feed-forward | `x = x + feed_forward(norm2(x))` | `x = norm2(x + feed_forward(x))` |
#
# Two branches, two norms: each branch needs its own input in range. Below we will measure what happens
# without.
#
# We will also want to take parts *out*, to see what breaks. So each block and the whole model take an
# argument `without`: a tuple of names of parts that are left out. A part that is left out leaves
# its parameters unused; their gradients are zeros. Three helpers do this:


# %%
def norm_forward(x, params, name, without=()):
    """Layer norm with `name.gamma` and `name.beta` of `params`; x itself where norms are left out."""
    if "norm" in without:
        return x, None
    return layer_norm_forward(x, params[f"{name}.gamma"], params[f"{name}.beta"])


def norm_backward(dout, cache, name):
    """Return dx, and the gradients of gamma and beta under the names of their parameters."""
    if cache is None:
        return dout, {}
    dx, dgamma, dbeta = layer_norm_backward(dout, cache)
    return dx, {f"{name}.gamma": dgamma, f"{name}.beta": dbeta}


def with_zeros(grads, params):
    """One gradient for each parameter, in the order of `params`; zeros where `grads` holds none."""
    return {name: grads[name] if name in grads else np.zeros_like(value) for name, value in params.items()}


# %% [markdown]
# A fourth makes the initial weights of a block: Xavier's, of stage 3, for matrices, and plain norms.


# %%
def init_block(kinds, d_model, d_ff, rng, dtype=np.float32):
    """Initial parameters of a block with the branches `kinds`, such as ("attn", "ff")."""
    params = {}
    for i, kind in enumerate(kinds, start=1):
        params[f"norm{i}.gamma"], params[f"norm{i}.beta"] = np.ones(d_model), np.zeros(d_model)
        if kind == "ff":
            shapes = {"w1": (d_model, d_ff), "b1": (d_ff,), "w2": (d_ff, d_model), "b2": (d_model,)}
        else:
            shapes = dict.fromkeys(("wq", "wk", "wv", "wo"), (d_model, d_model))
        for name, shape in shapes.items():
            bound = math.sqrt(6 / sum(shape)) if len(shape) == 2 else 0.0
            params[f"{kind}.{name}"] = rng.uniform(-bound, bound, shape)
    return {name: value.astype(dtype) for name, value in params.items()}


# %% [markdown]
# **Your turn.** Attention is `multi_head_attention_forward(x_q, x_kv, params, n_heads, mask)`, given at the
# top; in an encoder both its inputs are the same.


# %%
def encoder_block_forward(
    x: Float[np.ndarray, "batch seq d_model"],
    params: dict,
    n_heads: int,
    mask: Bool[np.ndarray, "..."] | None = None,
    norm: str = "pre",
    without: tuple = (),
) -> tuple[Float[np.ndarray, "batch seq d_model"], dict]:
    """Attention, then feed-forward, each added to the stream.

    "pre":   x = x + attention(norm1(x)),   then x = x + feed_forward(norm2(x))
    "post":  x = norm1(x + attention(x)),   then x = norm2(x + feed_forward(x))

    Args:
        x: The stream.
        params: norm1.gamma, norm1.beta, attn.wq, attn.wk, attn.wv, attn.wo, norm2.gamma, norm2.beta, ff.w1,
            ff.b1, ff.w2, ff.b2.
        n_heads: Heads of the attention.
        mask: True = may attend; (seq, seq), (batch, 1, seq) or (batch, seq, seq). None allows all.
        norm: "pre" or "post".
        without: What is left out. "norm": both norms do nothing. "residual": a branch's result replaces the
            stream and is not added to it. "feed_forward": the second line falls away, norm2 with it. Other
            names mean nothing here.

    Returns:
        out: Shape and dtype of `x`.
        cache: What `encoder_block_backward` needs.

    Raises:
        ValueError: x does not have three axes; `norm` is neither "pre" nor "post".

    Source:
        Vaswani et al. 2017, "Attention Is All You Need", section 3.1; "pre": Xiong et al. 2020, "On Layer
        Normalization in the Transformer Architecture", table 1.
    """
    ### BEGIN SOLUTION
    if x.ndim != 3:
        raise ValueError(f"x has shape {x.shape}; a block needs (batch, seq, d_model).")
    if norm not in ("pre", "post"):
        raise ValueError(f'norm is {norm!r}; it must be "pre" or "post".')
    cache = {"params": params, "norm": norm, "without": without, "steps": []}
    for name, kind in (("norm1", "attn"), ("norm2", "ff")):
        if kind == "ff" and "feed_forward" in without:
            continue
        read, norm_cache = norm_forward(x, params, name, without) if norm == "pre" else (x, None)
        if kind == "attn":
            added, branch = multi_head_attention_forward(read, read, part(params, "attn."), n_heads, mask)
        else:
            added, branch = feed_forward_forward(read, part(params, "ff."))
        x = added if "residual" in without else x + added
        if norm == "post":
            x, norm_cache = norm_forward(x, params, name, without)
        cache["steps"].append((name, kind, norm_cache, branch))
    return x, cache | {"shape": x.shape}
    ### END SOLUTION


# %% tags=["check"]
gs.check("encoder_block_forward")

# %% [markdown]
# On the way back, do everything in reverse. Where a branch left the stream and came back to it, two
# gradients meet: add them.


# %%
def encoder_block_backward(
    dout: Float[np.ndarray, "batch seq d_model"], cache: dict
) -> tuple[Float[np.ndarray, "batch seq d_model"], dict]:
    """Return the gradient of the stream and those of the parameters.

    Args:
        dout: Gradient of the loss with respect to `out`.
        cache: From `encoder_block_forward`.

    Returns:
        dx: Shape of `x`.
        grads: One gradient for each entry of `params`, under the same name; zeros for what was left out.

    Raises:
        ValueError: `dout` does not have the shape of `out`.

    Source:
        Rumelhart et al. 1986, "Learning representations by back-propagating errors", eq. 4 to 7.
    """
    ### BEGIN SOLUTION
    if dout.shape != cache["shape"]:
        raise ValueError(f"dout has shape {dout.shape}; out has {cache['shape']}.")
    dx, grads = dout, {}
    for name, kind, norm_cache, branch in reversed(cache["steps"]):
        if cache["norm"] == "post":
            dx, norm_grads = norm_backward(dx, norm_cache, name)
            grads |= norm_grads
        if kind == "attn":
            dq, dkv, own = multi_head_attention_backward(dx, branch)
            dread = dq + dkv
        else:
            dread, own = feed_forward_backward(dx, branch)
        grads |= prefixed(f"{kind}.", own)
        if cache["norm"] == "pre":
            dread, norm_grads = norm_backward(dread, norm_cache, name)
            grads |= norm_grads
        dx = dread if "residual" in cache["without"] else dx + dread
    return dx, with_zeros(grads, cache["params"])
    ### END SOLUTION


# %% tags=["check"]
gs.check("encoder_block_backward")

# %% [markdown]
# ## 8.8 What the stream carries
#
# **Question.** Stack 24 of these blocks, with fresh weights. How long are the vectors of the stream after each
# one, with pre-norm and with post-norm? And how large is the gradient in the *first* block, compared with the
# last? Write down your guesses.


# %% tags=["demo"]
def stack_sizes(norm, without=(), depth=24, seed=0):
    """Return per block: length of the stream, length of what the block adds, size of its gradient."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((8, 10, 32)).astype(np.float32)
    blocks = [init_block(("attn", "ff"), 32, 64, rng) for _ in range(depth)]
    caches, lengths, added, slopes = [], [], [], []
    for params in blocks:
        out, cache = encoder_block_forward(x, params, 4, None, norm, without)
        caches.append(cache)
        lengths.append(np.linalg.norm(out, axis=-1).mean())
        added.append(np.linalg.norm(out - x, axis=-1).mean())
        x = out
    dx = rng.standard_normal(x.shape).astype(np.float32)
    for cache in reversed(caches):
        dx, grads = encoder_block_backward(dx, cache)
        slopes.append(np.sqrt(sum((grad**2).sum() for grad in grads.values())))
    return np.array(lengths), np.array(added), np.array(slopes[::-1])


STACKS = {"pre": ("pre", (), BLUE), "post": ("post", (), ORANGE), "no norm": ("pre", ("norm",), GREY)}
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8))
stack_results = {}
for name, (norm, without, colour) in STACKS.items():
    stack_results[name] = lengths, added, slopes = stack_sizes(norm, without)
    left.plot(range(1, 25), lengths, color=colour)
    left.plot(range(1, 25), added, color=colour, linestyle=":")
    left.annotate(f" {name}", (24, lengths[-1]), color=colour, va="center")
    right.semilogy(range(1, 25), slopes / slopes[-1], color=colour)
    right.annotate(f"{name} ", (1, slopes[0] / slopes[-1]), color=colour, va="center", ha="right")
    print(
        f"{name:8} stream {lengths[0]:6.1f} after block 1, {lengths[-1]:8.1f} after block 24; "
        f"gradient of block 1 / block 24: {slopes[0] / slopes[-1]:.2f}"
    )
left.set(
    xlabel="block",
    ylabel="length",
    xlim=(0, 29),
    yscale="log",
    title="The stream, and (dotted) what is added",
)
right.set(xlabel="block", ylabel="gradient, last block = 1", xlim=(-5, 25), xticks=range(5, 30, 5))
right.set_title("The gradient on its way down")
fig.tight_layout()

# %% [markdown]
# Without a norm, a block adds something in proportion to what it got. So lengths *multiply*, block by block,
# and after 24 of them the stream is some hundred thousand times too long. The gradients are as far apart.
#
# Both norms stop that. With post-norm the stream is as long everywhere, $\sqrt{32}$. With pre-norm every branch
# reads vectors of that length, whatever the stream is, and adds a piece of much the same size each time. The
# stream grows, but like a sum and not like a product. That is what the two norms of a block are for: one
# per branch, because each branch needs its input in range.
#
# And pre against post? At fresh weights both hand a useful gradient to the first block. The next
# cell lets them *learn*: 12 blocks, the task to write five digits backwards, a full learning rate from the
# first step on.
#
# **Question.** Four stacks: pre-norm, post-norm, no norm, pre-norm without the shortcut. To guess at random
# costs $\log 10 \approx 2.3$ nats. Which of them gets below?


# %% tags=["demo"]
def deep_run(norm, without=(), depth=12, n_steps=150, lr=0.003):
    """Train a stack of encoder blocks to write digits backwards; return the losses."""
    rng = np.random.default_rng(0)
    params = {"table": (rng.standard_normal((10, 32)) / math.sqrt(32)).astype(np.float32)}
    params |= {"norm.gamma": np.ones(32, np.float32), "norm.beta": np.zeros(32, np.float32)}
    for i in range(depth):
        params |= prefixed(f"block{i}.", init_block(("attn", "ff"), 32, 64, rng))
    positions, state, losses = sinusoidal_positions(5, 32).astype(np.float32), {}, []
    last_norm = without if norm == "pre" else ("norm",)  # a post-norm stream is normalized already
    for step in range(n_steps):
        digits = rng.integers(0, 10, (16, 5))
        x, lookup = embedding_forward(digits, params["table"])
        x, caches = x * math.sqrt(32) + positions, []
        for i in range(depth):
            x, cache = encoder_block_forward(x, part(params, f"block{i}."), 4, None, norm, without)
            caches.append(cache)
        y, norm_cache = norm_forward(x, params, "norm", last_norm)
        loss, dlogits = cross_entropy(y @ params["table"].T, digits[:, ::-1])
        dx, grads = norm_backward(dlogits @ params["table"], norm_cache, "norm")
        for i in reversed(range(depth)):
            dx, own = encoder_block_backward(dx, caches[i])
            grads |= prefixed(f"block{i}.", own)
        from_output = dlogits.reshape(-1, 10).T @ y.reshape(-1, 32)
        grads["table"] = from_output + embedding_backward(dx * math.sqrt(32), lookup)
        params, state = adam_step(params, grads, state, lr * (1 - step / n_steps))
        losses.append(loss)
    return np.array(losses)


DEEP = {"no shortcut": ("pre", ("residual",), INK), **STACKS}
deep_losses = {name: deep_run(norm, without) for name, (norm, without, _) in DEEP.items()}
fig, ax = plt.subplots(figsize=(6.5, 3.8))
for name, losses in deep_losses.items():
    print(f"{name:12} loss of the last 15 steps {losses[-15:].mean():6.2f}")
    if name == "no norm":
        continue  # far above the picture
    smooth = np.convolve(losses, np.ones(15) / 15, mode="valid")
    ax.plot(np.arange(len(smooth)) + 7, smooth, color=DEEP[name][2])
    above = 0.06 if name == "no shortcut" else 0
    ax.annotate(f" {name}", (len(smooth) + 7, smooth[-1] + above), color=DEEP[name][2], va="center")
ax.axhline(math.log(10), color=GREY, linewidth=1)
ax.annotate("guessing", (179, math.log(10) - 0.07), color=GREY, fontsize=9, va="center", ha="right")
ax.set(xlabel="step", ylabel="loss [nats]", xlim=(0, 180), ylim=(1, 2.6), title="Twelve blocks, no warm-up")
fig.tight_layout()

# %% [markdown]
# Pre-norm learns at once. Post-norm is slow: every gradient passes 24 norms on its way down, and none of it
# arrives as it was. (It *can* be trained; the paper of 2017 raised its learning rate over 4000 steps for that.)
# Without norms the model starts tens of nats off, and spends its steps on getting its size under
# control. Without the shortcut the stack knows nothing: what the first block should learn is hidden behind
# eleven others. You know that from stage 5.

# %% [markdown]
# ## 8.9 The decoder block: looking back, and looking across
#
# An encoder reads a whole sentence. A **decoder** writes one, a token at a time, and each new token may
# depend on two things: what is already written, and what the encoder has read. So its block has three
# branches:
#
# 1. **self-attention** over the tokens written so far, with the causal mask;
# 2. **cross-attention**: the queries come from the decoder's stream, keys and values from the encoder's
#    output, which is called the **memory**;
# 3. the feed-forward part.
#
# **Question.** While training, the whole target is known. Why must position 3 not see position 4?
#
# <details><summary>Answer</summary>
#
# Because position 3 is asked to predict what stands at position 4. Could it look there, it would copy. The
# loss would fall to 0, and nothing would have been learned: when the model writes by itself, there
# is nothing at position 4 to copy.
#
# </details>
#
# **Question.** Does the causal mask apply to cross-attention, too?
#
# <details><summary>Answer</summary>
#
# No. The source is all there before the first token is written. Only its padding is masked.
#
# </details>
#
# The memory is the same for all decoder blocks. It is not normalized again on the way in: the encoder has
# done that at its end.


# %%
def decoder_block_forward(
    x: Float[np.ndarray, "batch seq d_model"],
    memory: Float[np.ndarray, "batch n_keys d_model"],
    params: dict,
    n_heads: int,
    self_mask: Bool[np.ndarray, "..."] | None = None,
    cross_mask: Bool[np.ndarray, "..."] | None = None,
    norm: str = "pre",
    without: tuple = (),
) -> tuple[Float[np.ndarray, "batch seq d_model"], dict]:
    """Self-attention, cross-attention, feed-forward, each added to the stream.

    "pre":   x = x + self_attention(norm1(x)),          then x = x + cross_attention(norm2(x), memory),
             then x = x + feed_forward(norm3(x))
    "post":  x = norm1(x + self_attention(x)),          then x = norm2(x + cross_attention(x, memory)),
             then x = norm3(x + feed_forward(x))

    Args:
        x: The decoder's stream.
        memory: The encoder's output: where the cross-attention's keys and values come from.
        params: norm1.*, self.wq .. self.wo, norm2.*, cross.wq .. cross.wo, norm3.*, ff.*.
        n_heads: Heads of both attentions.
        self_mask: True = may attend; (seq, seq), (batch, 1, seq) or (batch, seq, seq). None allows all.
        cross_mask: The same over the memory: (seq, n_keys), (batch, 1, n_keys) or (batch, seq, n_keys).
        norm: "pre" or "post".
        without: As in `encoder_block_forward`; "feed_forward" leaves norm3 out with it.

    Returns:
        out: Shape and dtype of `x`.
        cache: A dict for `decoder_block_backward`. `cache["cross_attn"]` holds the weights of the
            cross-attention, (batch, n_heads, seq, n_keys).

    Raises:
        ValueError: x or memory does not have three axes; `norm` is neither "pre" nor "post".

    Source:
        Vaswani et al. 2017, "Attention Is All You Need", section 3.1 and figure 1.
    """
    ### BEGIN SOLUTION
    if x.ndim != 3 or memory.ndim != 3:
        raise ValueError(f"x {x.shape} and memory {memory.shape} must be (batch, seq, d_model).")
    if norm not in ("pre", "post"):
        raise ValueError(f'norm is {norm!r}; it must be "pre" or "post".')
    cache = {"params": params, "norm": norm, "without": without, "steps": []}
    for name, kind in (("norm1", "self"), ("norm2", "cross"), ("norm3", "ff")):
        if kind == "ff" and "feed_forward" in without:
            continue
        read, norm_cache = norm_forward(x, params, name, without) if norm == "pre" else (x, None)
        own = part(params, f"{kind}.")
        if kind == "self":
            added, branch = multi_head_attention_forward(read, read, own, n_heads, self_mask)
        elif kind == "cross":
            added, branch = multi_head_attention_forward(read, memory, own, n_heads, cross_mask)
            cache["cross_attn"] = branch["attn"]
        else:
            added, branch = feed_forward_forward(read, own)
        x = added if "residual" in without else x + added
        if norm == "post":
            x, norm_cache = norm_forward(x, params, name, without)
        cache["steps"].append((name, kind, norm_cache, branch))
    return x, cache | {"shape": x.shape}
    ### END SOLUTION


# %% tags=["check"]
gs.check("decoder_block_forward")


# %%
def decoder_block_backward(
    dout: Float[np.ndarray, "batch seq d_model"], cache: dict
) -> tuple[Float[np.ndarray, "batch seq d_model"], Float[np.ndarray, "batch n_keys d_model"], dict]:
    """Return the gradients of the stream, of the memory and of the parameters.

    Args:
        dout: Gradient of the loss with respect to `out`.
        cache: From `decoder_block_forward`.

    Returns:
        dx: Shape of `x`.
        dmemory: Shape of `memory`.
        grads: One gradient for each entry of `params`, under the same name; zeros for what was left out.

    Raises:
        ValueError: `dout` does not have the shape of `out`.

    Source:
        Rumelhart et al. 1986, "Learning representations by back-propagating errors", eq. 4 to 7.
    """
    ### BEGIN SOLUTION
    if dout.shape != cache["shape"]:
        raise ValueError(f"dout has shape {dout.shape}; out has {cache['shape']}.")
    dx, dmemory, grads = dout, None, {}
    for name, kind, norm_cache, branch in reversed(cache["steps"]):
        if cache["norm"] == "post":
            dx, norm_grads = norm_backward(dx, norm_cache, name)
            grads |= norm_grads
        if kind == "self":
            dq, dkv, own = multi_head_attention_backward(dx, branch)
            dread = dq + dkv
        elif kind == "cross":
            dread, dmemory, own = multi_head_attention_backward(dx, branch)
        else:
            dread, own = feed_forward_backward(dx, branch)
        grads |= prefixed(f"{kind}.", own)
        if cache["norm"] == "pre":
            dread, norm_grads = norm_backward(dread, norm_cache, name)
            grads |= norm_grads
        dx = dread if "residual" in cache["without"] else dx + dread
    return dx, dmemory, with_zeros(grads, cache["params"])
    ### END SOLUTION


# %% tags=["check"]
gs.check("decoder_block_backward")

# %% [markdown]
# What if the decoder *could* look ahead? Try it. The next cell trains a small encoder and decoder, made of one
# block each, to write five digits backwards. Once with the causal mask, once without. Then each writes by itself,
# token after token, from what it has written so far.
#
# **Question.** Which of the two reaches the lower training loss? Which writes better?


# %% tags=["demo"]
def one_block_each(params, src, tgt, self_mask):
    """Logits of an encoder block and a decoder block, and the caches."""
    positions = sinusoidal_positions(src.shape[1] + 1, 32).astype(np.float32)
    x, src_lookup = embedding_forward(src, params["table"])
    y, tgt_lookup = embedding_forward(tgt, params["table"])
    x, y = (h * math.sqrt(32) + positions[: h.shape[1]] for h in (x, y))
    memory, enc = encoder_block_forward(x, part(params, "enc."), 4)
    y, dec = decoder_block_forward(y, memory, part(params, "dec."), 4, self_mask)
    return y @ params["table"].T, (src_lookup, tgt_lookup, enc, dec, y)


def one_block_gradients(dlogits, params, caches):
    src_lookup, tgt_lookup, enc, dec, y = caches
    dtable = dlogits.reshape(-1, 12).T @ y.reshape(-1, 32)
    dy, dmemory, dec_grads = decoder_block_backward(dlogits @ params["table"], dec)
    dx, enc_grads = encoder_block_backward(dmemory, enc)
    for dstream, lookup in ((dx, src_lookup), (dy, tgt_lookup)):
        dtable = dtable + embedding_backward(dstream * math.sqrt(32), lookup)
    return {"table": dtable} | prefixed("enc.", enc_grads) | prefixed("dec.", dec_grads)


def backwards_run(causal, n_steps=300):
    """Train; return the last losses' mean and the share of digit strings written right."""
    rng = np.random.default_rng(0)
    params = {"table": (rng.standard_normal((12, 32)) / math.sqrt(32)).astype(np.float32)}
    params |= prefixed("enc.", init_block(("attn", "ff"), 32, 64, rng))
    params |= prefixed("dec.", init_block(("self", "cross", "ff"), 32, 64, rng))
    state, losses = {}, []
    for step in range(n_steps):
        src = rng.integers(2, 12, (32, 5))
        tgt = np.concatenate([np.ones((32, 1), int), src[:, :0:-1]], axis=1)  # 1 starts the target
        logits, caches = one_block_each(params, src, tgt, causal_mask(5) if causal else None)
        loss, dlogits = cross_entropy(logits, src[:, ::-1])
        grads = one_block_gradients(dlogits, params, caches)
        params, state = adam_step(params, grads, state, 0.005 * (1 - step / n_steps))
        losses.append(loss)
    src = rng.integers(2, 12, (200, 5))
    written = np.ones((200, 1), int)
    for t in range(5):
        logits, _ = one_block_each(params, src, written, causal_mask(t + 1) if causal else None)
        written = np.concatenate([written, logits[:, -1:].argmax(axis=-1)], axis=1)
    return np.mean(losses[-20:]), np.mean(np.all(written[:, 1:] == src[:, ::-1], axis=1))


ahead = {causal: backwards_run(causal) for causal in (True, False)}
for causal, (loss, right) in ahead.items():
    print(
        f"{'with' if causal else 'without':7} the causal mask: training loss {loss:.3f}, written right {right:.1%}"
    )

# %% [markdown]
# Both losses fall to zero, and one of the two models has learned nothing. It copied each answer from the place to
# its right. When it writes by itself, there is nothing there to copy. No curve of the training
# would have shown it: only writing does.

# %% [markdown]
# ## 8.10 The whole model
#
# ![Encoder and decoder: two stacks of blocks, joined by cross-attention](figures/transformer.svg)
#
# From tokens to probabilities, in five steps:
#
# 1. **Embed.** Look up a row of the table for each token, multiply it by $\sqrt{d_\text{model}}$, add the
#    sinusoidal positions of stage 7. (A table that starts with rows of length 1 would drown
#    beside sines and cosines. The factor makes both of a size.)
# 2. **Encode.** `n_layers` encoder blocks over the source. The mask hides the source's padding.
# 3. **Decode.** `n_layers` decoder blocks over the target: causal mask over itself, the padding mask
#    over the memory.
# 4. **Normalize**, with pre-norm only: the stream was never normalized, so each stack ends with one more norm.
# 5. **Score.** Compare each vector with the row of each token: `logits = y @ table.T`. The token whose row
#    points the same way gets the highest score. A softmax makes probabilities of them: that is
#    where they come from.
#
# Step 5 uses the *same* table as step 1: the embedding is **tied**. It then gets gradients from both ends.
#
# The parameters are again one flat dict. Blocks are `enc0.`, `enc1.`, ..., `dec0.`, ...; their names go on as
# above (`dec1.cross.wk`). `table` serves source, target and output. A model of two languages has `src_table`
# and `tgt_table` in its place, and the output is then tied to `tgt_table`. If there is `w_out`
# (d_model, n_vocab), the output is not tied: `logits = y @ w_out`.
#
# The choices that are not weights are in `config`:
#
# | key | meaning |
# |---|---|
# | `n_heads`, `n_layers` | heads of each attention; blocks of each stack |
# | `norm` | `"pre"` or `"post"` |
# | `pad` | the token that fills up short sources |
# | `without` | a tuple of parts left out; `"positions"` is one that only the whole model knows |
#
# A helper makes the initial weights, block by block:


# %%
def init_transformer(n_vocab, d_model, d_ff, config, rng, dtype=np.float32):
    """Initial parameters of a transformer with one table for source, target and output."""
    params = {"table": (rng.standard_normal((n_vocab, d_model)) / math.sqrt(d_model)).astype(dtype)}
    for i in range(config["n_layers"]):
        params |= prefixed(f"enc{i}.", init_block(("attn", "ff"), d_model, d_ff, rng, dtype))
        params |= prefixed(f"dec{i}.", init_block(("self", "cross", "ff"), d_model, d_ff, rng, dtype))
    if config["norm"] == "pre":
        for name in ("enc_norm", "dec_norm"):
            params[f"{name}.gamma"], params[f"{name}.beta"] = (
                np.ones(d_model, dtype),
                np.zeros(d_model, dtype),
            )
    return params


# %%
def transformer_forward(
    src: Int[np.ndarray, "batch src_seq"], tgt: Int[np.ndarray, "batch tgt_seq"], params: dict, config: dict
) -> tuple[Float[np.ndarray, "batch tgt_seq n_vocab"], dict]:
    """Encode the source, decode the target, score every token of the vocabulary.

    x = table[tokens] * sqrt(d_model) + positions, for source and target
    memory = enc_norm(encoder blocks(x_src)), each with the mask `src != pad`
    y = dec_norm(decoder blocks(x_tgt, memory)), with the causal mask over tgt and `src != pad` over memory
    logits = y @ table.T

    enc_norm and dec_norm are there with "pre" only.

    Args:
        src: Tokens of the sources, filled up with `config["pad"]`.
        tgt: Tokens that the decoder has before it: what position t predicts comes after tgt[:, t].
        params: `table`, or `src_table` and `tgt_table`; enc{i}.* as in `encoder_block_forward`, dec{i}.* as in
            `decoder_block_forward`; enc_norm.* and dec_norm.* with "pre"; `w_out` when the output is not tied.
        config: n_heads, n_layers, norm, pad, and optionally `without` (default nothing): passed on to the
            blocks; "norm" leaves enc_norm and dec_norm out, too, and "positions" the positions of both sides.

    Returns:
        logits: One score per token of the target's vocabulary.
        cache: A dict for `transformer_backward`. `cache["cross_attn"]` is a list: the cross-attention of each
            decoder block, (batch, n_heads, tgt_seq, src_seq).

    Raises:
        ValueError: src or tgt does not have two axes, or they differ in their batch.

    Source:
        Vaswani et al. 2017, "Attention Is All You Need", figure 1 and section 3.4.
    """
    ### BEGIN SOLUTION
    if src.ndim != 2 or tgt.ndim != 2 or len(src) != len(tgt):
        raise ValueError(f"src {src.shape} and tgt {tgt.shape} must be (batch, seq) with the same batch.")
    n_heads, norm, without = config["n_heads"], config["norm"], config.get("without", ())
    names = ["table"] * 2 if "table" in params else ["src_table", "tgt_table"]
    lookups, streams = [], []
    for tokens, name in zip((src, tgt), names, strict=True):
        x, lookup = embedding_forward(tokens, params[name])
        x = x * math.sqrt(x.shape[-1])
        if "positions" not in without:
            x = x + sinusoidal_positions(*x.shape[1:]).astype(x.dtype)
        lookups.append(lookup)
        streams.append(x)
    memory, y = streams

    src_mask, tgt_mask = (src != config["pad"])[:, None, :], causal_mask(tgt.shape[1])
    encoder, decoder, enc_norm, dec_norm = [], [], None, None
    for i in range(config["n_layers"]):
        own = part(params, f"enc{i}.")
        memory, cache = encoder_block_forward(memory, own, n_heads, src_mask, norm, without)
        encoder.append(cache)
    if norm == "pre":
        memory, enc_norm = norm_forward(memory, params, "enc_norm", without)
    for i in range(config["n_layers"]):
        own = part(params, f"dec{i}.")
        y, cache = decoder_block_forward(y, memory, own, n_heads, tgt_mask, src_mask, norm, without)
        decoder.append(cache)
    if norm == "pre":
        y, dec_norm = norm_forward(y, params, "dec_norm", without)
    w_out = params["w_out"] if "w_out" in params else params[names[1]].T
    cache = {"params": params, "names": names, "lookups": lookups, "encoder": encoder, "decoder": decoder}
    cache |= {"enc_norm": enc_norm, "dec_norm": dec_norm, "memory": memory, "y": y, "w_out": w_out}
    return y @ w_out, cache | {"cross_attn": [block["cross_attn"] for block in decoder]}
    ### END SOLUTION


# %% tags=["check"]
gs.check("transformer_forward")

# %% [markdown]
# The way back has two places where gradients must be *added*, and where they are easily lost. The memory was
# read by every decoder block. The table was used three times.


# %%
def transformer_backward(dlogits: Float[np.ndarray, "batch tgt_seq n_vocab"], cache: dict) -> dict:
    """Return the gradients of all parameters.

    Args:
        dlogits: Gradient of the loss with respect to the logits.
        cache: From `transformer_forward`.

    Returns:
        grads: One gradient for each entry of `params`, under the same name; zeros for what was left out.

    Raises:
        ValueError: `dlogits` does not have the shape of the logits.

    Source:
        Press & Wolf 2017, "Using the Output Embedding to Improve Language Models", section 3, for
        the tied table.
    """
    ### BEGIN SOLUTION
    y, w_out, (src_name, tgt_name) = cache["y"], cache["w_out"], cache["names"]
    if dlogits.shape != (*y.shape[:2], w_out.shape[1]):
        raise ValueError(f"dlogits has shape {dlogits.shape}; the logits are of another.")
    dw_out = y.reshape(-1, y.shape[-1]).T @ dlogits.reshape(-1, dlogits.shape[-1])
    grads = {"w_out": dw_out} if "w_out" in cache["params"] else {tgt_name: dw_out.T}
    dy, norm_grads = norm_backward(dlogits @ w_out.T, cache["dec_norm"], "dec_norm")
    grads |= norm_grads
    dmemory = np.zeros_like(cache["memory"])
    for i, block in reversed(list(enumerate(cache["decoder"]))):
        dy, from_block, own = decoder_block_backward(dy, block)
        dmemory = dmemory + from_block
        grads |= prefixed(f"dec{i}.", own)
    dx, norm_grads = norm_backward(dmemory, cache["enc_norm"], "enc_norm")
    grads |= norm_grads
    for i, block in reversed(list(enumerate(cache["encoder"]))):
        dx, own = encoder_block_backward(dx, block)
        grads |= prefixed(f"enc{i}.", own)
    src_lookup, tgt_lookup = cache["lookups"]
    for name, lookup, dstream in ((src_name, src_lookup, dx), (tgt_name, tgt_lookup, dy)):
        dtable = embedding_backward(dstream * math.sqrt(y.shape[-1]), lookup)
        grads[name] = grads[name] + dtable if name in grads else dtable
    return with_zeros(grads, cache["params"])
    ### END SOLUTION


# %% tags=["check"]
gs.check("transformer_backward")

# %% [markdown]
# ## 8.11 Writing, one token at a time
#
# The trained model has no target to look at. It starts from one special token, `bos` (begin of sequence),
# and asks for the most likely next one. It appends that and asks again, until it says `eos` (end of
# sequence). To take the most likely one each time is called **greedy** decoding.
#
# **Question.** The model gives logits for *every* position. Which of them matter here?
#
# <details><summary>Answer</summary>
#
# Those of the last position. All others predict tokens that are written already.
#
# </details>
#
# **Question.** Is the encoder's work repeated for each token?
#
# <details><summary>Answer</summary>
#
# In the simple version, yes, and so is the decoder's for all earlier tokens. The causal mask says that their
# vectors cannot change, so they could be kept. Stage 9 does that, and calls it a cache.
#
# </details>


# %%
def greedy_decode(
    src: Int[np.ndarray, "batch src_seq"], params: dict, config: dict, bos: int, eos: int, max_len: int
) -> Int[np.ndarray, "batch max_len"]:
    """Write the most likely token, append it, and go on until `eos`.

    Each row starts from `bos`. A row that has written `eos` is finished: all after it is `config["pad"]`.

    Args:
        src: Tokens of the sources, filled up with `config["pad"]`.
        params: As in `transformer_forward`.
        config: As in `transformer_forward`.
        bos: Token that starts every target; not part of the result.
        eos: Token that ends a target; part of the result.
        max_len: Most tokens that are written; at least 1.

    Returns:
        tokens: What was written, filled up with `config["pad"]` to `max_len`; dtype int64. The first of
            equal logits is taken.

    Raises:
        ValueError: `max_len` is less than 1; src does not have two axes.

    Source:
        Sutskever et al. 2014, "Sequence to Sequence Learning with Neural Networks", section 3.2.
    """
    ### BEGIN SOLUTION
    if max_len < 1:
        raise ValueError(f"max_len is {max_len}; at least one token must be written.")
    if src.ndim != 2:
        raise ValueError(f"src has shape {src.shape}; it needs (batch, seq).")
    tokens = np.full((len(src), max_len), config["pad"], np.int64)
    written = np.full((len(src), 1), bos)
    running = np.ones(len(src), bool)
    for t in range(max_len):
        logits, _ = transformer_forward(src, written, params, config)
        best = logits[:, -1].argmax(axis=-1)
        tokens[running, t] = best[running]
        running = running & (best != eos)
        if not running.any():
            break
        written = np.concatenate([written, best[:, None]], axis=1)
    return tokens
    ### END SOLUTION


# %% tags=["check"]
gs.check("greedy_decode")

# %% [markdown]
# ## 8.12 Backwards and in order
#
# First runs: the source is one of two commands and up to five digits. `reverse 7 2 2 9` asks for 9 2 2 7, `sort 7 2
# 2 9` for 2 2 7 9. One model must learn both, from examples alone. There are 222,200 such commands; training
# draws 51,200, so most of the long ones in the test are new to it.
#
# Training shows the decoder the right target, moved one place: before each token stands what came before
# it, and first of all `bos`. So all positions learn at once. This is called **teacher forcing**. Positions
# behind `eos` are padding and do not count: their label is -1.
#
# Runs of this stage write **checkpoints** into a folder `checkpoints` beside the notebook: parameters,
# optimizer and losses every 100 steps. A run that was interrupted goes on where it was, and gives the very
# same numbers, because each step has a random generator of its own. A run that is finished is not repeated. If you
# change your functions and want to train anew, delete the folder.

# %% tags=["demo"]
import io
import json
import os
from pathlib import Path

PAD, BOS, EOS = 0, 1, 2
DIGIT_STEPS, DATE_STEPS = 800, 1000
CHECKPOINTS = Path("checkpoints")


def save_checkpoint(path, settings, params, state, losses):
    """Write everything a run needs to go on; a reader sees the old file or the new one, never half of one."""
    arrays = {f"params {name}": value for name, value in params.items()}
    arrays |= {f"state {name}": np.asarray(value) for name, value in state.items()}
    buffer = io.BytesIO()
    np.savez(buffer, settings=settings, losses=np.array(losses), **arrays)
    path.parent.mkdir(exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    unfinished.write_bytes(buffer.getvalue())
    unfinished.replace(path)


def load_checkpoint(path, settings):
    """Return params, state and losses, or None when there is no checkpoint of these settings."""
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as file:
        if str(file["settings"]) != settings:
            return None
        arrays = {name: file[name] for name in file.files}
    params, state = part(arrays, "params "), part(arrays, "state ")
    return params, state | {"t": int(state["t"])}, list(arrays["losses"])


def train(name, make_batch, n_vocab, config, seed, n_steps, lr=0.005, d_model=32):
    """Train a transformer; return its parameters and losses.

    `make_batch(rng)` returns sources and targets, both filled up with PAD, targets with EOS at their end.
    """
    path = CHECKPOINTS / f"{name}_seed{seed}.npz"
    settings = json.dumps([config, n_vocab, seed, n_steps, lr, d_model])
    found = load_checkpoint(path, settings)
    if found is None:
        params = init_transformer(n_vocab, d_model, 2 * d_model, config, np.random.default_rng(seed))
        found = params, {}, []
    params, state, losses = found
    for step in range(len(losses), n_steps):
        src, tgt = make_batch(np.random.default_rng([seed, step]))
        before = np.concatenate([np.full((len(tgt), 1), BOS), tgt[:, :-1]], axis=1)
        logits, cache = transformer_forward(src, before, params, config)
        loss, dlogits = cross_entropy(logits, np.where(tgt == PAD, -1, tgt))
        grads = transformer_backward(dlogits, cache)
        # The rate rises for 50 steps, while Adam gets to know the gradients, then falls in a straight line.
        rate = lr * min(1, (step + 1) / 50) * (1 - step / n_steps)
        params, state = adam_step(params, grads, state, rate)
        losses.append(loss)
        if (step + 1) % 100 == 0 or step + 1 == n_steps:
            save_checkpoint(path, settings, params, state, losses)
    return params, losses


def exact_matches(params, config, src, tgt):
    """For each row, whether greedy decoding writes exactly the target."""
    written = greedy_decode(src, params, config, BOS, EOS, tgt.shape[1])
    return np.all(written == tgt, axis=1)


# %% tags=["demo"]
REVERSE, SORT, FIRST_DIGIT, MOST_DIGITS = 3, 4, 5, 5


def digit_batch(rng, n=64):
    """Commands with digits, and what they ask for."""
    src, tgt = np.zeros((2, n, MOST_DIGITS + 1), int)
    for row in range(n):
        digits = FIRST_DIGIT + rng.integers(0, 10, rng.integers(2, MOST_DIGITS + 1))
        command = rng.choice([REVERSE, SORT])
        src[row, : len(digits) + 1] = command, *digits
        answer = digits[::-1] if command == REVERSE else np.sort(digits)
        tgt[row, : len(digits) + 1] = *answer, EOS
    return src, tgt


DIGITS_CONFIG = {"n_heads": 4, "n_layers": 2, "norm": "pre", "pad": PAD, "without": ()}
SEEDS = (0, 1, 2)


def both_tasks(params, config):
    """The share of new strings reversed right, and of those sorted right."""
    src, tgt = digit_batch(np.random.default_rng(2017), 600)
    right = exact_matches(params, config, src, tgt)
    return [float(np.mean(right[src[:, 0] == command])) for command in (REVERSE, SORT)]


digit_results = []
for seed in SEEDS:
    params, losses = train("digits", digit_batch, 15, DIGITS_CONFIG, seed, n_steps=DIGIT_STEPS)
    digit_results.append(both_tasks(params, DIGITS_CONFIG))
    reversed_right, sorted_right = digit_results[-1]
    print(
        f"seed {seed}: loss {np.mean(losses[-20:]):.4f}, reversed right {reversed_right:.1%}, sorted {sorted_right:.1%}"
    )

# %% [markdown]
# Every string comes out right. The two tasks use the same weights in quite different ways. To reverse, the
# decoder reads the source from its end, by *position*. To sort, it looks for the smallest digit
# not yet written, by *content*.
#
# ## 8.13 Dates
#
# Now something that people have written programs for: dates. `3 January 2021`, `Jan 3, 2021`, `03.01.2021` (day
# first) and `1/3/2021` (month first) are all `2021-01-03`. The model gets characters. Nobody tells it what a month
# is, or that a dot means "day first".
#
# For each seed 500 days are put aside, and no form of them is ever shown in training.

# %% tags=["demo"]
import datetime

MONTHS = "January February March April May June July August September October November December".split()
FIRST_DAY = datetime.date(1950, 1, 1).toordinal()
N_DAYS = datetime.date(2050, 1, 1).toordinal() - FIRST_DAY
CHARACTERS = sorted(set("0123456789-/., " + "".join(MONTHS)))
TOKEN_OF = {character: token for token, character in enumerate(CHARACTERS, start=3)}


def written_date(number, form):
    """Day `number` since 1950 in one of four forms."""
    day = datetime.date.fromordinal(FIRST_DAY + int(number))
    month = MONTHS[day.month - 1]
    if form == 0:
        return f"{day.day} {month} {day.year}"
    if form == 1:
        return f"{month[:3]} {day.day}, {day.year}"
    return f"{day:%d.%m.%Y}" if form == 2 else f"{day.month}/{day.day}/{day.year}"


def to_tokens(texts, length):
    """One row per text, filled up with PAD."""
    tokens = np.full((len(texts), length), PAD)
    for row, text in enumerate(texts):
        tokens[row, : len(text)] = [TOKEN_OF[character] for character in text]
    return tokens


def to_text(tokens):
    return "".join(CHARACTERS[token - 3] for token in tokens if token >= 3)


def date_pairs(numbers, forms):
    """Sources and targets for some days."""
    src = to_tokens([written_date(*pair) for pair in zip(numbers, forms, strict=True)], 17)
    iso = [datetime.date.fromordinal(FIRST_DAY + int(number)).isoformat() for number in numbers]
    return src, np.concatenate([to_tokens(iso, 10), np.full((len(src), 1), EOS)], axis=1)


DATES_CONFIG = {"n_heads": 4, "n_layers": 1, "norm": "pre", "pad": PAD, "without": ()}


def dates_run(seed, config=None, name="dates"):
    """Train on most days; return parameters, losses, and the test's sources, targets and verdicts."""
    config = config or DATES_CONFIG
    days = np.random.default_rng(seed).permutation(N_DAYS)
    unseen, seen = days[:500], days[500:]

    def date_batch(rng):
        return date_pairs(rng.choice(seen, 64), rng.integers(4, size=64))

    params, losses = train(name, date_batch, len(CHARACTERS) + 3, config, seed, n_steps=DATE_STEPS)
    src, tgt = date_pairs(unseen, np.arange(500) % 4)
    return params, losses, src, tgt, exact_matches(params, config, src, tgt)


date_runs = [dates_run(seed) for seed in SEEDS]
date_accuracies = [float(np.mean(run[-1])) for run in date_runs]
for seed, (params, losses, src, _, right) in zip(SEEDS, date_runs, strict=True):
    wrong = np.flatnonzero(~right)
    print(
        f"seed {seed}: loss {np.mean(losses[-20:]):.4f}, exactly right {np.mean(right):.1%} of 500 unseen days"
    )
    for row in wrong[:2]:
        written = greedy_decode(src[row : row + 1], params, DATES_CONFIG, BOS, EOS, 11)[0]
        print(f"   {to_text(src[row])!r} became {to_text(written)!r}")
n_date_weights = sum(value.size for value in date_runs[0][0].values())
print(f"{n_date_weights:,} weights")

# %% [markdown]
# **Question.** Where does the decoder look, while it writes each character? Think about `2021-01-03` from
# `Jan 3, 2021`, and then look.

# %% tags=["demo"]
params = date_runs[0][0]
EXAMPLES = ("3 August 2021", "Aug 3, 2021", "03.08.2021")
fig, axes = plt.subplots(1, 3, figsize=(11, 4.4))
for ax, text in zip(axes, EXAMPLES, strict=True):
    src = to_tokens([text], len(text))
    written = greedy_decode(src, params, DATES_CONFIG, BOS, EOS, 11)
    before = np.concatenate([[[BOS]], written[:, :-1]], axis=1)
    logits, cache = transformer_forward(src, before, params, DATES_CONFIG)
    cross_map = cache["cross_attn"][0][0].mean(axis=0)  # the mean over the heads
    ax.imshow(cross_map, cmap="Blues", vmin=0, vmax=0.6)
    ax.set_xticks(range(len(text)), list(text))
    ax.set_yticks(range(11), [*to_text(written[0]), "end"])
    ax.set_xlabel("read")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
axes[0].set_ylabel("written")
fig.suptitle("Cross-attention, mean of four heads")
fig.tight_layout()

# %% [markdown]
# Read a row from the left: "to write this character, the decoder read *there*". The year is copied digit by
# digit from wherever it stands. The month's digits read the letters of the month. And the same model finds
# them at the front, in the middle or after a dot.
#
# Cross-attention is a *soft pointer*. No rule for any form of date was written down; the queries learned to ask
# for "the next digit of the year", and the keys to answer to it.
#
# What comes out are probabilities. The next cell shows those of one character at a time.

# %% tags=["demo"]
exps = np.exp(logits[0] - logits[0].max(axis=-1, keepdims=True))
probabilities = exps / exps.sum(axis=-1, keepdims=True)
for place, row in enumerate(probabilities):
    best = np.argsort(row)[::-1][:3]
    names = ["end" if token == EOS else to_text([token]) or "?" for token in best]
    shown = "  ".join(f"{name} {row[token]:.4f}" for name, token in zip(names, best, strict=True))
    print(f"character {place:2}:  {shown}")

# %% [markdown]
# ## 8.14 What breaks without
#
# A transformer has five ideas besides attention itself: the stream, the norm, the feed-forward part, the positions,
# several heads. Which of them does it *need*? Do not argue. Take one out, train again, measure. This is called an
# **ablation**.


# %%
def ablate(config: dict, part: str) -> dict:
    """Return a configuration with one more part taken out of the model.

    "residual", "norm", "feed_forward" and "positions" are appended to `without`, unless they are there
    already; "heads" makes n_heads 1. Nothing else changes.

    Args:
        config: As in `transformer_forward`; it may lack `without`, and is not changed.
        part: "residual", "norm", "feed_forward", "positions" or "heads".

    Returns:
        config: A new dict; its `without` is a tuple, also where nothing was appended.

    Raises:
        ValueError: There is no such part.

    Source:
        Meyes et al. 2019, "Ablation Studies in Artificial Neural Networks", for the method.
    """
    ### BEGIN SOLUTION
    if part not in ("residual", "norm", "feed_forward", "positions", "heads"):
        raise ValueError(f"{part!r} is no part of a transformer that can be left out.")
    without = tuple(config.get("without", ()))
    if part == "heads":
        return {**config, "n_heads": 1, "without": without}
    if part not in without:
        without = (*without, part)
    return {**config, "without": without}
    ### END SOLUTION


# %% tags=["check"]
gs.check("ablate")


# %% [markdown]
# **Question.** Take the model of section 8.12, which reverses and sorts. For each of the five parts: does reversing
# suffer, does sorting, both, or none? Guess all five before you run the cell.

# %% tags=["demo"]
ABLATED = ("residual", "norm", "feed_forward", "positions", "heads")
ablations = {"whole": digit_results[0]}
for left_out in ABLATED:
    config = ablate(DIGITS_CONFIG, left_out)
    params, losses = train(f"digits_without_{left_out}", digit_batch, 15, config, 0, n_steps=DIGIT_STEPS)
    ablations[left_out] = both_tasks(params, config)
print("left out       reversed  sorted")
for name, (reversed_right, sorted_right) in ablations.items():
    print(f"{'nothing' if name == 'whole' else name:14} {reversed_right:7.1%} {sorted_right:7.1%}")

fig, ax = plt.subplots(figsize=(7.5, 3.8))
for place, results in enumerate(ablations.values()):
    for shift, value, colour in zip((0.18, -0.18), results, (BLUE, ORANGE), strict=True):
        ax.barh(place - shift, value, 0.32, color=colour)
        ax.annotate(f" {value:.0%}", (value, place - shift), va="center", fontsize=9, color=INK)
ax.set_yticks(range(6), ["whole model", *(f"without {name.replace('_', '-')}" for name in ABLATED)])
ax.invert_yaxis()
ax.set(
    xlim=(0, 1.12), xlabel="strings written exactly right", title="One part left out (same seed, same steps)"
)
ax.annotate("reversed", (0.4, 0.82), va="center", color=BLUE)
ax.annotate("sorted", (0.4, 1.18), va="center", color=ORANGE)
fig.tight_layout()

# %% [markdown]
# Without the stream nothing is learned, though there are only two layers in each stack. Without positions the
# model still *sorts*, for a sorted string does not depend on the order of its source; it cannot reverse.
# And the other three are hardly missed: without norms, without the feed-forward part, with a single head it
# does both. Are they useless? You saw in section 8.8 what norms are for: depth. And stage 7 had a task that
# needs two heads. That leaves the feed-forward part.
#
# **Question.** Reversing and sorting only *move* digits, and attention moves vectors. But `08` stands nowhere in
# `Aug 3, 2021`: it must be made from the letters. Does the date model need its feed-forward part?

# %% tags=["demo"]
_, date_losses, _, _, right = dates_run(0, ablate(DATES_CONFIG, "feed_forward"), "dates_without_feed_forward")
dates_without_ff = float(np.mean(right)), float(np.mean(date_losses[-50:]))
whole_loss = float(np.mean(date_runs[0][1][-50:]))
print(f"dates, whole model:          loss {whole_loss:.4f}, exactly right {date_accuracies[0]:.1%}")
print(f"dates, without feed-forward: loss {dates_without_ff[1]:.4f}, exactly right {dates_without_ff[0]:.1%}")

# %% [markdown]
# It does not. The loss is higher, but hardly a date is wrong. Twelve months are twelve facts, and the matrices
# of attention, `wv` and `wo`, hold that many by themselves. You measured in section 8.5 where this ends: with a
# hundred facts or more, nothing but the bend keeps them apart. A model of a language must hold millions of facts.
# In such models two thirds of the weights of a block are in its feed-forward part.
#
# So an ablation says what *this task at this size* needs, no more. Whoever takes a part out of a small model and
# sees no harm has learned something about the task.

# %% [markdown]
# ## 8.15 Eight faults
#
# You can build a transformer now. Can you *read* one? In practice you will far more often be handed code that
# runs, learns a little, and is wrong. Nothing crashes. The loss even falls.
#
# Below is a small language model in PyTorch: it reads tokens and predicts at each place the next one. One
# table for tokens, one for positions, attention with heads, no norm but the last. It has **eight faults**.
# Each is one that people really make; each can be mended in its line, or with one new line.
#
# Grading does not need PyTorch, and must give the same verdict whether it is installed or not. So the names
# `torch` and `F` below are stand-ins made of NumPy, just large enough for this model. They behave as PyTorch's
# own functions of the same names do, but for one thing: there are no gradients. If PyTorch is installed, a
# demo below runs the very same function on the real one.


# %%
class _Tensor:
    """As much of `torch.Tensor` as a short transformer needs, on a NumPy array."""

    def __init__(self, array):
        self.array = np.asarray(array)
        self.shape = self.array.shape

    def numpy(self):
        return self.array

    def item(self):
        return self.array.item()

    def reshape(self, *shape):
        if np.any(np.less(shape, -1)):
            raise RuntimeError(f"invalid shape {shape}: only -1 stands for what is left.")
        return _Tensor(self.array.reshape(*shape))

    view = reshape

    def transpose(self, dim0, dim1):
        return _Tensor(np.swapaxes(self.array, dim0, dim1))

    def permute(self, *dims):
        return _Tensor(self.array.transpose(*dims))

    def contiguous(self):
        return self

    def unsqueeze(self, dim):
        return _Tensor(np.expand_dims(self.array, dim))

    def bool(self):
        return _Tensor(self.array.astype(bool))

    def softmax(self, dim):
        exps = np.exp(self.array - self.array.max(axis=dim, keepdims=True))
        return _Tensor(exps / exps.sum(axis=dim, keepdims=True))

    def tril(self, diagonal=0):
        return self._triangle(np.tril, diagonal)

    def triu(self, diagonal=0):
        return self._triangle(np.triu, diagonal)

    def _triangle(self, keep, diagonal):
        if self.array.ndim < 2:
            raise RuntimeError(f"a triangle needs rows and columns; the shape is {self.shape}.")
        return _Tensor(keep(self.array, diagonal))

    def masked_fill(self, mask, value):
        return _Tensor(np.where(mask.array, self.array.dtype.type(value), self.array))

    def __getitem__(self, index):
        return _Tensor(self.array[index])

    def __invert__(self):
        return _Tensor(~self.array)


def _operator(name):
    def apply(self, other):
        other = other.array if isinstance(other, _Tensor) else other
        return _Tensor(getattr(self.array, name)(other))

    return apply


for _name in ("add", "radd", "sub", "mul", "rmul", "truediv", "matmul", "eq", "ne", "lt", "gt", "and", "or"):
    setattr(_Tensor, f"__{_name}__", _operator(f"__{_name}__"))


def _layer_norm(x, shape, weight, bias):
    return _Tensor(layer_norm_forward(x.array, weight.array, bias.array)[0])


def _cross_entropy(logits, targets, ignore_index=-100):
    labels = np.where(targets.array == ignore_index, -1, targets.array)
    return _Tensor(cross_entropy(logits.array, labels)[0])


class torch:
    """The functions of PyTorch that the model uses."""

    as_tensor = _Tensor
    ones = staticmethod(lambda *shape: _Tensor(np.ones(shape, np.float32)))
    arange = staticmethod(lambda n: _Tensor(np.arange(n)))
    tril = staticmethod(_Tensor.tril)
    triu = staticmethod(_Tensor.triu)
    softmax = staticmethod(_Tensor.softmax)


class F:
    """The functions of `torch.nn.functional` that the model uses."""

    softmax = staticmethod(_Tensor.softmax)
    embedding = staticmethod(lambda tokens, table: _Tensor(table.array[tokens.array]))
    layer_norm = staticmethod(_layer_norm)
    gelu = staticmethod(lambda x, approximate="none": _Tensor(gelu_forward(x.array, approximate)[0]))
    cross_entropy = staticmethod(_cross_entropy)


# %%
def broken_transformer(tokens, params, n_heads, pad=0):
    """Predict every next token. Eight faults are planted here."""
    tokens = torch.as_tensor(tokens)
    p = {name: torch.as_tensor(value) for name, value in params.items()}
    n_vocab, d_model = p["table"].shape
    d_head = d_model // n_heads

    # The model reads a token and predicts the next one.
    inputs, targets = tokens[:, :-1], tokens[:, :-1]
    batch, seq = inputs.shape
    x = F.embedding(inputs, p["table"])

    # Attention, in n_heads heads; no position sees a later one.
    read = F.layer_norm(x, (d_model,), p["norm1.gamma"], p["norm1.beta"])
    q = (read @ p["wq"]).view(batch, n_heads, seq, d_head)
    k = (read @ p["wk"]).view(batch, n_heads, seq, d_head)
    v = (read @ p["wv"]).view(batch, n_heads, seq, d_head)
    scores = q @ k.transpose(-2, -1)
    attn = scores.softmax(dim=-2)
    heads = (attn @ v).transpose(1, 2).reshape(batch, seq, d_model)
    x = heads @ p["wo"]

    # Feed-forward.
    read = F.layer_norm(x, (d_model,), p["norm2.gamma"], p["norm2.beta"])
    x = x + F.gelu(read @ p["w1"] + p["b1"], approximate="tanh") @ p["w2"] + p["b2"]

    # Scores of all tokens, and the loss over the targets that are no padding.
    x = F.layer_norm(x, (d_model,), p["norm.gamma"], p["norm.beta"])
    logits = x @ p["w_out"] + p["b_out"]
    loss = F.cross_entropy(logits.reshape(-1, n_vocab), targets.reshape(-1))
    return logits.numpy(), loss.item()


# %% [markdown]
# **Your turn.** Copy the body of `broken_transformer` into the function below and mend it. Work with the
# comments: each says what its lines *should* do. There is one hidden test per fault, which sees this
# fault only. So every fault you mend counts, whatever becomes of the others. One more compares all numbers.
#
# <details><summary>Hint 1: how to search</summary>
#
# Take each array in turn and say aloud what its axes are. Then go through the list of what a transformer must
# do: it knows order, it hides the future, it splits into heads, it scales, it weighs *keys*, it adds to the
# stream, it predicts the next token, and padding costs nothing.
#
# </details>
#
# <details><summary>Hint 2: the one that everybody overlooks</summary>
#
# `read @ wq` has the axes (batch, seq, d_model). A `view` never moves a number in memory. Which number stands at
# head 1, position 0 after `view(batch, n_heads, seq, d_head)`?
#
# </details>


# %%
def fix_the_transformer(
    tokens: Int[np.ndarray, "batch n_tokens"], params: dict, n_heads: int, pad: int = 0
) -> tuple[Float[np.ndarray, "batch seq n_vocab"], float]:
    """`broken_transformer` without its eight faults.

    x = table[inputs] + positions, one row of positions per place
    x = x + multi-head attention(norm1(x)), scaled by 1 / sqrt(d_head), each place over itself and earlier places
    x = x + gelu(norm2(x) @ w1 + b1) @ w2 + b2
    logits = norm(x) @ w_out + b_out
    loss = mean cross-entropy of the targets that are not `pad`, where targets are the inputs' next tokens

    Args:
        tokens: Sequences. The inputs are all but the last column; seq = n_tokens - 1.
        params: table (n_vocab, d_model), positions (max_seq, d_model) with max_seq >= seq; norm1.gamma, norm1.beta;
            wq, wk, wv, wo (d_model, d_model); norm2.gamma, norm2.beta; w1 (d_model, d_ff), b1, w2, b2; norm.gamma,
            norm.beta; w_out (d_model, n_vocab), b_out (n_vocab,).
        n_heads: Heads; d_model is a multiple of it.
        pad: The token that fills up short sequences, at their end.

    Returns:
        logits: Scores of the next token, for each input.
        loss: In nats, a float.

    Source:
        Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.3.
    """
    ### BEGIN SOLUTION
    tokens = torch.as_tensor(tokens)
    p = {name: torch.as_tensor(value) for name, value in params.items()}
    n_vocab, d_model = p["table"].shape
    d_head = d_model // n_heads

    # The model reads a token and predicts the next one.
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    batch, seq = inputs.shape
    x = F.embedding(inputs, p["table"]) + p["positions"][:seq]

    # Attention, in n_heads heads; no position sees a later one.
    read = F.layer_norm(x, (d_model,), p["norm1.gamma"], p["norm1.beta"])
    q = (read @ p["wq"]).view(batch, seq, n_heads, d_head).transpose(1, 2)
    k = (read @ p["wk"]).view(batch, seq, n_heads, d_head).transpose(1, 2)
    v = (read @ p["wv"]).view(batch, seq, n_heads, d_head).transpose(1, 2)
    scores = q @ k.transpose(-2, -1) / math.sqrt(d_head)
    scores = scores.masked_fill(torch.ones(seq, seq).tril() == 0, -math.inf)
    attn = scores.softmax(dim=-1)
    heads = (attn @ v).transpose(1, 2).reshape(batch, seq, d_model)
    x = x + heads @ p["wo"]

    # Feed-forward.
    read = F.layer_norm(x, (d_model,), p["norm2.gamma"], p["norm2.beta"])
    x = x + F.gelu(read @ p["w1"] + p["b1"], approximate="tanh") @ p["w2"] + p["b2"]

    # Scores of all tokens, and the loss over the targets that are no padding.
    x = F.layer_norm(x, (d_model,), p["norm.gamma"], p["norm.beta"])
    logits = x @ p["w_out"] + p["b_out"]
    loss = F.cross_entropy(logits.reshape(-1, n_vocab), targets.reshape(-1), ignore_index=pad)
    return logits.numpy(), loss.item()
    ### END SOLUTION


# %% tags=["check"]
gs.check("fix_the_transformer")

# %% [markdown]
# Does it run on the real PyTorch? The next cell gives the very same function other globals: `torch` and `F` are
# then the real ones. If PyTorch is not installed, it says so, and nothing is lost.


# %% tags=["demo"]
def small_language_model(rng, n_vocab=7, d_model=8, max_seq=9):
    """Random float32 parameters for `fix_the_transformer`."""
    shapes = dict.fromkeys(("wq", "wk", "wv", "wo"), (d_model, d_model))
    shapes |= {"table": (n_vocab, d_model), "positions": (max_seq, d_model), "w_out": (d_model, n_vocab)}
    shapes |= {"w1": (d_model, 16), "b1": (16,), "w2": (16, d_model), "b2": (d_model,), "b_out": (n_vocab,)}
    shapes |= {
        f"{name}.{kind}": (d_model,) for name in ("norm1", "norm2", "norm") for kind in ("gamma", "beta")
    }
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def on_real_torch(function):
    """The same code with PyTorch's `torch` and `F` for its globals; None without PyTorch."""
    try:
        import torch as real_torch
        from torch.nn import functional as real_functional
    except ImportError:
        return None
    names = function.__globals__ | {"torch": real_torch, "F": real_functional}
    return type(function)(function.__code__, names, function.__name__, function.__defaults__)


lm_params = small_language_model(np.random.default_rng(0))
lm_tokens = np.array([[3, 1, 4, 1, 5, 6], [2, 6, 5, 3, 0, 0]])
real = on_real_torch(fix_the_transformer)
torch_gap = None
if real is None:
    print("PyTorch is not installed; the stand-in has said all there is to say.")
else:
    ours, theirs = (f(lm_tokens, lm_params, n_heads=2) for f in (fix_the_transformer, real))
    torch_gap = float(np.abs(ours[0] - theirs[0]).max())
    print(
        f"loss {ours[1]:.6f} with the stand-in, {theirs[1]:.6f} with PyTorch; logits differ by {torch_gap:.1e}"
    )
print(f"loss {broken_transformer(lm_tokens, lm_params, 2)[1]:.6f} of the broken one")

# %% [markdown]
# ## 8.16 A training run on your own kernels
#
# One encoder block learns to write five digits backwards, each place its own label. Embedding, positions, both
# norms, GELU and the sums of the stream run on the kernels of this stage, forward and backward. Attention and the
# two affine layers stay in NumPy here; their kernels are those of stages 1, 6 and 7. Beside it the same model
# learns in NumPy alone, from the same weights and the same batches.


# %% tags=["demo"]
class _OnKernels:
    """The operations of this stage, each by its kernel; the same names and caches as below."""

    @staticmethod
    def embed(tokens, table, positions):
        rows = gs.kernel("embedding_forward.wgsl")(tokens=tokens.ravel().astype(np.int32), table=table)
        rows = rows.reshape(*tokens.shape, -1)
        return gs.kernel("add_positions.wgsl")(x=rows, positions=positions, start=0)

    @staticmethod
    def embed_back(dout, tokens, table):
        rows = np.ascontiguousarray(dout.reshape(-1, dout.shape[-1]))
        ids = tokens.ravel().astype(np.int32)
        return gs.kernel("embedding_backward.wgsl")(tokens=ids, dout=rows, n_vocab=len(table))

    @staticmethod
    def norm(x, gamma, beta):
        rows = x.reshape(-1, x.shape[-1])
        got = gs.kernel("layer_norm_forward.wgsl")(x=rows, gamma=gamma, beta=beta, eps=1e-5)
        return got["out"].reshape(x.shape), (rows, gamma, got["mean"], got["rstd"])

    @staticmethod
    def norm_back(dout, cache):
        x, gamma, mean, rstd = cache
        kernel = gs.kernel("layer_norm_backward.wgsl")
        got = kernel(dout=dout.reshape(x.shape), x=x, gamma=gamma, mean=mean, rstd=rstd)
        return got["dx"].reshape(dout.shape), got["dgamma"], got["dbeta"]

    @staticmethod
    def gelu(x):
        return gs.kernel("gelu_forward.wgsl")(x=x.ravel()).reshape(x.shape), x

    @staticmethod
    def gelu_back(dout, x):
        return gs.kernel("gelu_backward.wgsl")(dout=dout.ravel(), x=x.ravel()).reshape(x.shape)

    @staticmethod
    def add(x, y):
        return gs.kernel("residual_add.wgsl")(x=x.ravel(), residual=y.ravel()).reshape(x.shape)


class _InNumPy:
    """The same by the functions of this lesson."""

    norm, norm_back = staticmethod(layer_norm_forward), staticmethod(layer_norm_backward)
    gelu, gelu_back = staticmethod(lambda x: gelu_forward(x, "tanh")), staticmethod(gelu_backward)
    add = staticmethod(np.add)
    embed = staticmethod(lambda tokens, table, positions: embedding_forward(tokens, table)[0] + positions)
    embed_back = staticmethod(lambda dout, tokens, table: embedding_backward(dout, (tokens, table.shape)))


def step_with(ops, tokens, labels, p, positions):
    """Loss and gradients of embedding, one pre-norm encoder block, final norm and tied output."""
    x = ops.embed(tokens, p["table"], positions)
    read, norm1 = ops.norm(x, p["norm1.gamma"], p["norm1.beta"])
    added, attn = multi_head_attention_forward(read, read, part(p, "attn."), 2)
    middle = ops.add(x, added)
    read, norm2 = ops.norm(middle, p["norm2.gamma"], p["norm2.beta"])
    wide, wide_cache = affine_forward(read, p["ff.w1"], p["ff.b1"])
    bent, gelu_cache = ops.gelu(wide)
    added, narrow_cache = affine_forward(bent, p["ff.w2"], p["ff.b2"])
    y, norm = ops.norm(ops.add(middle, added), p["norm.gamma"], p["norm.beta"])
    loss, dlogits = cross_entropy(y @ p["table"].T, labels)

    g = {}
    dx, g["norm.gamma"], g["norm.beta"] = ops.norm_back(dlogits @ p["table"], norm)
    dbent, g["ff.w2"], g["ff.b2"] = affine_backward(dx, narrow_cache)
    dread, g["ff.w1"], g["ff.b1"] = affine_backward(ops.gelu_back(dbent, gelu_cache), wide_cache)
    dread, g["norm2.gamma"], g["norm2.beta"] = ops.norm_back(dread, norm2)
    dx = ops.add(dx, dread)
    dq, dkv, attn_grads = multi_head_attention_backward(dx, attn)
    dread, g["norm1.gamma"], g["norm1.beta"] = ops.norm_back(dq + dkv, norm1)
    dx = ops.add(dx, dread)
    from_output = dlogits.reshape(-1, len(p["table"])).T @ y.reshape(-1, y.shape[-1])
    g["table"] = from_output + ops.embed_back(dx, tokens, p["table"])
    return loss, g | prefixed("attn.", attn_grads)


def kernel_run(ops, n_steps=40):
    rng = np.random.default_rng(3)
    p = init_block(("attn", "ff"), 16, 32, rng) | {
        "table": (rng.standard_normal((10, 16)) / 4).astype(np.float32)
    }
    p |= {"norm.gamma": np.ones(16, np.float32), "norm.beta": np.zeros(16, np.float32)}
    positions, state, losses = sinusoidal_positions(5, 16).astype(np.float32), {}, []
    for _ in range(n_steps):
        tokens = rng.integers(0, 10, (16, 5))
        loss, grads = step_with(ops, tokens, tokens[:, ::-1], p, positions)
        p, state = adam_step(p, grads, state, 0.02)
        losses.append(loss)
    return np.array(losses)


numpy_losses, kernel_losses = kernel_run(_InNumPy), kernel_run(_OnKernels)
early_gap = float(np.abs(numpy_losses - kernel_losses)[:10].max())
print(f"loss at the first step {kernel_losses[0]:.3f}, mean of the last five {kernel_losses[-5:].mean():.3f}")
print(f"in NumPy               {numpy_losses[0]:.3f}                        {numpy_losses[-5:].mean():.3f}")
print(f"the first ten losses differ by at most {early_gap:.1e}")

# %% [markdown]
# ## 8.17 What you have
#
# | part | what it does | what breaks without it |
# |---|---|---|
# | attention | reads from other positions | nothing else can |
# | residual stream | keeps what was known, carries the gradient | two layers no longer learn |
# | norm | keeps each branch's input in range | nothing in two layers, everything in twelve |
# | feed-forward | makes new features, holds facts | nothing with twelve facts, everything with hundreds |
# | positions | say where a token stands | reversing; sorting does without |
# | causal mask | hides what is to be predicted | the model copies and learns nothing |
#
# PyTorch has all of it: `nn.TransformerEncoderLayer(d_model, n_heads, d_ff, norm_first=True)` is your pre-norm block,
# `nn.TransformerDecoderLayer` the one with a memory, `nn.Transformer` both stacks. `norm_first=False`, post-norm,
# is their default: that of 2017.
#
# **A last question.** Throw the encoder away, and cross-attention with it. What can a decoder alone do?
#
# <details><summary>Answer</summary>
#
# Go on with any text: it predicts the next token from those before. That is a language model, and stage 9.
#
# </details>
