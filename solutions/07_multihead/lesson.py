# %% [markdown]
# # 7. Multi-head attention: several views, several sources
#
# In stage 6, every position asked one question of the whole sequence. The answer was an average: so
# much of this value, so much of that one. What if a position has two questions?
#
# You will see one head fail at two questions, however wide it is, and two narrow heads answer both. Then you
# will find that attention does not know which word comes first, and tell it in two ways: by adding a
# pattern to the input, and by turning the queries and keys.
#
# Seven functions and five kernels. You need attention (stage 6). It is given below, so that you can
# start here.

# %% tags=["setup"]
import os

# Small products: one thread per process is faster than many that wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from jaxtyping import Bool, Float, Int

import gradschool as gs

gs.start("07_multihead")

# %% [markdown]
# What you have built before, ready to use. Attention works over any leading axes: give it `(seq, d_head)`,
# `(batch, seq, d_head)` or `(batch, n_heads, seq, d_head)`. That will be useful.


# %%
def attention_forward(q, k, v, mask=None):
    """Return softmax(q kT / sqrt(d_head)) v and a cache; the weights are cache["attn"].

    A query that may see no key gets zeros. `mask` is True where a query may look.
    """
    scores = q @ k.swapaxes(-1, -2) / float(np.sqrt(q.shape[-1]))
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)
    top = scores.max(axis=-1, keepdims=True)
    weights = np.exp(scores - np.where(np.isneginf(top), 0, top))
    total = weights.sum(axis=-1, keepdims=True)
    attn = weights / np.where(total > 0, total, 1)
    return attn @ v, {"q": q, "k": k, "v": v, "attn": attn}


def attention_backward(dout, cache):
    """Return dq, dk, dv."""
    q, k, v, attn = (cache[name] for name in ("q", "k", "v", "attn"))
    dv = attn.swapaxes(-1, -2) @ dout
    dattn = dout @ v.swapaxes(-1, -2)
    dscores = attn * (dattn - (attn * dattn).sum(axis=-1, keepdims=True))
    dscores = dscores / float(np.sqrt(q.shape[-1]))
    return dscores @ k, dscores.swapaxes(-1, -2) @ q, dv


def weight_gradient(x, dout):
    """Return the gradient of w in `x @ w`, summed over every axis but the last."""
    return x.reshape(-1, x.shape[-1]).T @ dout.reshape(-1, dout.shape[-1])


def cross_entropy(logits, labels):
    """Return the mean loss in nats and its gradient; labels of -1 do not count."""
    exps = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probs = exps / exps.sum(axis=-1, keepdims=True)
    counted = labels >= 0
    onehot = (np.arange(logits.shape[-1]) == labels[..., None]).astype(logits.dtype)
    loss = -np.log((probs * onehot).sum(axis=-1)[counted] + 1e-30).mean()
    return float(loss), (probs - onehot) * counted[..., None] / int(counted.sum())


def adam_step(params, grads, state, lr, beta1=0.9, beta2=0.98, eps=1e-8):
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
# ## 7.1 Two questions, one answer
#
# Here is a game for this stage. A row of letters, one of them marked:
#
# $$\text{c}\quad\text{a}\quad\text{f}\quad\boxed{\text{d}}\quad\text{a}\quad\text{b}$$
#
# Every position must say two things:
#
# - which letter stands just **before** it, and
# - which letter is **marked**.
#
# The last position, b, must say "a" and "d". The second position, a, must say "c" and "d".
#
# **Question.** One head of attention: the last position can give half of its weight to the a before it
# and half to the marked d. Then it knows both letters. What does it not know?
#
# <details><summary>Answer</summary>
#
# Which is which. Half a plus half d is the same vector as half d plus half a. See for yourself:
#
# </details>

# %% tags=["demo"]
import matplotlib.pyplot as plt

BLUE, ORANGE, INK, GREY = "#1f6fb2", "#c05e00", "#1f2933", "#8a949e"
plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})

letter = np.random.default_rng(7).standard_normal((6, 4))  # one value vector per letter
a, d = 0, 3
print("before a, marked d:", (0.5 * letter[a] + 0.5 * letter[d]).round(3))
print("before d, marked a:", (0.5 * letter[d] + 0.5 * letter[a]).round(3))

# %% [markdown]
# A softmax gives one set of weights. Two peaks in one head blur into an average. Equal halves cannot be taken
# apart by anything that follows, and unequal ones only in part.
#
# **Question.** What would help: a wider head, or a second one?
#
# Keep your guess. You will measure both in section 7.6. First the tool.
#
# ## 7.2 Cutting the width
#
# A second head need not cost anything. Take queries, keys and values of width $d_{model}$ and cut them into
# $n_{heads}$ pieces of width $d_{head} = d_{model} / n_{heads}$. Each piece becomes a head of its own.
#
# ![Queries, keys and values are cut into heads, each attends by itself, and the results are joined](figures/heads.svg)
#
# Attention works on the last two axes and leaves the others alone. So the cut is only a matter of
# layout: from `(batch, seq, d_model)` to `(batch, n_heads, seq, d_head)`. Head 0 owns the first
# `d_head` columns, head 1 the next ones, and so on.
#
# **Question.** Does `x.reshape(batch, n_heads, seq, d_head)` do that?
#
# <details><summary>Answer</summary>
#
# The shape is right and the content wrong. A reshape never moves a number. In memory, position 0 comes first,
# with all of its columns. So head 0 would get all columns of the first positions, and nothing of the
# last ones. First cut the last axis, `(batch, seq, n_heads, d_head)`. Then exchange two axes.
#
# </details>


# %%
def split_heads(x: Float[np.ndarray, "*batch seq d_model"], n_heads: int) -> np.ndarray:
    """Cut the last axis into heads.

    out[..., h, t, j] = x[..., t, h * d_head + j], d_head = d_model / n_heads

    Args:
        x: Queries, keys or values of all heads, side by side.
        n_heads: Number of pieces.

    Returns:
        out: Shape (*batch, n_heads, seq, d_head), dtype of `x`.

    Raises:
        ValueError: `x` has fewer than two axes; `n_heads` is smaller than 1 or does not divide d_model.

    Source:
        Vaswani et al. 2017, "Attention Is All You Need", section 3.2.2.
    """
    ### BEGIN SOLUTION
    if x.ndim < 2:
        raise ValueError(f"x has shape {x.shape}; split_heads needs (..., seq, d_model).")
    *batch, seq, d_model = x.shape
    if n_heads < 1 or d_model % n_heads != 0:
        raise ValueError(f"{n_heads} heads do not divide a width of {d_model}.")
    return x.reshape(*batch, seq, n_heads, d_model // n_heads).swapaxes(-2, -3)
    ### END SOLUTION


# %% tags=["check"]
gs.check("split_heads")

# %% [markdown]
# And back. After attention, the pieces lie side by side again.


# %%
def merge_heads(x: Float[np.ndarray, "*batch n_heads seq d_head"]) -> Float[np.ndarray, "*batch seq d_model"]:
    """Put the heads side by side again: the inverse of `split_heads`.

    out[..., t, h * d_head + j] = x[..., h, t, j]

    Args:
        x: One piece per head.

    Returns:
        out: Shape (*batch, seq, n_heads * d_head), dtype of `x`.

    Raises:
        ValueError: `x` has fewer than three axes.

    Source:
        Vaswani et al. 2017, "Attention Is All You Need", section 3.2.2.
    """
    ### BEGIN SOLUTION
    if x.ndim < 3:
        raise ValueError(f"x has shape {x.shape}; merge_heads needs (..., n_heads, seq, d_head).")
    *batch, n_heads, seq, d_head = x.shape
    return x.swapaxes(-2, -3).reshape(*batch, seq, n_heads * d_head)
    ### END SOLUTION


# %% tags=["check"]
gs.check("merge_heads")

# %% [markdown]
# ### The kernels `split_heads.wgsl` and `merge_heads.wgsl`
#
# One invocation per number: it works out where its number belongs and puts it there. From the running
# index `i` you get back the four coordinates by division and remainder, the fastest first:
# `j = i % d_head`, then `h = i / d_head % n_heads`, and so on.
#
# The host cannot see from `x` alone how many heads there are. It passes `n_heads` and `d_head` by keyword.

# %% tags=["demo"]
gs.show_kernel("split_heads.wgsl")

# %% tags=["check"]
gs.check("split_heads.wgsl")

# %% tags=["demo"]
gs.show_kernel("merge_heads.wgsl")

# %% tags=["check"]
gs.check("merge_heads.wgsl")

# %% [markdown]
# ## 7.3 Several heads, one or two sources
#
# Now the whole layer. Project, cut, attend, join, project:
#
# $$q = x_q W_q \qquad k = x_{kv} W_k \qquad v = x_{kv} W_v$$
#
# $$\text{out} = \text{merge}\big(\text{attention}(\text{split}(q),\ \text{split}(k),\ \text{split}(v))\big)\, W_o$$
#
# There are two inputs. $x_q$ asks, and $x_{kv}$ answers. When both are the same sequence, this is
# **self-attention**. When a translation asks the sentence that it translates, it is
# **cross-attention**. Same code, same weights' shapes; the two sequences need not even be equally long.
#
# **Question.** How many weights does the layer have with 1 head, and how many with 8?
#
# <details><summary>Answer</summary>
#
# $4\, d_{model}^2$, both times. Heads are a way to use a width, not an addition to it. The multiplications
# are as many, too: 8 times as many score matrices, each from vectors an eighth as long.
#
# </details>
#
# **Question.** What is $W_o$ for? Each head could simply keep its columns.
#
# <details><summary>Answer</summary>
#
# The next layer would always find head 0's answer in the first columns and nowhere else. $W_o$ mixes: each head
# writes its answer wherever in the stream it is of use.
#
# </details>
#
# The mask says who may look where, for `(batch, n_heads, n_queries, n_keys)` scores, by NumPy's broadcasting:
#
# | mask | shape |
# |---|---|
# | the same for all, such as the causal one | `(n_queries, n_keys)` |
# | padding: which keys of each sequence are real | `(batch, 1, 1, n_keys)` |
# | both | `(batch, 1, n_queries, n_keys)` |
#
# **Question.** Why not `(batch, n_queries, n_keys)`?
#
# <details><summary>Answer</summary>
#
# NumPy lines axes up from the right. Then `batch` stands under `n_heads`, and each *head* would get
# the mask of some sequence. If both numbers happen to be equal, nobody complains.
#
# </details>


# %%
def multi_head_attention_forward(
    x_q: Float[np.ndarray, "batch n_queries d_model"],
    x_kv: Float[np.ndarray, "batch n_keys d_model"],
    params: dict,
    n_heads: int,
    mask: Bool[np.ndarray, "..."] | None = None,
) -> tuple[Float[np.ndarray, "batch n_queries d_model"], dict]:
    """Let every position of x_q look at every position of x_kv, in n_heads ways.

    q = x_q @ wq, k = x_kv @ wk, v = x_kv @ wv; each head h attends with its own columns,
    out_h = softmax(q_h k_h^T / sqrt(d_head)) v_h; out = [out_0, out_1, ...] @ wo

    Args:
        x_q: The sequences that ask.
        x_kv: The sequences that are asked; `x_q` itself for self-attention.
        params: "wq", "wk", "wv" and "wo", each (d_model, d_model).
        n_heads: Number of heads.
        mask: True where a query may look at a key; broadcasts to (batch, n_heads, n_queries, n_keys).
            A query that may see nothing gets zeros from its head. None allows everything.

    Returns:
        out: Shape and dtype of `x_q`.
        cache: A dict for `multi_head_attention_backward`. `cache["attn"]` holds the weights of all heads,
            (batch, n_heads, n_queries, n_keys).

    Raises:
        ValueError: `x_q` or `x_kv` does not have three axes, or they differ in batch or d_model; a weight
            is not (d_model, d_model); `n_heads` does not divide d_model; the mask is not boolean or does
            not broadcast to (batch, n_heads, n_queries, n_keys).

    Source:
        Vaswani et al. 2017, "Attention Is All You Need", section 3.2.2.
    """
    ### BEGIN SOLUTION
    if x_q.ndim != 3 or x_kv.ndim != 3 or x_q.shape[::2] != x_kv.shape[::2]:
        raise ValueError(
            f"x_q {x_q.shape} and x_kv {x_kv.shape} must be (batch, seq, d_model) with one batch."
        )
    batch, n_queries, d_model = x_q.shape
    for name in ("wq", "wk", "wv", "wo"):
        if params[name].shape != (d_model, d_model):
            raise ValueError(f"{name} has shape {params[name].shape}; it must be {(d_model, d_model)}.")
    if mask is not None:
        if mask.dtype != bool:
            raise ValueError(f"The mask holds {mask.dtype}; it must be boolean, True = may attend.")
        mask = np.broadcast_to(mask, (batch, n_heads, n_queries, x_kv.shape[1]))

    q = split_heads(x_q @ params["wq"], n_heads)
    k = split_heads(x_kv @ params["wk"], n_heads)
    v = split_heads(x_kv @ params["wv"], n_heads)
    heads, attention = attention_forward(q, k, v, mask)
    merged = merge_heads(heads)
    cache = {"x_q": x_q, "x_kv": x_kv, "params": params, "n_heads": n_heads, "merged": merged}
    return merged @ params["wo"], {**cache, "attention": attention, "attn": attention["attn"]}
    ### END SOLUTION


# %% tags=["check"]
gs.check("multi_head_attention_forward")

# %% [markdown]
# **Question.** On the way back, the gradient of `merged` arrives with the heads side by side. What turns
# it into the gradient of each head?
#
# <details><summary>Answer</summary>
#
# `split_heads`. Joining moved every number to one place, so its gradient is found at that place:
# the backward of merging is splitting, and the other way round.
#
# </details>
#
# The rest is the forward, read from the bottom up. $x_{kv}$ was used twice, for keys and for values, so two
# gradients add up. In self-attention the *caller* used one sequence for both inputs, so the caller adds
# `dx_q + dx_kv`.


# %%
def multi_head_attention_backward(
    dout: Float[np.ndarray, "batch n_queries d_model"], cache: dict
) -> tuple[Float[np.ndarray, "batch n_queries d_model"], Float[np.ndarray, "batch n_keys d_model"], dict]:
    """Return the gradients of both inputs and of the weights.

    Args:
        dout: Gradient of the loss with respect to `out`.
        cache: From `multi_head_attention_forward`.

    Returns:
        dx_q: Gradient by way of the queries, shape of `x_q`.
        dx_kv: Gradient by way of keys and values, shape of `x_kv`.
        grads: "wq", "wk", "wv" and "wo".

    Raises:
        ValueError: `dout` does not have the shape of `x_q`.

    Source:
        Vaswani et al. 2017, "Attention Is All You Need", section 3.2.2, differentiated.
    """
    ### BEGIN SOLUTION
    x_q, x_kv, params = cache["x_q"], cache["x_kv"], cache["params"]
    if dout.shape != x_q.shape:
        raise ValueError(f"dout has shape {dout.shape}; out has {x_q.shape}.")
    dmerged = dout @ params["wo"].T
    dheads = split_heads(dmerged, cache["n_heads"])
    dq, dk, dv = (merge_heads(dhead) for dhead in attention_backward(dheads, cache["attention"]))
    grads = {
        "wq": weight_gradient(x_q, dq),
        "wk": weight_gradient(x_kv, dk),
        "wv": weight_gradient(x_kv, dv),
        "wo": weight_gradient(cache["merged"], dout),
    }
    dx_q = dq @ params["wq"].T
    dx_kv = dk @ params["wk"].T + dv @ params["wv"].T
    return dx_q, dx_kv, grads
    ### END SOLUTION


# %% tags=["check"]
gs.check("multi_head_attention_backward")

# %% [markdown]
# ### The kernel `batched_matmul.wgsl`
#
# Scores of all heads of all sequences: `batch * n_heads` products that know nothing of each other. A GPU does
# them in one launch, with the third axis of the grid as the number of the product.

# %% tags=["demo"]
gs.show_kernel("batched_matmul.wgsl")

# %% tags=["check"]
gs.check("batched_matmul.wgsl")

# %% [markdown]
# ### The kernel `multi_head_attention_forward.wgsl`
#
# Split, scores, softmax, average, merge: five launches, and four arrays that are written only to be read
# again. This kernel does all of it at once. One workgroup takes one query of one head of one sequence.
#
# It needs no split and no merge: head `h` finds its numbers in the columns from `h * d_head` on, and
# writes its answer back into the same columns.
#
# **Question.** The weights of a query need its largest score first. The scores do not fit into workgroup
# memory when there are many keys. What can you do?
#
# <details><summary>Answer</summary>
#
# Compute them twice. First walk: find the largest. Second walk: compute each score again, weigh its value, and add
# up the weights as well. Divide at the end. Arithmetic is cheap, memory is dear.
#
# </details>
#
# A plan that works: `@workgroup_size(1)`, and one invocation does everything in loops. When that is right, share
# the keys among 64 lanes.

# %% tags=["demo"]
gs.show_kernel("multi_head_attention_forward.wgsl")

# %% tags=["check"]
gs.check("multi_head_attention_forward.wgsl")

# %% [markdown]
# ## 7.4 What self- and cross-attention share
#
# **Question.** Shuffle the sequence that is asked, `x_kv`. Nothing else. What happens to `out`?
#
# <details><summary>Answer</summary>
#
# Nothing. The weights are shuffled with the keys, the values too, and a sum does not care for order.
#
# </details>

# %% tags=["demo"]
rng = np.random.default_rng(0)
toy = {name: rng.standard_normal((6, 6)) / np.sqrt(6) for name in ("wq", "wk", "wv", "wo")}
asking, asked = rng.standard_normal((1, 4, 6)), rng.standard_normal((1, 9, 6))
shuffled = asked[:, rng.permutation(9)]

out, _ = multi_head_attention_forward(asking, asked, toy, 3)
out_shuffled, _ = multi_head_attention_forward(asking, shuffled, toy, 3)
cross_gap = float(np.abs(out - out_shuffled).max())
print(f"cross-attention, the asked sequence shuffled: out differs by {cross_gap:.1e}")

order = rng.permutation(4)
out_self, _ = multi_head_attention_forward(asking, asking, toy, 3)
out_reordered, _ = multi_head_attention_forward(asking[:, order], asking[:, order], toy, 3)
self_gap = float(np.abs(out_self[:, order] - out_reordered).max())
print(f"self-attention, the sequence shuffled: out is shuffled with it, and differs by {self_gap:.1e}")

# %% [markdown]
# So both read from a **bag**, not from a row: they find things by what they are, not by where they
# are. That is what they share, and for cross-attention it is all there is to it: other queries, same
# mechanism.
#
# It also means that our game cannot be won yet. "The letter just before me" is a question about *where*.
# To this layer, the sentences "dog bites man" and "man bites dog" are the same.
#
# ## 7.5 Telling the order by adding: sinusoidal positions
#
# If the layer looks only at what things are, make the place a part of what they are. Add a
# vector to each position that says where it is. Which vector?
#
# **Question.** Why not add the position itself: 0, 1, 2, ..., 5000?
#
# <details><summary>Answer</summary>
#
# Large numbers drown the letters they are added to. And position 11 should look like position 12 and unlike 500.
#
# </details>
#
# Think of the digits of a counter. The last one moves fast, the ones before it ever more slowly,
# and all stay small. Now make them smooth: waves in place of digits, each slower than the one before.
#
# $$p_{t,\,2i} = \sin\left(\frac{t}{10000^{2i/d_{model}}}\right) \qquad
#   p_{t,\,2i+1} = \cos\left(\frac{t}{10000^{2i/d_{model}}}\right)$$
#
# Column 0 goes round every 6.3 positions, the last ones need up to 60,000. Sine and cosine **take turns**, and both
# of a pair have the same frequency. With an odd width, the last sine stays without its cosine.


# %%
def sinusoidal_positions(seq: int, d_model: int) -> Float[np.ndarray, "seq d_model"]:
    """Return one vector per position, made of waves of many lengths.

    out[t, 2i] = sin(t / 10000^(2i / d_model)), out[t, 2i + 1] = cos(t / 10000^(2i / d_model))

    Args:
        seq: Number of positions: t = 0, 1, ..., seq - 1.
        d_model: Width, even or odd.

    Returns:
        out: float64, to be added to the input; cast it to the input's dtype first.

    Raises:
        ValueError: `seq` or `d_model` is smaller than 1.

    Source:
        Vaswani et al. 2017, "Attention Is All You Need", section 3.5.
    """
    ### BEGIN SOLUTION
    if seq < 1 or d_model < 1:
        raise ValueError(f"{seq} positions of width {d_model}: both must be at least 1.")
    columns = np.arange(0, d_model, 2)
    angles = np.arange(seq)[:, None] / 10000 ** (columns / d_model)
    out = np.empty((seq, d_model))
    out[:, 0::2] = np.sin(angles)
    out[:, 1::2] = np.cos(angles)[:, : d_model // 2]
    return out
    ### END SOLUTION


# %% tags=["check"]
gs.check("sinusoidal_positions")

# %% [markdown]
# **Question.** Take two of these vectors and multiply them, $p_s \cdot p_t$. Each pair of columns gives
# $\sin(\omega s)\sin(\omega t) + \cos(\omega s)\cos(\omega t)$. What is that?
#
# <details><summary>Answer</summary>
#
# $\cos(\omega (s - t))$. It depends on the distance only, not on where the two are. It is largest at
# distance 0.
#
# </details>

# %% tags=["demo"]
table = sinusoidal_positions(100, 64)
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6))
left.imshow(table, cmap="RdBu_r", aspect="auto", vmin=-1, vmax=1)
left.set(xlabel="column", ylabel="position", title="A counter made of waves")
for place, colour in ((20, BLUE), (50, ORANGE), (80, INK)):
    right.plot(table @ table[place], color=colour)
    right.annotate(f"{place}", (place, table[place] @ table[place] + 0.6), color=colour, ha="center")
right.set(xlabel="other position", ylabel="dot product", ylim=(8, 35), title="Near means similar, anywhere")
fig.tight_layout()

# %% [markdown]
# Three positions, one curve: the similarity of two places says how far apart they are.
#
# ## 7.6 The run: do heads share the work?
#
# Now the game. A model of one layer: letters become vectors, the marked one gets one more vector added,
# positions are added, multi-head attention, and two readouts that are plain products: one says
# the letter before, one says the marked letter. Nothing else, so that no other part can untangle what attention mixed.
#
# **Question.** One head of width 32, or two of width 16: which one wins the game? And one head of
# width 64?


# %% tags=["demo"]
N_LETTERS, SEQ = 10, 12
RULES = ("previous", "marked")


def make_game(rng, n, seq=SEQ):
    """Return letters (n, seq), the marked place of each row, and the right answers by rule."""
    letters, marked = rng.integers(0, N_LETTERS, (n, seq)), rng.integers(0, seq, n)
    before = np.concatenate([np.full((n, 1), -1), letters[:, :-1]], axis=1)  # nothing before the first
    of_mark = np.repeat(letters[np.arange(n), marked][:, None], seq, axis=1)
    return letters, marked, {"previous": before, "marked": of_mark}


def game_init(rng, d_model):
    def normal(*shape):
        return (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)

    params = {name: normal(d_model, d_model) for name in ("wq", "wk", "wv", "wo")}
    params |= {rule: normal(d_model, N_LETTERS) for rule in RULES}
    table = rng.standard_normal((N_LETTERS + 1, d_model)).astype(np.float32)
    return params | {"table": table[:-1], "mark": table[-1]}


def embed(letters, marked, params, positions=None):
    x = params["table"][letters]
    x[np.arange(len(x)), marked] += params["mark"]
    return x if positions is None else x + positions.astype(x.dtype)


def self_attention(x, params, n_heads):
    """Return out, and a function that turns dout into dx and the weights' gradients."""
    out, cache = multi_head_attention_forward(x, x, params, n_heads)

    def backward(dout):
        dx_q, dx_kv, grads = multi_head_attention_backward(dout, cache)
        return dx_q + dx_kv, grads  # one sequence played both parts

    return out, backward


def game_step(game, params, n_heads, positions, rules=RULES, layer=self_attention):
    """Return the loss of one batch and all gradients."""
    letters, marked, answers = game
    x = embed(letters, marked, params, positions)
    out, backward = layer(x, params, n_heads)
    loss, dout = 0.0, np.zeros_like(out)
    grads = {rule: np.zeros_like(params[rule]) for rule in RULES}
    for rule in rules:
        rule_loss, dlogits = cross_entropy(out @ params[rule], answers[rule])
        loss += rule_loss
        grads[rule] = weight_gradient(out, dlogits)
        dout += dlogits @ params[rule].T
    dx, layer_grads = backward(dout)
    table = np.zeros_like(params["table"])
    np.add.at(table, letters, dx)  # a letter that occurs twice gets both gradients
    return loss, grads | layer_grads | {"table": table, "mark": dx[np.arange(len(x)), marked].sum(axis=0)}


def train_game(seed, n_heads, d_model=32, n_steps=400, rules=RULES, sinusoidal=True, layer=self_attention):
    rng = np.random.default_rng(seed)
    params, state = game_init(rng, d_model), {}
    positions = sinusoidal_positions(SEQ, d_model) if sinusoidal else None
    losses = []
    for step in range(n_steps):
        loss, grads = game_step(make_game(rng, 32), params, n_heads, positions, rules, layer)
        lr = 0.01 * min(1, 2 * (1 - step / n_steps))
        params, state = adam_step(params, grads, state, lr)
        losses.append(loss)
    return params, losses


def score_game(params, n_heads, positions=None, layer=self_attention, seq=SEQ):
    """Return the share of right answers on 500 fresh rows, for each rule."""
    letters, marked, answers = make_game(np.random.default_rng(999), 500, seq)
    out, _ = layer(embed(letters, marked, params, positions), params, n_heads)
    right = {rule: (out @ params[rule]).argmax(axis=-1) == answers[rule] for rule in RULES}
    return float(right["previous"][:, 1:].mean()), float(right["marked"].mean())


SEEDS = (0, 1, 2)
SETTINGS = {
    "1 head of 32": {"n_heads": 1},
    "2 heads of 16": {"n_heads": 2},
    "4 heads of 8": {"n_heads": 4},
    "1 head of 64": {"n_heads": 1, "d_model": 64},
    "1 head of 32, 5 times the steps": {"n_heads": 1, "n_steps": 2000},
    "1 head of 32, asked only the letter before": {"n_heads": 1, "rules": ("previous",)},
    "1 head of 32, asked only the marked letter": {"n_heads": 1, "rules": ("marked",)},
    "2 heads of 16, no positions": {"n_heads": 2, "sinusoidal": False},
}
accuracies, trained = {}, {}
print(f"{'':44}letter before        marked letter")
for name, setting in SETTINGS.items():
    accuracies[name] = []
    for seed in SEEDS:
        params, _ = train_game(seed, **setting)
        width = setting.get("d_model", 32)
        positions = sinusoidal_positions(SEQ, width) if setting.get("sinusoidal", True) else None
        accuracies[name].append(score_game(params, setting["n_heads"], positions))
        trained[name, seed] = params
    columns = ["  ".join(f"{pair[i]:.2f}" for pair in accuracies[name]) for i in (0, 1)]
    asked = [rule in setting.get("rules", RULES) for rule in RULES]
    print(f"{name:44}{columns[0] if asked[0] else '':16}     {columns[1] if asked[1] else ''}")

# %% [markdown]
# Guessing would give 0.10. Read the table from the bottom:
#
# - **Without positions** the letter before is nearly lost. It is a question of order.
# - **One head can answer either question**, when it is asked only that one. So it is not too small.
# - **One head cannot answer both**, not at twice the width, and not quite at five times the steps. Each seed chooses
#   a different compromise.
# - **Two heads answer both**, with the very same number of weights as one.
#
# That is why several heads and not one wide one: a head has *one* distribution over the sequence to give.
# Width is for what is carried, heads are for how many places it comes from.

# %% tags=["demo"]
shown = list(SETTINGS)[:5]
fig, ax = plt.subplots(figsize=(8.5, 3.4))
for row, name in enumerate(shown):
    pairs = np.array(accuracies[name])
    ax.plot(pairs[:, 0], np.full(3, row - 0.1), "o", color=BLUE, markersize=7)
    ax.plot(pairs[:, 1], np.full(3, row + 0.1), "s", color=ORANGE, markersize=7)
ax.axvline(0.1, color=GREY, linewidth=1)
ax.annotate("guessing", (0.11, 2.05), color=GREY, fontsize=9)
ax.annotate("letter before", (0.98, 0.78), color=BLUE, ha="right", va="center")
ax.annotate("marked letter", (0.98, 1.24), color=ORANGE, ha="right", va="center")
ax.set(yticks=range(5), yticklabels=shown, xlim=(0, 1.03), ylim=(4.5, -0.5), xlabel="accuracy, three seeds")
fig.tight_layout()

# %% [markdown]
# Now look inside. Each map shows one head: a row per asking position, a column per asked
# position, dark where the weight is. The triangle is the marked letter.
#
# **Question.** What pattern should the head have that finds the letter before? And the one that finds the mark?

# %% tags=["demo"]
letters, marked, _ = make_game(np.random.default_rng(5), 200)
marked[0] = 7


def attention_maps(name, seed=0):
    x = embed(letters, marked, trained[name, seed], sinusoidal_positions(SEQ, 32))
    _, cache = multi_head_attention_forward(x, x, trained[name, seed], SETTINGS[name]["n_heads"])
    return cache["attn"]


def jobs(attn):
    """Return, for each head, the mean weight on the letter before and on the marked letter."""
    before = attn[:, :, np.arange(1, SEQ), np.arange(SEQ - 1)].mean(axis=(0, 2))
    on_mark = np.take_along_axis(attn, marked[:, None, None, None], axis=3).mean(axis=(0, 2, 3))
    return np.stack([before, on_mark], axis=1)


fig, axes = plt.subplots(1, 3, figsize=(10, 3.7))
maps = [attention_maps("1 head of 32")[0, 0], *attention_maps("2 heads of 16")[0]]
for ax, weights, title in zip(axes, maps, ("the one head", "two heads: head 0", "head 1"), strict=True):
    ax.imshow(weights, cmap="Blues", vmin=0, vmax=1)
    ax.plot(7, -0.9, "v", color=ORANGE, clip_on=False)
    ax.set_title(title, pad=14)
    ax.set(xlabel="asked position", xticks=(0, 5, 10), yticks=(0, 5, 10))
axes[0].set_ylabel("asking position")
fig.tight_layout(rect=(0, 0, 1, 0.96))

specialists = {}
print("mean weight on     letter before   marked letter")
for seed in SEEDS:
    specialists[seed] = jobs(attention_maps("2 heads of 16", seed))
    for head, (before, on_mark) in enumerate(specialists[seed]):
        print(f"seed {seed}, head {head}          {before:.2f}            {on_mark:.2f}")

# %% [markdown]
# Nobody told the heads who does what. In every seed one of them became the diagonal, one step to the
# left, and the other one a column under the mark. Which one is which is chance. The single head shows a bit
# of both.
#
# ## 7.7 Telling the order by turning: rotary positions
#
# Sinusoidal positions are added to what is said, and then both go through the same $W_q$ and $W_k$. The score
# of two positions becomes a sum of four products: letter with letter, letter with place, place with letter,
# place with place. Only the last one can be about distance. Can the *score* be made to depend on distance by
# itself?
#
# **Question.** Take a query and a key in the plane, two numbers each. Turn both by the same angle. What
# happens to $q \cdot k$?
#
# <details><summary>Answer</summary>
#
# Nothing: lengths stay, and so does the angle between them. If the query turns by $5\theta$ and the key by $3\theta$,
# then $q \cdot k$ feels only the difference, $2\theta$.
#
# </details>
#
# So turn each query and each key by an angle that grows with its position. That is **rotary** position
# encoding, RoPE. A vector of width `d_head` makes `d_head / 2` pairs: $(x_0, x_1)$, $(x_2, x_3)$ and so on, **neighbours**. Each
# pair has its own speed, the frequencies of 7.5:
#
# $$\begin{pmatrix} \text{out}_{2i} \\ \text{out}_{2i+1} \end{pmatrix} =
#   \begin{pmatrix} \cos\alpha & -\sin\alpha \\ \sin\alpha & \cos\alpha \end{pmatrix}
#   \begin{pmatrix} x_{2i} \\ x_{2i+1} \end{pmatrix} \qquad
#   \alpha = \frac{\text{position}}{10000^{2i/d_{head}}}$$
#
# ![Query and key are hands of a clock: both move on by the same angle, and the angle between them stays](figures/rotary.svg)
#
# It is applied to q and k of each head, after `split_heads`. Values are not turned: they are what is carried home, and that
# should not depend on where it lay.


# %%
def rotary_forward(
    x: Float[np.ndarray, "*batch seq d_head"], positions: Int[np.ndarray, " seq"]
) -> Float[np.ndarray, "*batch seq d_head"]:
    """Turn each pair of neighbours by an angle that grows with the position.

    a = positions[t] * 10000^(-2i / d_head)
    out[..., t, 2i]     = x[..., t, 2i] * cos(a) - x[..., t, 2i + 1] * sin(a)
    out[..., t, 2i + 1] = x[..., t, 2i] * sin(a) + x[..., t, 2i + 1] * cos(a)

    Args:
        x: Queries or keys, any leading axes.
        positions: Place of each of the seq vectors: whole numbers, in any order, of either sign.

    Returns:
        out: Shape and dtype of `x`.

    Raises:
        ValueError: `x` has fewer than two axes; d_head is odd; `positions` is not of shape (seq,).

    Source:
        Su et al. 2021, "RoFormer: Enhanced Transformer with Rotary Position Embedding", eq. 34.
    """
    ### BEGIN SOLUTION
    if x.ndim < 2 or x.shape[-1] % 2 != 0:
        raise ValueError(f"x has shape {x.shape}; rotary needs (..., seq, d_head) with an even d_head.")
    seq, d_head = x.shape[-2:]
    if np.shape(positions) != (seq,):
        raise ValueError(f"positions has shape {np.shape(positions)}; {seq} vectors need {(seq,)}.")
    frequencies = 10000.0 ** (-np.arange(0, d_head, 2) / d_head)
    angles = np.asarray(positions)[:, None] * frequencies
    cos, sin = np.cos(angles).astype(x.dtype), np.sin(angles).astype(x.dtype)
    first, second = x[..., 0::2], x[..., 1::2]
    out = np.empty_like(x)
    out[..., 0::2] = first * cos - second * sin
    out[..., 1::2] = first * sin + second * cos
    return out
    ### END SOLUTION


# %% tags=["check"]
gs.check("rotary_forward")

# %% [markdown]
# **Question.** Backward needs the transpose of the matrix above. What does that matrix do?
#
# <details><summary>Answer</summary>
#
# It turns by $-\alpha$. The gradient is turned back.
#
# </details>


# %%
def rotary_backward(
    dout: Float[np.ndarray, "*batch seq d_head"], positions: Int[np.ndarray, " seq"]
) -> Float[np.ndarray, "*batch seq d_head"]:
    """Return the gradient of x: dout, turned back.

    Args:
        dout: Gradient of the loss with respect to `out` of `rotary_forward`.
        positions: The same as in the forward.

    Returns:
        dx: Shape and dtype of `dout`.

    Raises:
        ValueError: As in `rotary_forward`, for `dout`.

    Source:
        Su et al. 2021, "RoFormer: Enhanced Transformer with Rotary Position Embedding", eq. 34, transposed.
    """
    ### BEGIN SOLUTION
    return rotary_forward(dout, -np.asarray(positions, np.int64))
    ### END SOLUTION


# %% tags=["check"]
gs.check("rotary_backward")

# %% [markdown]
# ### The kernel `rotary_forward.wgsl`
#
# One invocation per **pair**: it reads two numbers and writes two numbers. The pairs lie in memory one after the other,
# so pair number `p` is at `2 * p` and `2 * p + 1`.

# %% tags=["demo"]
gs.show_kernel("rotary_forward.wgsl")

# %% tags=["check"]
gs.check("rotary_forward.wgsl")

# %% [markdown]
# ### What rotary preserves
#
# The next cell puts the same query at every position and the same key at every position, once with
# sinusoidal positions added, once turned. Each picture holds the scores of all pairs of positions.
#
# **Question.** A score that depends on the distance only: what does its picture look like?

# %% tags=["demo"]
rng = np.random.default_rng(3)
query, key = rng.standard_normal((2, 32))
places = np.arange(40)
added = (query + sinusoidal_positions(40, 32)) @ (key + sinusoidal_positions(40, 32)).T
turned_q = rotary_forward(np.tile(query, (40, 1)), places)
turned_k = rotary_forward(np.tile(key, (40, 1)), places)
turned = turned_q @ turned_k.T


def spread_at_equal_distance(scores):
    """Return how much scores differ along a diagonal, against how much they differ at all."""
    diagonals = [np.diagonal(scores, offset) for offset in range(-30, 31)]
    return float(np.mean([values.std() for values in diagonals]) / scores.std())


fig, axes = plt.subplots(1, 2, figsize=(9, 4))
for ax, scores, title in zip(axes, (added, turned), ("sinusoidal, added", "rotary"), strict=True):
    ax.imshow(scores, cmap="RdBu_r", vmin=-np.abs(scores).max(), vmax=np.abs(scores).max())
    ax.set(xlabel="position of the key", ylabel="position of the query", title=title)
fig.tight_layout()
added_spread, turned_spread = spread_at_equal_distance(added), spread_at_equal_distance(turned)
norm_gap = float(np.abs(np.linalg.norm(turned_q, axis=1) - np.linalg.norm(query)).max())
print(f"spread at equal distance: {added_spread:.2f} when added, {turned_spread:.1e} when turned")
print(f"the norms of the turned queries differ from that of the query by at most {norm_gap:.1e}")

# %% [markdown]
# Stripes along the diagonal: on each stripe the distance is the same. Rotary keeps two things: the
# **length** of every vector, and the **score of every pair that is equally far apart**. On the left, the score
# also knows *where* the pair is.
#
# Does it matter? Train the game with rotary in place of sinusoidal positions. Then play it somewhere else: the
# same rows of twelve letters, but the counting starts at 5, at 20, at 100.


# %% tags=["demo"]
def rotary_layer(start=0):
    """Return self-attention whose queries and keys are turned; counting starts at `start`."""

    def layer(x, params, n_heads):
        places = start + np.arange(x.shape[1])
        q, k, v = (split_heads(x @ params[name], n_heads) for name in ("wq", "wk", "wv"))
        q, k = rotary_forward(q, places), rotary_forward(k, places)
        heads, cache = attention_forward(q, k, v)
        merged = merge_heads(heads)

        def backward(dout):
            dq, dk, dv = attention_backward(split_heads(dout @ params["wo"].T, n_heads), cache)
            dq, dk = rotary_backward(dq, places), rotary_backward(dk, places)
            slopes = {"wq": merge_heads(dq), "wk": merge_heads(dk), "wv": merge_heads(dv)}
            grads = {name: weight_gradient(x, slope) for name, slope in slopes.items()}
            dx = sum(slope @ params[name].T for name, slope in slopes.items())
            return dx, grads | {"wo": weight_gradient(merged, dout)}

        return merged @ params["wo"], backward

    return layer


def score_elsewhere(params, kind, start, seq=SEQ):
    if kind == "rotary":
        return score_game(params, 2, None, rotary_layer(start), seq)[0]
    return score_game(params, 2, sinusoidal_positions(start + seq, 32)[start:], seq=seq)[0]


for seed in SEEDS:
    trained["rotary", seed], _ = train_game(seed, 2, sinusoidal=False, layer=rotary_layer())
    trained["sinusoidal", seed] = trained["2 heads of 16", seed]
elsewhere = {}
print("letter before: accuracy for three seeds     sinusoidal          rotary")
for what, start, seq in (
    ("as trained", 0, SEQ),
    ("counted from 5", 5, SEQ),
    ("counted from 20", 20, SEQ),
    ("counted from 100", 100, SEQ),
    ("rows of 24 letters", 0, 24),
    ("rows of 48 letters", 0, 48),
):
    for kind in ("sinusoidal", "rotary"):
        elsewhere[kind, what] = [score_elsewhere(trained[kind, seed], kind, start, seq) for seed in SEEDS]
    columns = [
        "  ".join(f"{value:.2f}" for value in elsewhere[kind, what]) for kind in ("sinusoidal", "rotary")
    ]
    print(f"{what:44}{columns[0]}    {columns[1]}")

# %% [markdown]
# Moved as a whole, the rotary model does not notice: its scores are the same to rounding. The other one had
# learned its twelve places and makes mistakes elsewhere.
#
# But look at the last two rows. In longer rows there are *distances* that neither model has ever seen, and both get
# worse. Rotary makes the score depend on the distance. It does not teach what to do at a distance of 40.

# %% [markdown]
# ## 7.8 The same step on your own kernels
#
# First, every kernel against its NumPy twin. And the long way against the short one: split, two batched
# products with a softmax between, merge; or the one fused kernel.

# %% tags=["demo"]
rng = np.random.default_rng(11)
split_kernel, merge_kernel = gs.kernel("split_heads.wgsl"), gs.kernel("merge_heads.wgsl")
product_kernel, rotary_kernel = gs.kernel("batched_matmul.wgsl"), gs.kernel("rotary_forward.wgsl")
fused_kernel = gs.kernel("multi_head_attention_forward.wgsl")

q, k, v = (rng.standard_normal((2, n, 15)).astype(np.float32) for n in (5, 7, 7))
mask = np.tri(5, 7, 2, dtype=bool)
cut_q, cut_k, cut_v = (split_heads(part, 3) for part in (q, k, v))
heads, cache = attention_forward(cut_q, cut_k, cut_v, mask)
fused = fused_kernel(q=q, k=k, v=v, mask=mask[None].astype(np.uint32), n_heads=3, d_head=5)

split_v = split_kernel(x=v, n_heads=3, d_head=5)
averaged = product_kernel(a=cache["attn"].reshape(6, 5, 7), b=split_v.reshape(6, 7, 5))
long_way = merge_kernel(x=averaged.reshape(2, 3, 5, 5))
turn = rng.standard_normal((2, 7, 6)).astype(np.float32)
places = np.array([0, 3, -2, 40, 5, 5, 999], np.int32)
pairs = {
    "split_heads": (split_v, cut_v),
    "split, batched_matmul, merge": (long_way, merge_heads(heads)),
    "multi_head_attention_forward": (fused, merge_heads(heads)),
    "rotary_forward": (rotary_kernel(x=turn, positions=places), rotary_forward(turn, places)),
}
kernel_gaps = {name: float(np.abs(kernel - twin).max()) for name, (kernel, twin) in pairs.items()}
for name, gap in kernel_gaps.items():
    print(f"{name:30} differs from its twin by at most {gap:.1e}")

# %% [markdown]
# Then the game with two heads, the forward of the attention on your kernels: four products by
# `batched_matmul`, everything between them by the fused kernel. The arrays stay on the device from the first kernel
# to the last.
#
# **Question.** The backward needs the weights `attn`. The fused kernel never wrote them down. Now what?
#
# <details><summary>Answer</summary>
#
# The backward computes them again, from q and k. Here NumPy does it, by running its own forward. Stage 11 makes
# a virtue of this.
#
# </details>


# %% tags=["demo"]
def layer_on_kernels(x, params, n_heads):
    batch, seq, d_model = x.shape
    rows = gs.to_device(np.ascontiguousarray(x).reshape(1, batch * seq, d_model))
    q, k, v = (
        product_kernel(a=rows, b=gs.to_device(params[name][None])).reshape(batch, seq, d_model)
        for name in ("wq", "wk", "wv")
    )
    everyone = gs.to_device(np.ones((1, seq, seq), np.uint32))
    merged = fused_kernel(q=q, k=k, v=v, mask=everyone, n_heads=n_heads, d_head=d_model // n_heads)
    merged = merged.reshape(1, batch * seq, d_model)
    out = product_kernel(a=merged, b=gs.to_device(params["wo"][None]))
    _, backward = self_attention(x, params, n_heads)
    return out.numpy().reshape(batch, seq, d_model), backward


_, numpy_losses = train_game(0, 2, n_steps=120)
kernel_params, kernel_losses = train_game(0, 2, n_steps=120, layer=layer_on_kernels)
early_gap = float(np.abs(np.subtract(numpy_losses, kernel_losses))[:20].max())
kernel_accuracies = score_game(kernel_params, 2, sinusoidal_positions(SEQ, 32))
print(
    f"loss at the first step {kernel_losses[0]:.3f}, mean of the last ten {np.mean(kernel_losses[-10:]):.3f}"
)
print(f"in NumPy               {numpy_losses[0]:.3f}                       {np.mean(numpy_losses[-10:]):.3f}")
print(f"the first twenty losses differ by at most {early_gap:.1e}")
print("accuracy after 120 steps: letter before {:.2f}, marked letter {:.2f}".format(*kernel_accuracies))

# %% [markdown]
# ## 7.9 What you have
#
# | function | backward | the idea in a line |
# |---|---|---|
# | `split_heads`, `merge_heads` | each other | one width, cut into several views |
# | `multi_head_attention_forward` | the forward, bottom up | who asks and who is asked may differ |
# | `sinusoidal_positions` | added, so nothing to do | the place becomes a part of the input |
# | `rotary_forward` | turned back | the score feels the distance, and only that |
#
# In PyTorch:
#
# ```python
# attention = nn.MultiheadAttention(d_model, n_heads, bias=False, batch_first=True)
# out, attn = attention(x_q, x_kv, x_kv, attn_mask=~mask)    # its masks are True where it is forbidden
# ```
#
# **A last question.** Attention takes averages of values, and an average of averages is an average. Stack ten of these
# layers: is there anything between them that *computes* on what has been fetched?
#
# <details><summary>Answer</summary>
#
# Not yet. What was fetched must be worked on, position by position, and added to what was there. That is
# the block, with a feed-forward part, norms and a residual stream: stage 8.
#
# </details>
