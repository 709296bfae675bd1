# %% [markdown]
# # 9. Language models: predict, sample, remember
#
# In stage 8 a transformer read one text and wrote another. This one only writes. It is given the
# beginning of a text and says what comes next, a little at a time. That is all that GPT does.
#
# Nothing in it is new, apart from the two ends. At the one end text must become numbers. At the other
# end scores must become text again. And in between the model must be trained for longer than any model
# before, so the steps deserve care. You build these things first: tokens, steps, choices. Then comes
# the model, and then it learns English.
#
# You need the transformer block of stage 8, Adam of stage 3 and softmax of stage 1. What you need of
# them is given below.

# %% tags=["setup"]
import os

# The matrix products of this stage are small: several threads would mostly wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import re
from collections import Counter
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

import gradschool as gs

gs.start("09_language_model")

# %% [markdown]
# ## 9.1 What is a token?
#
# A network computes with numbers, and a text is none. So cut the text into pieces, give each different
# piece a number, and let the model predict the number of the next piece. Such a piece is a **token**.
#
# **Question.** What should the pieces be: words, or letters? Think of the word *naïvely*. Think of a
# word that nobody has written before.
#
# <details><summary>Answer</summary>
#
# With words the text becomes short, but the list of all words never ends, and for a new word there is
# no number. With letters nothing is ever unknown, but the text becomes long, and the model must learn
# to spell before it can learn anything else.
#
# </details>
#
# Start with letters, or rather with all characters: spaces, signs and line breaks as well. The list of
# those that occur is the **vocabulary**, and a character's place in it is its token. The list is all
# that must be kept. Sort it, so that the same characters always get the same numbers.


# %%
def char_tokenizer(text: str) -> str:
    """Find the vocabulary of a character tokenizer: the characters that occur, each once.

    The token of a character is its place in the vocabulary, so n_vocab = len(vocab).

    Args:
        text: Any text.

    Returns:
        The distinct characters of `text` as one string, in the order of their code points (`ord`);
        the empty string for an empty text.

    Source:
        Python's `sorted` compares characters by code point, as the Unicode standard numbers them.
    """
    ### BEGIN SOLUTION
    return "".join(sorted(set(text)))
    ### END SOLUTION


# %% tags=["check"]
gs.check("char_tokenizer")

# %% [markdown]
# Two small functions go with it, one for each direction. They are given.


# %%
def char_encode(text: str, vocab: str) -> Int[np.ndarray, " n_tokens"]:
    """Turn text into tokens: the place of each character in the vocabulary."""
    place = {character: token for token, character in enumerate(vocab)}
    unknown = sorted(set(text) - place.keys())
    if unknown:
        raise ValueError(f"The vocabulary has no {unknown[0]!r}.")
    return np.array([place[character] for character in text], dtype=np.int64)


def char_decode(tokens: Int[np.ndarray, " n_tokens"], vocab: str) -> str:
    """Turn tokens back into text."""
    return "".join(vocab[token] for token in tokens)


# %% [markdown]
# Python brings a text of 465,000 characters along: the help pages of its own language. How much does a
# vocabulary of characters cover? Learn it on the first half, and look for strangers in the second.

# %% tags=["demo"]
import matplotlib.pyplot as plt
from pydoc_data.topics import topics as help_topics

BLUE, ORANGE, GREEN, RED, INK, GREY = "#1f6fb2", "#c05e00", "#2b7a3d", "#b42318", "#1f2933", "#8a949e"
plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})

help_pages = "\n\n".join(help_topics[name] for name in sorted(help_topics))
half = len(help_pages) // 2
characters = char_tokenizer(help_pages[:half])
strangers = sorted(set(help_pages[half:]) - set(characters))
print(f"{len(help_pages):,} characters, {len(characters)} different ones in the first half")
print(f"never seen before in the second half: {' '.join(strangers) or 'none'}")
try:
    char_encode("A smile: 🙂", characters)
except ValueError as problem:
    print(f"ValueError: {problem}")

# %% [markdown]
# For one book this is enough, and our model below will use it. For all texts it is not. There are
# 150,000 characters in Unicode, and most of them are rare.
#
# ## 9.2 Bytes, and pairs of them
#
# **Question.** Which alphabet has a sign for everything that a computer can store, and yet is small?
#
# <details><summary>Answer</summary>
#
# The bytes. There are 256 of them. UTF-8 writes each character as one to four bytes, so every text in
# every script is a row of bytes. Nothing is ever unknown.
#
# </details>
#
# Bytes solve the first problem and make the second one worse: the row is longer still. So let us make
# it shorter, by an old trick for packing data. Philip Gage, 1994: find the pair of neighbours that
# occurs most often, and write one new sign for it. Then do it again. Frequent pairs become tokens,
# pairs of pairs become longer tokens, and in the end frequent words are one token each. Rare words
# stay in pieces, and a word that nobody has ever seen is spelled out in bytes. This is **byte pair
# encoding**, BPE. GPT-2 uses 50,000 merges of this kind, and its successors use more.
#
# ![Byte pair encoding: the most frequent pair becomes a new token, again and again](figures/bpe.svg)
#
# One thing must be decided first. Should a token be allowed to reach over the end of a word?
#
# **Question.** In English *of the* is very frequent. What would be bad about a token that spells *of
# the*, and one for *dog.*, and one for *dog!*?
#
# <details><summary>Answer</summary>
#
# The vocabulary fills up with phrases and with one word in many disguises. What is learned about
# *dog.* says nothing about *dog!*. So the text is first cut into **chunks**, and pairs are only looked
# for inside a chunk.
#
# </details>
#
# The next cell is given. A chunk is a word or a run of signs, together with the space before it. So
# the space belongs to the word that follows, and a word at the start of a line is another token than
# the same word in the middle. This is how GPT-2 does it.


# %%
# A word with the space before it, a run of signs with the space before it, or a run of white space.
# Every character belongs to one of them, so the chunks of a text, joined, are the text.
CHUNK = re.compile(r" ?\w+| ?[^\w\s]+|\s+(?!\S)|\s+")


def split_chunks(text: str) -> list[str]:
    """Cut a text into chunks; no token reaches over their borders."""
    return CHUNK.findall(text)


def merge_pair(tokens: list[int], pair: tuple[int, int], new: int) -> list[int]:
    """Return `tokens` with each `pair` of neighbours, from left to right, replaced by `new`."""
    if pair[0] not in tokens:
        return tokens
    merged, i = [], 0
    while i < len(tokens):
        if tuple(tokens[i : i + 2]) == pair:
            merged.append(new)
            i += 2
        else:
            merged.append(tokens[i])
            i += 1
    return merged


# %% [markdown]
# **Your turn.** Three functions. The first learns the merges. Two of its rules are there to make the
# answer unique. Pairs are counted at every position, and of equally frequent pairs the smallest wins.
# After each merge the counts are stale: some pairs are gone, and others are new.


# %%
def bpe_train(text: str, n_merges: int) -> list[tuple[int, int]]:
    """Learn which pairs of tokens to merge, the most frequent pair first.

    Start: each chunk of `split_chunks(text)` is its UTF-8 bytes, tokens 0 to 255. Then again and again:
    count every pair of neighbours inside a chunk, overlapping ones too ("aaa" holds the pair "aa"
    twice), over all chunks; take the most frequent pair, of equally frequent ones the smallest (first
    token, then second); merge i makes the token 256 + i of its pair, everywhere in the text and in each
    chunk from left to right.

    Args:
        text: Any text.
        n_merges: How many merges to learn, at least 0.

    Returns:
        The pairs in the order in which they were merged, as plain ints. Fewer than `n_merges` when no
        pair occurs twice any more.

    Raises:
        ValueError: `n_merges` is below 0.

    Source:
        Gage 1994, "A New Algorithm for Data Compression"; Sennrich et al. 2016, "Neural Machine
        Translation of Rare Words with Subword Units"; on bytes: Radford et al. 2019 (GPT-2).
    """
    ### BEGIN SOLUTION
    if n_merges < 0:
        raise ValueError(f"n_merges is at least 0; got {n_merges}.")
    # A text repeats its words: each different chunk is looked at once and counts as often as it occurs.
    chunks = [(list(chunk.encode()), count) for chunk, count in Counter(split_chunks(text)).items()]
    merges = []
    while len(merges) < n_merges:
        pairs = Counter()
        for tokens, count in chunks:
            for pair in pairwise(tokens):
                pairs[pair] += count
        best = min(pairs, key=lambda pair: (-pairs[pair], pair), default=None)
        if best is None or pairs[best] < 2:
            break
        new = 256 + len(merges)
        merges.append(best)
        chunks = [(merge_pair(tokens, best, new), count) for tokens, count in chunks]
    return merges
    ### END SOLUTION


# %% tags=["check"]
gs.check("bpe_train")

# %% [markdown]
# The second function uses the merges on any text.
#
# **Question.** Somebody learned first *t·h* and later *h·e*. How is *the* cut? And would you get the
# same if you always took the longest piece that fits?
#
# <details><summary>Answer</summary>
#
# As *th* and *e*: merge 0 is done everywhere before merge 1 begins, and then there is no *h·e* left.
# Here the longest piece that fits gives the same. With *h·e* learned first it does not: BPE makes *t*
# and *he*. The model has only seen texts that were cut by the rule, so keep to the rule.
#
# </details>


# %%
def bpe_encode(text: str, merges: list[tuple[int, int]]) -> Int[np.ndarray, " n_tokens"]:
    """Turn text into tokens with the merges that `bpe_train` learned.

    Each chunk of `split_chunks(text)` starts as its UTF-8 bytes; then the merges are done in the order
    in which they were learned, pair `merges[i]` becoming the token 256 + i.

    Args:
        text: Any text, also one with characters that training never saw.
        merges: From `bpe_train`; not changed.

    Returns:
        The tokens of all chunks one after the other, int64; an array of length 0 for an empty text.

    Source:
        Sennrich et al. 2016, algorithm 1; Radford et al. 2019, section 2.2.
    """
    ### BEGIN SOLUTION
    tokens = []
    for chunk in split_chunks(text):
        part = list(chunk.encode())
        for i, pair in enumerate(merges):
            part = merge_pair(part, tuple(pair), 256 + i)
        tokens += part
    return np.array(tokens, dtype=np.int64)
    ### END SOLUTION


# %% tags=["check"]
gs.check("bpe_encode")

# %% [markdown]
# The third goes back. A character outside ASCII is several bytes, and a border between tokens may run
# right through it. So first put all bytes together, then read them as text. A model can write bytes
# that are no text at all. That is no reason to crash.


# %%
def bpe_decode(tokens: Int[np.ndarray, " n_tokens"], merges: list[tuple[int, int]]) -> str:
    """Turn tokens back into text.

    Token t < 256 is the byte t; token 256 + i is what the two tokens of `merges[i]` are, one after the
    other. All bytes together are read as UTF-8.

    Args:
        tokens: Whole numbers, in an array or a list; not changed.
        merges: From `bpe_train`; not changed.

    Returns:
        The text. Bytes that are no UTF-8 become U+FFFD, the replacement character, as Python's
        `errors="replace"` puts it: a model may stop in the middle of a character.

    Raises:
        ValueError: A token is below 0, or not below 256 + the number of merges.

    Source:
        Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.2.
    """
    ### BEGIN SOLUTION
    pieces = [bytes([value]) for value in range(256)]
    for first, second in merges:
        pieces.append(pieces[first] + pieces[second])
    for token in tokens:
        if not 0 <= token < len(pieces):
            raise ValueError(f"Token {token} is unknown: there are {len(pieces)}.")
    return b"".join(pieces[token] for token in tokens).decode("utf-8", errors="replace")
    ### END SOLUTION


# %% tags=["check"]
gs.check("bpe_decode")

# %% [markdown]
# Learn three hundred merges on a part of the help pages, and cut a part that training has not seen.
# How much shorter does the text become? What do the tokens look like?

# %% tags=["demo"]
learn_from, unseen = help_pages[:60_000], help_pages[300_000:310_000]
merges = bpe_train(learn_from, 300)
n_merges = [0, 10, 30, 100, 300]
lengths = [len(bpe_encode(unseen, merges[:n])) for n in n_merges]
spelled = [bpe_decode([256 + i], merges) for i in range(len(merges))]
sentence = "The statement is naïvely optimised 🙂."
cut = bpe_encode(sentence, merges)
round_trip = bpe_decode(cut, merges) == sentence and bpe_decode(bpe_encode(unseen, merges), merges) == unseen

fig, (left, right) = plt.subplots(1, 2, figsize=(11, 3.4), width_ratios=(1, 1.5))
left.plot([256 + n for n in n_merges], [len(unseen) / length for length in lengths], color=BLUE, marker="o")
left.set(xlabel="size of the vocabulary", ylabel="characters per token", ylim=(0, None), title="unseen text")
right.axis("off")
right.set(xlim=(0, 60), ylim=(0, 6), title="how a sentence is cut")
x, y = 0, 4.6
for token in cut:
    shown = bpe_decode([token], merges).replace(" ", "␣").replace("\ufffd", "�")
    shown = shown if "�" not in shown else f"{int(token):02X}"
    width = 1.1 * len(shown) + 0.7
    if x + width > 60:
        x, y = 0, y - 1.3
    colour = "#d6e8f7" if token >= 256 else "#fde3c8"
    right.add_patch(plt.Rectangle((x, y - 0.45), width - 0.2, 0.95, facecolor=colour, edgecolor=INK))
    right.text(x + width / 2 - 0.1, y, shown, ha="center", va="center", family="DejaVu Sans Mono", fontsize=9)
    x += width
right.text(0, y - 1.5, "blue: merged; orange: a single byte", color=INK, fontsize=9)
fig.tight_layout()
print(f"{len(unseen):,} characters: {lengths[0]:,} bytes, {lengths[-1]:,} tokens after {len(merges)} merges")
print("the first merges:", " ".join(repr(piece) for piece in spelled[:10]))
print("late merges:     ", " ".join(repr(piece) for piece in spelled[-8:]))
print(f"everything comes back: {round_trip}")

# %% [markdown]
# The first merges are white space and pairs of letters, the late ones are words, most of them with
# their space in front. The text is only half as long now. For a transformer that is a quarter of the
# work in attention. The letter *ï* and the smile fall apart into bytes, and still come back.
#
# More merges mean shorter texts and a larger table of vectors, in which rare tokens are seldom
# trained. Our model has little text to learn from, so it will stay with characters.

# %% [markdown]
# ## 9.3 Decay, and why it stands beside Adam
#
# A language model is trained for many steps, and weights that grow and grow make it sure of itself
# where it should not be. An old remedy is to let every weight shrink a little in each step, unless the
# gradients keep it up. Usually this is written as a penalty: add $\frac{\lambda}{2} w^2$ to the loss,
# and $\lambda w$ comes into the gradient. This is called **L2**.
#
# With SGD that is the same as shrinking. With Adam it is not.
#
# **Question.** Suppose a weight's gradients are all 0, so that $\lambda w$ is all there is. Adam divides
# by the typical size of a gradient. How far does the weight move in a step? What does $\lambda$ change?
#
# <details><summary>Answer</summary>
#
# By about `lr`, as always with Adam, whatever $\lambda$ is. The division cancels it. And for a weight
# with large gradients $\lambda w$ is divided by a large number, so next to nothing of it is left.
#
# </details>
#
# Ilya Loshchilov and Frank Hutter found in 2017 that this is why weight decay seemed not to work with
# Adam. Their remedy is one line: take the decay out of the gradient. It is **decoupled** from it:
#
# $$w \leftarrow w - \eta\,\lambda\,w - \eta\,\frac{\hat m}{\sqrt{\hat v} + \varepsilon}$$
#
# $m$ and $v$ never see it. This is **AdamW**.
#
# **Your turn.** Start from stage 3's `adam_step`. The state may look as it did there.


# %%
def adamw_step(
    params: dict[str, np.ndarray],
    grads: dict[str, np.ndarray],
    state: dict,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
) -> tuple[dict[str, np.ndarray], dict]:
    """Take one step of Adam with decoupled weight decay.

    m <- beta1 m + (1 - beta1) g, v <- beta2 v + (1 - beta2) g^2, then with t = 1 in the first step
    w <- w - lr * weight_decay * w - lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps), where
    both terms see the w from before the step. m and v never see the decay.

    Args:
        params: Arrays by name; not changed. All of them decay.
        grads: The gradient of each, under the same names.
        state: What the last step returned; `{}` before the first step, when all averages are 0. The
            reference keeps `{"t": steps so far, "m": {name: array}, "v": {name: array}}`. Not changed.
        lr: Learning rate.
        betas: beta1 and beta2, each in [0, 1).
        eps: Added to the root, not under it.
        weight_decay: Share of a weight that is lost per unit of learning rate, at least 0.

    Returns:
        params: New arrays under the same names, each with the dtype of its parameter.
        state: What the next step is to be given.

    Raises:
        ValueError: The names of `grads` are not those of `params`, a gradient has another shape than
            its parameter, a beta is outside [0, 1), or `weight_decay` is below 0.

    Source:
        Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization", algorithm 2.
    """
    ### BEGIN SOLUTION
    if params.keys() != grads.keys():
        raise ValueError(f"params has {sorted(params)} and grads has {sorted(grads)}; they must be equal.")
    beta1, beta2 = map(float, betas)  # Python numbers widen no float32
    if not (0 <= beta1 < 1 and 0 <= beta2 < 1):
        raise ValueError(f"The betas are at least 0 and below 1; got {betas}.")
    if weight_decay < 0:
        raise ValueError(f"weight_decay is at least 0; got {weight_decay}.")
    t = state.get("t", 0) + 1
    old_m, old_v = state.get("m", {}), state.get("v", {})
    new_params, new_m, new_v = {}, {}, {}
    for name, value in params.items():
        grad = grads[name]
        if grad.shape != value.shape:
            raise ValueError(f"The gradient of {name} has shape {grad.shape}; {name} has {value.shape}.")
        m = beta1 * old_m.get(name, np.zeros_like(value)) + (1 - beta1) * grad
        v = beta2 * old_v.get(name, np.zeros_like(value)) + (1 - beta2) * grad**2
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        step = m_hat / (np.sqrt(v_hat) + float(eps))
        new_params[name] = value - float(lr) * (step + float(weight_decay) * value)
        new_m[name], new_v[name] = m, v
    return new_params, {"t": t, "m": new_m, "v": new_v}
    ### END SOLUTION


# %% tags=["check"]
gs.check("adamw_step")

# %% [markdown]
# Now measure what we only thought about. Two hundred weights start at 1. Their gradients are noise
# around 0: nothing in the data holds them up, so all of them should decay alike. The noise is tiny for
# some, large for others. What does L2 do with them inside Adam, and what does AdamW do?


# %% tags=["demo"]
def l2_step(params, grads, state, lr, weight_decay):
    """Adam with the decay inside the gradient."""
    coupled = {name: grad + weight_decay * params[name] for name, grad in grads.items()}
    return adamw_step(params, coupled, state, lr, weight_decay=0.0)


def decay_of_noise(step, noise, n_steps=600):
    """Return the mean weight after each step when the gradients are noise of one size."""
    rng, params, state, means = np.random.default_rng(0), {"w": np.ones(200)}, {}, []
    for _ in range(n_steps):
        grads = {"w": noise * rng.standard_normal(200)}
        params, state = step(params, grads, state, 0.005, weight_decay=0.3)
        means.append(params["w"].mean())
    return means


NOISES = {0.01: BLUE, 1.0: GREEN, 10.0: ORANGE}
fig, axes = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True)
decayed = {}
for ax, (name, step) in zip(axes, {"L2 inside Adam": l2_step, "AdamW": adamw_step}.items(), strict=True):
    for noise, colour in NOISES.items():
        decayed[name, noise] = decay_of_noise(step, noise)
        ax.plot(decayed[name, noise], color=colour, linewidth=2, label=f"gradients of size {noise:g}")
    ax.set(title=name, xlabel="step", ylim=(0, 1.05))
axes[0].set_ylabel("mean weight")
axes[1].legend(frameon=False, loc="lower left")
axes[1].annotate("three lines, one upon another", (240, 0.73))
fig.tight_layout()
for (name, noise), means in decayed.items():
    print(f"{name:14}, gradients of size {noise:5}: {means[-1]:.2f} of a weight is left")

# %% [markdown]
# Inside Adam the decay depends on the gradients: where they are small the weights are gone, and where
# they are large nothing happens. In a language model the gradients of a rare word's vector are small.
# With L2 the rare words would be forgotten first. With AdamW all weights shrink alike, by
# $(1 - \eta\lambda)$ in each step.
#
# Does it matter for a real network? A small MLP learns from 400 digits, three in ten of which have a
# wrong label. We tried several strengths for both methods, and the best are below. Then we multiply
# the loss by 10. That should change nothing: the minimum stays where it is, and Adam does not care.


# %% tags=["demo"]
pixels, digits = gs.load_digits()
shuffled = np.random.default_rng(0).permutation(len(pixels))
pixels, digits = pixels[shuffled].astype(np.float32), digits[shuffled]
pixels = (pixels - pixels.mean()) / pixels.std()


def mlp_start(sizes, rng):
    """Draw He weights; biases are 0."""
    params = {}
    for i, (d_in, d_out) in enumerate(pairwise(sizes)):
        params[f"w{i}"] = (rng.standard_normal((d_in, d_out)) * np.sqrt(2 / d_in)).astype(np.float32)
        params[f"b{i}"] = np.zeros(d_out, np.float32)
    return params


def mlp_loss(params, x, labels):
    """Return loss, logits and gradients of a ReLU network of any depth."""
    n_layers, inputs, grads = len(params) // 2, [x], {}
    for i in range(n_layers):
        z = inputs[-1] @ params[f"w{i}"] + params[f"b{i}"]
        inputs.append(np.maximum(z, 0) if i < n_layers - 1 else z)
    logits = inputs.pop()
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    rows = np.arange(len(x))
    dz = np.exp(log_probs)
    dz[rows, labels] -= 1
    dz /= np.float32(len(x))
    for i in reversed(range(n_layers)):
        grads[f"w{i}"], grads[f"b{i}"] = inputs[i].T @ dz, dz.sum(axis=0)
        if i:
            dz = (dz @ params[f"w{i}"].T) * (inputs[i] > 0)
    return -log_probs[rows, labels].mean(), logits, grads


def noisy_digits_run(step, weight_decay, loss_scale, seed):
    """Return the accuracy on 359 clean digits after learning from 400 of which some are wrong."""
    rng = np.random.default_rng(seed)
    params, state, labels = mlp_start([64, 128, 10], rng), {}, digits[:400].copy()
    wrong = rng.random(400) < 0.3
    labels[wrong] = rng.integers(0, 10, wrong.sum())
    for _ in range(400):
        chosen = rng.integers(0, 400, 32)
        _, _, grads = mlp_loss(params, pixels[chosen], labels[chosen])
        grads = {name: np.float32(loss_scale) * grad for name, grad in grads.items()}
        params, state = step(params, grads, state, 0.002, weight_decay=weight_decay)
    return float(np.mean(mlp_loss(params, pixels[1438:], digits[1438:])[1].argmax(axis=1) == digits[1438:]))


decay_accuracy = {}
for name, step, weight_decay in (
    ("no decay", adamw_step, 0.0),
    ("L2", l2_step, 0.03),
    ("AdamW", adamw_step, 3.0),
):
    for loss_scale in (1, 10):
        runs = [noisy_digits_run(step, weight_decay, loss_scale, seed) for seed in range(3)]
        decay_accuracy[name, loss_scale] = float(np.mean(runs))
        print(f"{name:8}, loss times {loss_scale:2}: test accuracy {decay_accuracy[name, loss_scale]:.3f}")

# %% [markdown]
# Well tuned, both help, and about equally. Then the scale of the loss changes, and L2 loses most of
# what it gave, for it would have to be tuned again. AdamW does not notice. That is what decoupling buys:
# one knob less that turns when you turn another.
#
# `adamw_step` shrinks every array that it is given. Many programs spare biases, norms and whatever else
# has one axis. They call the step twice, with two dicts and two states.
#
# ### The kernel `adamw_step.wgsl`
#
# The kernel of stage 3 with one more number. `w` stands on both sides now: read it before you write it.

# %% tags=["demo"]
gs.show_kernel("adamw_step.wgsl")

# %% tags=["check"]
gs.check("adamw_step.wgsl")

# %% [markdown]
# ## 9.4 One bad batch
#
# Long training has accidents. Once in a thousand batches there comes one with a gradient a hundred or a
# thousand times as long as usual: a strange text, or a steep place in the landscape.
#
# **Question.** Adam divides by the typical size. So a single huge gradient makes no huge step. Is
# everything all right then? Look at $v$, and remember $\beta_2 = 0.999$.
#
# <details><summary>Answer</summary>
#
# The step is not huge, but $v$ remembers the square of that gradient for thousands of steps. Until it is
# forgotten everything is divided by it, and training stands still.
#
# </details>
#
# The remedy is to cut the gradient off at some length before anybody sees it. Its direction should stay.
#
# **Question.** If each array is shortened to the allowed length by itself, does the direction stay?
#
# <details><summary>Answer</summary>
#
# No. A long gradient of one array and a short one of another would become equally long. There is one
# gradient, spread over many arrays, with one length: the root of the sum of all squares.
#
# </details>


# %%
def clip_gradients(grads: dict[str, np.ndarray], max_norm: float) -> tuple[dict[str, np.ndarray], float]:
    """Shorten the gradient when it is longer than `max_norm`; keep its direction.

    norm = sqrt(sum of g^2 over all numbers of all arrays); where it exceeds `max_norm`, every array is
    multiplied by max_norm / norm. A shorter gradient stays as it is.

    Args:
        grads: Arrays by name; not changed.
        max_norm: Longest length allowed, above 0.

    Returns:
        grads: New arrays under the same names, each with its dtype.
        norm: The length before clipping, a Python float. Its sum is taken in float64, for the squares
            of large float32 numbers overflow.

    Raises:
        ValueError: `max_norm` is not above 0.

    Source:
        Pascanu et al. 2013, "On the difficulty of training recurrent neural networks", algorithm 1.
    """
    ### BEGIN SOLUTION
    if not max_norm > 0:
        raise ValueError(f"max_norm is above 0; got {max_norm}.")
    norm = float(np.sqrt(sum(np.sum(np.square(grad, dtype=np.float64)) for grad in grads.values())))
    scale = max_norm / norm if norm > max_norm else 1.0
    return {name: grad * float(scale) for name, grad in grads.items()}, norm
    ### END SOLUTION


# %% tags=["check"]
gs.check("clip_gradients")

# %% [markdown]
# Measure it. A hundred weights walk down a round bowl, with some noise. At step 50 one gradient is a
# thousand times too long.


# %% tags=["demo"]
def walk_with_an_accident(max_norm, n_steps=600):
    """Return the distance from the minimum and the length of the step, both per weight, after each step."""
    rng, params, state, walked = np.random.default_rng(0), {"w": np.full(100, 3.0)}, {}, []
    for t in range(1, n_steps + 1):
        grads = {"w": (params["w"] + 0.3 * rng.standard_normal(100)) / 10}
        if t == 50:
            grads["w"] = 1000 * grads["w"]
        if max_norm is not None:
            grads, _ = clip_gradients(grads, max_norm)
        new, state = adamw_step(params, grads, state, 0.01, weight_decay=0.0)
        walked.append((np.abs(new["w"]).mean(), np.abs(new["w"] - params["w"]).mean()))
        params = new
    return np.array(walked)


accident = {"not clipped": walk_with_an_accident(None), "clipped at 1": walk_with_an_accident(1.0)}
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4))
for (name, walked), colour in zip(accident.items(), (RED, GREEN), strict=True):
    left.plot(walked[:, 0], color=colour, linewidth=2, label=name)
    right.semilogy(walked[:, 1], color=colour, linewidth=1.5)
left.set(xlabel="step", ylabel="distance from the minimum", ylim=(0, None))
right.set(xlabel="step", ylabel="length of a step", title="the rate is 0.01 all the time")
left.annotate("the accident", (50, 2.5), (110, 2.85), arrowprops={"arrowstyle": "->", "color": INK})
left.legend(frameon=False, loc="lower left")
fig.tight_layout()
for name, walked in accident.items():
    print(f"{name:12}: {walked[-1, 0]:.2f} from the minimum after {len(walked)} steps")

# %% [markdown]
# Without clipping the steps become more than fifty times shorter within a few steps, and they are still short at the
# end. With clipping the accident is a step like any other.
#
# The length before clipping is worth a look as well. It is the first thing that tells when something is
# about to go wrong, and so `clip_gradients` returns it.
#
# ## 9.5 A gentle start, and a gentle end
#
# Look at Adam's very first step. One gradient has been seen. $\hat m = g$ and $\hat v = g^2$.
#
# **Question.** How long is that step, for a weight whose gradient is pure noise? And how long are the
# steps later, when many noisy gradients have been averaged?
#
# <details><summary>Answer</summary>
#
# $g / \sqrt{g^2} = \pm 1$ times the learning rate: the full length, in a direction that is chance. Later
# the noise averages out in $\hat m$, and not in $\hat v$, so the steps become short.
#
# </details>

# %% tags=["demo"]
params, state, rng, step_sizes = {"w": np.zeros(5000)}, {}, np.random.default_rng(0), []
for _ in range(60):
    new, state = adamw_step(params, {"w": rng.standard_normal(5000)}, state, 1.0, weight_decay=0.0)
    step_sizes.append(float(np.sqrt(np.mean((new["w"] - params["w"]) ** 2))))
    params = new
print("length of Adam's steps, for gradients of noise and a rate of 1:")
print(", ".join(f"step {t}: {step_sizes[t - 1]:.2f}" for t in (1, 2, 5, 10, 20, 60)))

# %% [markdown]
# The first steps are four times as long as later ones, just when nothing is known yet. So start with a
# small rate and let it rise over the first steps: the **warm-up**. At the end the opposite is wanted.
# The weights are nearly right and the noise of the batches throws them about, so the rate should become
# small. The usual way down is half a cosine: slowly first, then quickly, then slowly again.
#
# Steps are counted from 1, as $t$ in Adam. Step `warmup` has the largest rate and step `total` the
# smallest.


# %%
def cosine_schedule(step: int, warmup: int, total: int, lr_max: float, lr_min: float) -> float:
    """Return the learning rate of one step: up in a straight line, then down along half a cosine.

    step <= warmup:         lr_max * step / warmup        (with warmup = 0 there is no such part)
    warmup <= step <= total: lr_min + (lr_max - lr_min) * (1 + cos(pi * p)) / 2
                            with p = (step - warmup) / (total - warmup)
    step >= total:          lr_min

    Args:
        step: Number of the step, 1 for the first as t in Adam; 0 gives the start of the line.
        warmup: Steps until the rate is `lr_max`, at least 0.
        total: Steps until the rate is `lr_min`, more than `warmup`.
        lr_max: The largest rate.
        lr_min: The rate at the end and after it.

    Returns:
        The rate, a Python float.

    Raises:
        ValueError: `step` or `warmup` is below 0, or `total` is not above `warmup`.

    Source:
        Loshchilov & Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts", eq. 5;
        warm-up: Goyal et al. 2017, "Accurate, Large Minibatch SGD".
    """
    ### BEGIN SOLUTION
    if step < 0 or warmup < 0:
        raise ValueError(f"step and warmup are at least 0; got {step} and {warmup}.")
    if total <= warmup:
        raise ValueError(f"total is more than warmup; got {total} and {warmup}.")
    if step < warmup:
        return float(lr_max * step / warmup)
    progress = min((step - warmup) / (total - warmup), 1.0)
    return float(lr_min + (lr_max - lr_min) * (1 + np.cos(np.pi * progress)) / 2)
    ### END SOLUTION


# %% tags=["check"]
gs.check("cosine_schedule")

# %% [markdown]
# The ReLU network of stage 3, twenty layers deep, at a rate that is rather high for it. Both runs end in
# the same cosine. One of them starts at the top, and the other climbs there first.


# %% tags=["demo"]
def deep_run(warmup, seed, total=250):
    """Return the losses and the test accuracy of twenty layers."""
    rng = np.random.default_rng(seed)
    params, state, losses = mlp_start([64] * 20 + [10], rng), {}, []
    for t in range(1, total + 1):
        chosen = rng.integers(0, 1438, 64)
        loss, _, grads = mlp_loss(params, pixels[chosen], digits[chosen])
        lr = cosine_schedule(t, warmup, total, 0.01, 0.0)
        params, state = adamw_step(params, grads, state, lr, weight_decay=0.0)
        losses.append(float(loss))
    right_ones = mlp_loss(params, pixels[1438:], digits[1438:])[1].argmax(axis=1) == digits[1438:]
    return losses, float(np.mean(right_ones))


fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4), width_ratios=(1, 1.4))
warmup_accuracy = {}
for warmup, colour in ((0, RED), (60, GREEN)):
    left.plot([cosine_schedule(t, warmup, 250, 0.01, 0.0) for t in range(1, 251)], color=colour, linewidth=2)
    runs = [deep_run(warmup, seed) for seed in range(3)]
    warmup_accuracy[warmup] = [accuracy for _, accuracy in runs]
    for i, (losses, _) in enumerate(runs):
        smooth = np.convolve(losses, np.ones(15) / 15, mode="valid")
        right.plot(smooth, color=colour, linewidth=1.4, label=f"warm-up {warmup}" if i == 0 else None)
    accuracies = ", ".join(f"{accuracy:.2f}" for accuracy in warmup_accuracy[warmup])
    print(f"warm-up of {warmup:2} steps: test accuracy {accuracies}")
left.set(xlabel="step", ylabel="learning rate", title="two schedules")
right.set(xlabel="step", ylabel="loss [nats]", ylim=(0, 3), title="20 layers, three seeds each")
right.legend(frameon=False)
fig.tight_layout()

# %% [markdown]
# The first steps decide. Without a warm-up they may throw the weights to a place from which twenty layers
# are hard to train. The warm-up takes a quarter of the steps, and on average it pays. The deeper the network and
# the higher the rate, the more it matters.
#
# ## 9.6 Only the last position predicts
#
# A language model has an output at *every* position: the scores at position $t$ are its guess for the token
# at $t + 1$. While training that is a gift. A text of 64 tokens is 64 exercises at once, each with its
# answer, for the causal mask hides what comes after.
#
# **Question.** Now the model writes. The text has 64 tokens and the 65th is wanted. How many of its 64
# outputs are of use?
#
# <details><summary>Answer</summary>
#
# One, the last. Output 1 guesses token 2, and that is there already, and so on. Only the last output is
# about a token that nobody knows yet. Its position has also seen the most: the whole text.
#
# </details>
#
# ![Each position predicts the next token; only the last prediction is not known yet](figures/last.svg)


# %%
def next_token_logits(
    logits: Float[np.ndarray, "*batch seq n_vocab"],
) -> Float[np.ndarray, "*batch n_vocab"]:
    """Pick the scores for the token that comes after the sequence: those of its last position.

    out[..., c] = logits[..., seq - 1, c]

    Args:
        logits: The model's scores; those at position t are for the token at position t + 1.

    Returns:
        A new array with the dtype of `logits`, not a view.

    Raises:
        ValueError: `logits` has fewer than two axes, or no position.

    Source:
        Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training", eq. 1.
    """
    ### BEGIN SOLUTION
    if logits.ndim < 2 or logits.shape[-2] == 0:
        raise ValueError(f"logits has a position and a token axis, both not empty; got {logits.shape}.")
    return logits[..., -1, :].copy()
    ### END SOLUTION


# %% tags=["check"]
gs.check("next_token_logits")

# %% [markdown]
# ## 9.7 From scores to a choice
#
# The model gives a score for every token of the vocabulary. Where do the probabilities come from? Not
# out of the model. They are what softmax makes of the scores, and it was trained so that these numbers,
# read as probabilities, make the text as likely as possible. A good model is **calibrated** in this way:
# among the places where it says 0.2, one in five is right.
#
# So there is a probability for each token, and one token must be written.
#
# **Question.** Why not simply take the most probable one?
#
# <details><summary>Answer</summary>
#
# For a date or a sum, do. But text is never the most probable at every place. Whoever always takes the best
# guess comes to *of the same of the same*, and cannot leave, because after the same beginning there is
# always the same best guess.
#
# </details>
#
# Play with a model that needs no training. It looks up, in the help pages, which characters followed the
# last four, and how often. Their logarithms are its scores.

# %% tags=["demo"]
followers = {}
for i in range(len(help_pages) - 4):
    followers.setdefault(help_pages[i : i + 4], Counter())[help_pages[i + 4]] += 1
letters = char_tokenizer(help_pages)


def counted_logits(text):
    """Return the scores (seq, n_vocab) of what follows each character of `text`."""
    logits = np.full((len(text), len(letters)), -np.inf)
    for t in range(len(text)):
        counts = followers.get(text[max(t - 3, 0) : t + 1], {" ": 1})
        for character, count in counts.items():
            logits[t, letters.index(character)] = np.log(count)
    return logits


logits = counted_logits("The statement")
probs = np.exp(logits[-1] - logits[-1].max())
probs /= probs.sum()
best = np.argsort(-probs)[:4]
print('after "ment":', ", ".join(f"{letters[c]!r} {probs[c]:.2f}" for c in best), "...")

# %% [markdown]
# Three knobs stand between "always the best" and "draw as it comes".
#
# - **Temperature** $T$: divide the scores by $T$ before the softmax. Below 1 the large probabilities grow,
#   above 1 all become more equal. $T \to 0$ always takes the best, and this is what 0 shall mean.
# - **Top-k**: only the $k$ most probable tokens stay. A vocabulary has a long tail. Each token in it is
#   improbable, but together they come often, and one absurd token spoils a text.
# - **Top-p**: only as many tokens stay as are needed to reach the probability $p$. Where the model is
#   sure that is one, where it is not it is many. Ari Holtzman and others proposed it in 2019.
#
# **Question.** Top-p with 0.5, and the probabilities 0.4, 0.35, 0.25. Which tokens stay?
#
# <details><summary>Answer</summary>
#
# The first two. 0.4 is not enough, so the second one is needed, although it goes beyond. The token that
# crosses the line stays, otherwise a sure model would have nothing to say.
#
# </details>
#
# The order matters: temperature, then top-k, then top-p of what is left. And drawing? Lay the probabilities
# end to end on a line of length 1 and throw a random number on it. Many rows can be drawn at once, each
# with a number of its own.


# %%
def sample(
    logits: Float[np.ndarray, "*batch n_vocab"],
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    rng: np.random.Generator,
) -> Int[np.ndarray, "*batch"]:
    """Draw one token for each row of scores.

    In this order: probs = softmax(logits / temperature); top_k keeps the k largest of them; the rest is
    scaled up to sum to 1; top_p keeps the smallest set of largest ones whose sum reaches p, the token
    that crosses p included; the rest is scaled up again and a token is drawn. Of equal scores the one
    with the lower index counts as larger.

    Args:
        logits: Scores, one row per token to draw; `-inf` is never drawn, and a row is not only `-inf`.
        temperature: At least 0. 1 leaves the model's probabilities, 0 takes the largest score without
            drawing, of equal ones the first.
        top_k: How many tokens stay, at least 1; more than n_vocab keeps all. None switches it off.
        top_p: Probability that stays, above 0 and at most 1. None switches it off.
        rng: Where the draws come from, an independent one for each row; the same state gives the same
            tokens.

    Returns:
        int64 tokens with the leading axes of `logits`; a NumPy integer when there are none.

    Raises:
        ValueError: `logits` has no token axis or an empty one, `temperature` is below 0, `top_k` is below
            1, or `top_p` is outside (0, 1].

    Source:
        Fan et al. 2018, "Hierarchical Neural Story Generation" (top-k); Holtzman et al. 2020, "The Curious
        Case of Neural Text Degeneration" (top-p).
    """
    ### BEGIN SOLUTION
    if logits.ndim == 0 or logits.shape[-1] == 0:
        raise ValueError(f"logits needs a token axis that is not empty; got shape {logits.shape}.")
    if temperature < 0:
        raise ValueError(f"temperature is at least 0; got {temperature}.")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k keeps at least one token; got {top_k}.")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p is above 0 and at most 1; got {top_p}.")
    if temperature == 0:
        return logits.argmax(axis=-1)
    # From the largest score to the smallest; a stable sort keeps equal ones in order.
    order = np.argsort(-logits, axis=-1, kind="stable")
    scores = np.take_along_axis(logits, order, axis=-1).astype(np.float64)
    probs = np.exp((scores - scores[..., :1]) / temperature)
    if top_k is not None:
        probs[..., top_k:] = 0
    probs = probs / probs.sum(axis=-1, keepdims=True)
    if top_p is not None:
        before = np.cumsum(probs, axis=-1) - probs
        probs = np.where(before < top_p, probs, 0)
    # A number drawn from [0, total) falls into one of the steps of the running sum; rounding never makes it total.
    steps = np.cumsum(probs, axis=-1)
    u = rng.random((*logits.shape[:-1], 1)) * steps[..., -1:]
    rank = np.count_nonzero(steps <= u, axis=-1, keepdims=True)
    return np.take_along_axis(order, rank, axis=-1)[..., 0]
    ### END SOLUTION


# %% tags=["check"]
gs.check("sample")

# %% [markdown]
# What do the knobs do to the probabilities? Draw 20,000 times with each setting and count. The scores are
# those after `the `, and the bars are its most frequent followers.

# %% tags=["demo"]
after_the = next_token_logits(counted_logits("and the "))
shown = np.argsort(-after_the)[:14]
KNOBS = {
    "T = 1": (1.0, None, None),
    "T = 0.5": (0.5, None, None),
    "T = 2": (2.0, None, None),
    "top-k = 5": (1.0, 5, None),
    "top-p = 0.8": (1.0, None, 0.8),
    "T = 2, top-p = 0.8": (2.0, None, 0.8),
}
rows = np.broadcast_to(after_the, (20_000, len(after_the)))
fig, axes = plt.subplots(2, 3, figsize=(11, 4.6), sharex=True, sharey=True)
entropies = {}
for ax, (name, knobs) in zip(axes.flat, KNOBS.items(), strict=True):
    drawn = sample(rows, *knobs, np.random.default_rng(0))
    shares = np.bincount(drawn, minlength=len(letters)) / len(rows)
    seen = shares[shares > 0]
    entropies[name] = float(-(seen * np.log(seen)).sum())
    ax.bar(range(len(shown)), shares[shown], color=BLUE if "top" not in name else ORANGE)
    ax.set_title(f"{name}: {len(seen)} letters, {entropies[name]:.2f} nats", fontsize=10)
    ax.set_xticks(range(len(shown)), [letters[c] for c in shown])
axes[0, 0].set_ylabel("share of the draws")
axes[1, 0].set_ylabel("share of the draws")
fig.tight_layout()

# %% [markdown]
# Temperature changes how unequal the letters are, and forbids none. Top-k and top-p cut the tail off and
# hardly change what is left. The last picture has both: more variety among the plausible, and no nonsense.
# Now let it write.


# %% tags=["demo"]
def count_and_write(knobs, seed, n_new=150):
    """Continue "The " with the counting model."""
    text, rng = "The ", np.random.default_rng(seed)
    for _ in range(n_new):
        scores = next_token_logits(counted_logits(text[-4:]))
        text += letters[int(sample(scores, *knobs, rng))]
    return text


greedy_text = count_and_write((0, None, None), 1)
for name, knobs in (("T = 0", (0, None, None)), ("T = 1", (1.0, None, None)), ("T = 3", (3.0, None, None))):
    print(f"--- {name}\n{count_and_write(knobs, 1)}")
print(f"--- T = 3, top-p = 0.8\n{count_and_write((3.0, None, 0.8), 1)}")

# %% [markdown]
# Greedy runs into a circle. A high temperature falls apart, and top-p mends it to a degree. No knob makes
# a model better that sees four characters. For that we need attention.
#
# ## 9.8 Choosing on the device
#
# When the model runs on a GPU, its scores are there as well. For GPT-2 they are 50,257 numbers for each
# new token. Bring all of them down, to choose one? Two kernels choose where the scores are.
#
# ### The kernel `argmax_row.wgsl`
#
# The maximum of a row, as in stage 0, but this time it is the *place* that counts. Of equal scores the
# first wins, as in NumPy.
#
# **Question.** A lane looks at columns 3, 67, 131 and so on, its neighbour at 4, 68, 132. In the tree two lanes
# meet with equal scores. Does the lower lane hold the lower column?
#
# <details><summary>Answer</summary>
#
# Not always. Lane 3 may have found its maximum in column 131, and lane 4 in column 4. So each candidate
# is a score *and* a column, and of equal scores the tree compares the columns.
#
# </details>

# %% tags=["demo"]
gs.show_kernel("argmax_row.wgsl")

# %% tags=["check"]
gs.check("argmax_row.wgsl")

# %% [markdown]
# ### The kernel `top_k_mask.wgsl`
#
# All scores but the $k$ largest become $-\infty$. Then softmax gives them 0. The obvious way is to sort, and
# sorting is awkward for thousands of invocations that do not wait for each other.
#
# **Question.** Each score has an invocation to itself. What could it find out alone, so that it knows whether
# it stays?
#
# <details><summary>Answer</summary>
#
# How many stand before it: larger ones, and equal ones in a lower column. If these are fewer than $k$, it
# stays. Nobody needs the sorted order, and nobody waits.
#
# </details>
#
# Every invocation looks at the whole row, so a row of $n$ scores costs $n^2$ comparisons. For the hundred
# characters of our vocabulary that is nothing. For 50,257 tokens one would search for the $k$-th largest
# score first.
#
# `minus_infinity()` is given: WGSL cannot write $-\infty$ as a constant.

# %% tags=["demo"]
gs.show_kernel("top_k_mask.wgsl")

# %% tags=["check"]
gs.check("top_k_mask.wgsl")

# %% tags=["demo"]
scores = counted_logits("The statement is in").astype(np.float32)
device_scores = gs.to_device(scores)
largest = gs.kernel("argmax_row.wgsl")(logits=device_scores).numpy()
masked = gs.kernel("top_k_mask.wgsl")(logits=device_scores, k=3).numpy()
same_choice = bool(np.array_equal(largest, scores.argmax(axis=1)))
best_three = np.argsort(-scores, axis=1, kind="stable")[:, :3]
masked_by_hand = np.full_like(scores, -np.inf)
np.put_along_axis(masked_by_hand, best_three, np.take_along_axis(scores, best_three, axis=1), axis=1)
same_mask = bool(np.array_equal(masked, masked_by_hand))
print("most probable next characters:", repr("".join(letters[c] for c in largest)))
print(f"the same choice as NumPy: {same_choice}; only the three best are left: {same_mask}")

# %% [markdown]
# ## 9.9 Half a transformer
#
# The transformer of stage 8 had two halves. The encoder read a date, the decoder wrote another one,
# and cross-attention carried what was read to what was written. Writing went with a causal mask:
# position $t$ saw what stood before it and nothing after.
#
# **Question.** A language model continues a text. What is there to read, apart from what has been written so
# far? Which parts of the transformer are left over?
#
# <details><summary>Answer</summary>
#
# Nothing: the text so far is both what is read and what is written. So there is no encoder, no memory and
# no cross-attention. What is left of a decoder block is masked self-attention and the feed-forward part.
# This is the encoder's block with the decoder's mask. Hence the name: a **decoder-only** model.
#
# </details>
#
# How much is left? Let us count the weights of two layers, 64 wide.

# %% tags=["demo"]
d_model, d_ff = 64, 256
attention, feed_forward = 4 * d_model**2, 2 * d_model * d_ff
kinds = {
    "encoder": 2 * (attention + feed_forward),
    "decoder with cross-attention": 2 * (2 * attention + feed_forward),
    "decoder-only": 2 * (attention + feed_forward),
}
for name, count in kinds.items():
    print(f"{name:30} {count:8,} weights")

# %% [markdown]
# A decoder-only model is as large as the encoder alone, well under half of both halves. It reads with the same
# weights as it writes. Give it the spelled date, a separator and then the ISO date as one text, and it can do what
# stage 8 did as well.
#
# ![A decoder-only model: embedding, blocks with a causal mask, one prediction at each position](figures/gpt.svg)
#
# From bottom to top: a table of token vectors, a table of position vectors, both learned, added up. Then
# pre-norm blocks, a last norm, and the same token table once more: the score of token $c$ is the product
# of the final vector with row $c$. One table that serves at both ends is called **tied**.
#
# The blocks are those of stage 8, given here. Read the signatures; what is new is only who calls them.


# %%
def part(params, prefix):
    """Return the entries whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in params.items() if name.startswith(prefix)}


def prefixed(prefix, values):
    return {prefix + name: value for name, value in values.items()}


def flat_rows(x):
    return x.reshape(-1, x.shape[-1])


def layer_norm_forward(x, gamma, beta, eps=1e-5):
    centered = x - x.mean(axis=-1, keepdims=True)
    rstd = 1 / np.sqrt((centered * centered).mean(axis=-1, keepdims=True) + eps)
    x_hat = centered * rstd
    return gamma * x_hat + beta, (x_hat, rstd, gamma)


def layer_norm_backward(dout, cache):
    x_hat, rstd, gamma = cache
    d = dout * gamma
    d = d - d.mean(axis=-1, keepdims=True) - x_hat * (d * x_hat).mean(axis=-1, keepdims=True)
    return rstd * d, flat_rows(dout * x_hat).sum(axis=0), flat_rows(dout).sum(axis=0)


GELU_SLOPE = float(np.sqrt(2 / np.pi))


def gelu_forward(x):
    """Return 0.5 x (1 + tanh(...)), GPT-2's form of GELU, and the cache of `gelu_backward`."""
    t = np.tanh(GELU_SLOPE * (x + 0.044715 * x * x * x))
    return 0.5 * x * (1 + t), (x, t)


def gelu_backward(dout, cache):
    x, t = cache
    return dout * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * GELU_SLOPE * (1 + 3 * 0.044715 * x * x))


def attention_forward(x, params, n_heads, mask):
    """Multi-head self-attention of x (batch, seq, d_model); mask (seq, seq), True = may attend."""
    batch, seq, d_model = x.shape

    def split(y):
        return y.reshape(batch, seq, n_heads, -1).transpose(0, 2, 1, 3)

    q, k, v = (split(x @ params[name]) for name in ("wq", "wk", "wv"))
    scores = q @ k.swapaxes(-1, -2) / float(np.sqrt(d_model // n_heads))
    scores = np.where(mask, scores, -np.inf)
    attn = np.exp(scores - scores.max(axis=-1, keepdims=True))
    attn = attn / attn.sum(axis=-1, keepdims=True)
    mixed = (attn @ v).transpose(0, 2, 1, 3).reshape(x.shape)
    return mixed @ params["wo"], (x, q, k, v, attn, mixed, params)


def attention_backward(dout, cache):
    x, q, k, v, attn, mixed, params = cache
    batch, n_heads, seq, d_head = q.shape
    grads = {"wo": flat_rows(mixed).T @ flat_rows(dout)}
    dmixed = (dout @ params["wo"].T).reshape(batch, seq, n_heads, d_head).transpose(0, 2, 1, 3)
    dattn = dmixed @ v.swapaxes(-1, -2)
    dscores = attn * (dattn - (dattn * attn).sum(axis=-1, keepdims=True)) / float(np.sqrt(d_head))
    dq, dk, dv = dscores @ k, dscores.swapaxes(-1, -2) @ q, attn.swapaxes(-1, -2) @ dmixed
    dx = np.zeros_like(x)
    for name, dheads in (("wq", dq), ("wk", dk), ("wv", dv)):
        dprojected = dheads.transpose(0, 2, 1, 3).reshape(x.shape)
        grads[name] = flat_rows(x).T @ flat_rows(dprojected)
        dx = dx + dprojected @ params[name].T
    return dx, grads


def block_forward(x, params, n_heads, mask):
    """A pre-norm block: x + attention(norm(x)), and to that the feed-forward part of its norm."""
    h, norm1 = layer_norm_forward(x, params["norm1.gamma"], params["norm1.beta"])
    mixed, attention = attention_forward(h, part(params, "attn."), n_heads, mask)
    x = x + mixed
    h, norm2 = layer_norm_forward(x, params["norm2.gamma"], params["norm2.beta"])
    bent, gelu = gelu_forward(h @ params["ff.w1"] + params["ff.b1"])
    out = x + bent @ params["ff.w2"] + params["ff.b2"]
    return out, (norm1, attention, norm2, h, gelu, bent, params)


def block_backward(dout, cache):
    """Return dx and the gradients of the block's parameters."""
    norm1, attention, norm2, h, gelu, bent, params = cache
    grads = {"ff.w2": flat_rows(bent).T @ flat_rows(dout), "ff.b2": flat_rows(dout).sum(axis=0)}
    dwide = gelu_backward(dout @ params["ff.w2"].T, gelu)
    grads |= {"ff.w1": flat_rows(h).T @ flat_rows(dwide), "ff.b1": flat_rows(dwide).sum(axis=0)}
    dh, grads["norm2.gamma"], grads["norm2.beta"] = layer_norm_backward(dwide @ params["ff.w1"].T, norm2)
    dx = dout + dh
    dh, attention_grads = attention_backward(dx, attention)
    dh, grads["norm1.gamma"], grads["norm1.beta"] = layer_norm_backward(dh, norm1)
    return dx + dh, grads | prefixed("attn.", attention_grads)


def cross_entropy(logits, labels):
    """Return the mean loss in nats over the labels that are not -1, and its gradient."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    exps = np.exp(shifted)
    sums = exps.sum(axis=-1, keepdims=True)
    counted = labels >= 0
    n_counted = max(int(counted.sum()), 1)
    onehot = (np.arange(logits.shape[-1]) == labels[..., None]).astype(logits.dtype)
    losses = np.log(sums[..., 0]) - (shifted * onehot).sum(axis=-1)
    dlogits = (exps / sums - onehot) * (counted[..., None].astype(logits.dtype) / n_counted)
    return float(losses[counted].sum() / n_counted), dlogits


def gpt_init(n_vocab, max_seq, d_model, n_layers, d_ff, rng):
    """Return fresh parameters; what a block adds to the stream starts small, as in GPT-2."""

    def normal(std, *shape):
        return (std * rng.standard_normal(shape)).astype(np.float32)

    def norm(name):
        return {f"{name}.gamma": np.ones(d_model, np.float32), f"{name}.beta": np.zeros(d_model, np.float32)}

    params = {"table": normal(0.1, n_vocab, d_model), "positions": normal(0.1, max_seq, d_model)}
    quiet = max(2 * n_layers, 1) ** -0.5
    for i in range(n_layers):
        block = norm("norm1") | norm("norm2")
        block |= {f"attn.{name}": normal(d_model**-0.5, d_model, d_model) for name in ("wq", "wk", "wv")}
        block["attn.wo"] = normal(quiet * d_model**-0.5, d_model, d_model)
        block |= {"ff.w1": normal(d_model**-0.5, d_model, d_ff), "ff.b1": np.zeros(d_ff, np.float32)}
        block |= {"ff.w2": normal(quiet * d_ff**-0.5, d_ff, d_model), "ff.b2": np.zeros(d_model, np.float32)}
        params |= prefixed(f"block{i}.", block)
    return params | norm("norm")


# %% [markdown]
# ## 9.10 `gpt_forward`
#
# All that a model knows is in one flat dict of arrays. `part(params, "block0.")` gives the arrays of
# block 0. `config` holds two numbers that no shape tells.


# %%
def gpt_forward(
    tokens: Int[np.ndarray, "batch seq"], params: dict[str, np.ndarray], config: dict[str, int]
) -> tuple[Float[np.ndarray, "batch seq n_vocab"], dict]:
    """Score every next token at every position of every sequence.

    x = table[tokens] + positions[0 .. seq - 1]; then the blocks 0, 1, ... in order, each with
    `block_forward` under a causal mask: position t sees positions 0 .. t; then h = layer norm of x with
    norm.gamma and norm.beta; logits = h @ table.T, with the same table.

    Args:
        tokens: Whole numbers, 0 <= token < n_vocab.
        params: table (n_vocab, d_model), positions (max_seq, d_model), the arrays of block i with
            `block{i}.` before their names, norm.gamma and norm.beta (d_model,).
        config: `n_layers`, how many blocks, and `n_heads`.

    Returns:
        logits: Those at position t are for the token at position t + 1; dtype of the parameters.
        cache: A dict for `gpt_backward`.

    Raises:
        ValueError: tokens does not have two axes, has no position or more than max_seq, or holds a
            number that is no row of the table; d_model is not a multiple of n_heads.

    Source:
        Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training", eq. 2; with
        the norms of Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.3.
    """
    ### BEGIN SOLUTION
    (n_vocab, d_model), max_seq = params["table"].shape, len(params["positions"])
    if tokens.ndim != 2 or not 1 <= tokens.shape[1] <= max_seq:
        raise ValueError(f"tokens has shape {tokens.shape}; (batch, seq) with 1 <= seq <= {max_seq} is read.")
    if tokens.min() < 0 or tokens.max() >= n_vocab:
        raise ValueError(f"Tokens run from {tokens.min()} to {tokens.max()}; the table has {n_vocab} rows.")
    if d_model % config["n_heads"]:
        raise ValueError(f"d_model = {d_model} is no multiple of n_heads = {config['n_heads']}.")

    seq = tokens.shape[1]
    x = params["table"][tokens] + params["positions"][:seq]
    mask = np.tril(np.ones((seq, seq), dtype=bool))
    blocks = []
    for i in range(config["n_layers"]):
        x, cache = block_forward(x, part(params, f"block{i}."), config["n_heads"], mask)
        blocks.append(cache)
    h, norm = layer_norm_forward(x, params["norm.gamma"], params["norm.beta"])
    logits = h @ params["table"].T
    return logits, {"tokens": tokens, "params": params, "blocks": blocks, "norm": norm, "h": h}
    ### END SOLUTION


# %% tags=["check"]
gs.check("gpt_forward")

# %% [markdown]
# **Question.** Change the token at position 5 of a text. Which rows of the logits can change? Let us see.

# %% tags=["demo"]
config = {"n_layers": 2, "n_heads": 4}
params = gpt_init(20, 12, 32, 2, 128, np.random.default_rng(0))
tokens = np.random.default_rng(1).integers(0, 20, (1, 12))
changed = tokens.copy()
changed[0, 5] = (tokens[0, 5] + 1) % 20
before, after = gpt_forward(tokens, params, config)[0], gpt_forward(changed, params, config)[0]
moved = np.abs(after - before)[0].max(axis=1)
print("position     ", *(f"{t:5}" for t in range(12)))
print("logits moved ", *(f"{value:5.2f}" for value in moved))

# %% [markdown]
# Nothing before position 5 moves, not by a bit. What stands at position $t$ depends on the tokens up to $t$
# only. So each row of logits is an honest guess: the answer was not seen.
#
# In 9.6 this was the gift of the causal mask: one text is `seq` exercises. Is it really the same as showing the
# model each beginning of the text in a pass of its own? And what does it save?

# %% tags=["demo"]
labels = np.roll(tokens, -1, axis=1)  # what stands one place further on; the last one wraps around
all_at_once, _ = cross_entropy(before, labels)
one_by_one = np.mean(
    [
        cross_entropy(next_token_logits(gpt_forward(tokens[:, : t + 1], params, config)[0]), labels[:, t])[0]
        for t in range(12)
    ]
)
weights = sum(value.size for name, value in params.items() if name.startswith("block") and value.ndim == 2)
print(f"loss of twelve positions in one pass     {all_at_once:.6f}   {12 * weights:9,} products with weights")
print(f"mean loss of twelve passes over prefixes {one_by_one:.6f}   {sum(range(1, 13)) * weights:9,}")

# %% [markdown]
# The same number, for a sixth of the work; at 1,000 positions it would be a five-hundredth. This is the
# deal that the causal mask offers: every position is a training example, for the price of one pass.
#
# ## 9.11 `gpt_backward`
#
# Backwards through the blocks there is nothing new. But the table stands at both ends, so the loss
# reaches it twice: through the logits, and through the embedding.
#
# **Question.** Which rows of the table get a gradient through the embedding? And through the logits?
#
# <details><summary>Answer</summary>
#
# Through the embedding: the rows of tokens that occur in the text, once for each occurrence. Through the
# logits: all rows, for every token has a score at each position, and the softmax pushes each score up or
# down.
#
# </details>


# %%
def gpt_backward(dlogits: Float[np.ndarray, "batch seq n_vocab"], cache: dict) -> dict[str, np.ndarray]:
    """Return the gradients of all parameters.

    Args:
        dlogits: Gradient of the loss with respect to the logits.
        cache: From `gpt_forward`.

    Returns:
        grads: One gradient for each entry of `params`, under its name and of its shape. That of the table
            is the sum of what comes through the logits and what comes through the embedding, where a token
            that occurs several times collects several times. Positions that were not used get 0.

    Raises:
        ValueError: `dlogits` does not have the shape of the logits.

    Source:
        Press & Wolf 2017, "Using the Output Embedding to Improve Language Models", section 3.
    """
    ### BEGIN SOLUTION
    tokens, params, h = cache["tokens"], cache["params"], cache["h"]
    (n_vocab, d_model), seq = params["table"].shape, tokens.shape[1]
    if dlogits.shape != (*tokens.shape, n_vocab):
        raise ValueError(f"dlogits has shape {dlogits.shape}; the logits have {(*tokens.shape, n_vocab)}.")

    grads = {"table": dlogits.reshape(-1, n_vocab).T @ h.reshape(-1, d_model)}
    dh = dlogits @ params["table"]
    dx, grads["norm.gamma"], grads["norm.beta"] = layer_norm_backward(dh, cache["norm"])
    for i in reversed(range(len(cache["blocks"]))):
        dx, block_grads = block_backward(dx, cache["blocks"][i])
        grads |= prefixed(f"block{i}.", block_grads)
    np.add.at(grads["table"], tokens, dx)
    grads["positions"] = np.zeros_like(params["positions"])
    grads["positions"][:seq] = dx.sum(axis=0)
    return grads
    ### END SOLUTION


# %% tags=["check"]
gs.check("gpt_backward")

# %% [markdown]
# Is the share that comes through the embedding worth the trouble? Untie the two ends for a moment: the gradient
# through the logits alone is what the output table would get if it were a table of its own.

# %% tags=["demo"]
logits, cache = gpt_forward(tokens, params, config)
_, dlogits = cross_entropy(logits, labels)
tied = gpt_backward(dlogits, cache)["table"]
output_share = dlogits.reshape(-1, 20).T @ cache["h"].reshape(-1, 32)
input_share = tied - output_share
seen = np.isin(np.arange(20), tokens)
print(f"{seen.sum()} of 20 tokens occur in the text")
print(
    f"gradient through the logits     {np.linalg.norm(output_share):.3f}, rows without any: {(np.abs(output_share).max(axis=1) == 0).sum()}"
)
print(
    f"gradient through the embedding  {np.linalg.norm(input_share):.3f}, rows without any: {(np.abs(input_share).max(axis=1) < 1e-7).sum()}"
)

# %% [markdown]
# No row is left out at the output, and the other tokens' rows get nothing at the input. Both shares are
# needed: without the second one the table would learn what to predict and never how to be read.
#
# ## 9.12 What there is to remember
#
# Now the model writes. It guesses a token, appends it, and reads the whole text again from the start, to
# guess the next one.
#
# **Question.** The text has grown by one token. What changes, at the positions that were there before, in
# the vectors inside the model?
#
# <details><summary>Answer</summary>
#
# Nothing: you measured it above. Position $t$ depends on the tokens up to $t$, and those are the same. All
# that was computed for them is computed again, to the same numbers.
#
# </details>
#
# **Question.** So only the new position must be computed. What does it need from the old ones?
#
# <details><summary>Answer</summary>
#
# Norms, feed-forward parts and the table look at one position at a time: they need nothing. Attention is the
# only place where positions meet. The new query is compared with every key, and mixes every value. So the keys
# and values of each block must be kept, and nothing else: no queries, no residual stream.
#
# </details>
#
# ![The KV cache: the new position's query against kept keys and values](figures/kv_cache.svg)
#
# This is the **KV cache**. Here it is plain data, a dict of arrays that grows by one position at each step:
# `block0.k` and `block0.v`, each (batch, n_heads, length, d_head), and so on for each block. At the start
# it is `{}`.


# %%
def gpt_decode_step(
    token: Int[np.ndarray, " batch"],
    kv_cache: dict[str, np.ndarray],
    params: dict[str, np.ndarray],
    config: dict[str, int],
) -> tuple[Float[np.ndarray, "batch n_vocab"], dict[str, np.ndarray]]:
    """Read one more token of each sequence; score the token after it.

    The same numbers as the last row of `gpt_forward` over all tokens so far, from one position's work: in each
    block the new key and value are appended to the kept ones and the new query attends to all of them, its own
    included. Nothing stands after it, so there is no mask.

    Args:
        token: The new token of each sequence; it stands at position `length`, how many were read before.
        kv_cache: `{}` at the start of a text, then what the last step returned. Not changed, so that a text
            can be continued in two ways from the same cache.
        params: As in `gpt_forward`.
        config: As in `gpt_forward`.

    Returns:
        logits: For the token after `token`; dtype of the parameters.
        kv_cache: New dict; `block{i}.k` and `block{i}.v`, each (batch, n_heads, length + 1, d_head).

    Raises:
        ValueError: token does not have one axis or holds a number that is no row of the table; the cache
            holds max_seq positions already, or another number of sequences than `token`.

    Source:
        Shazeer 2019, "Fast Transformer Decoding: One Write-Head is All You Need", section 2.4.
    """
    ### BEGIN SOLUTION
    (n_vocab, d_model), max_seq = params["table"].shape, len(params["positions"])
    n_heads = config["n_heads"]
    if token.ndim != 1 or token.min() < 0 or token.max() >= n_vocab:
        raise ValueError(
            f"token has shape {token.shape}; one row of the table, below {n_vocab}, per sequence."
        )
    batch = len(token)
    kept = kv_cache.get("block0.k", np.empty((batch, n_heads, 0, d_model // n_heads), params["table"].dtype))
    if len(kept) != batch:
        raise ValueError(f"The cache holds {len(kept)} sequences; token has {batch}.")
    length = kept.shape[2]
    if length >= max_seq:
        raise ValueError(f"The cache is full: the model has {max_seq} positions.")

    x = params["table"][token] + params["positions"][length]
    grown = {}
    for i in range(config["n_layers"]):
        block = part(params, f"block{i}.")
        h, _ = layer_norm_forward(x, block["norm1.gamma"], block["norm1.beta"])
        q, k, v = (
            (h @ block[name]).reshape(batch, n_heads, 1, -1) for name in ("attn.wq", "attn.wk", "attn.wv")
        )
        k = np.concatenate([kv_cache.get(f"block{i}.k", kept), k], axis=2)
        v = np.concatenate([kv_cache.get(f"block{i}.v", kept), v], axis=2)
        scores = q @ k.swapaxes(-1, -2) / float(np.sqrt(d_model // n_heads))
        attn = np.exp(scores - scores.max(axis=-1, keepdims=True))
        attn = attn / attn.sum(axis=-1, keepdims=True)
        x = x + (attn @ v).reshape(batch, d_model) @ block["attn.wo"]
        h, _ = layer_norm_forward(x, block["norm2.gamma"], block["norm2.beta"])
        bent, _ = gelu_forward(h @ block["ff.w1"] + block["ff.b1"])
        x = x + bent @ block["ff.w2"] + block["ff.b2"]
        grown |= {f"block{i}.k": k, f"block{i}.v": v}
    h, _ = layer_norm_forward(x, params["norm.gamma"], params["norm.beta"])
    return h @ params["table"].T, grown
    ### END SOLUTION


# %% tags=["check"]
gs.check("gpt_decode_step")

# %% [markdown]
# Is it the same model? And what is saved? We let it write, both ways, and count multiplications.


# %% tags=["demo"]
def write(params, config, prompt, n_new, choose):
    """Append n_new tokens to each prompt (batch, n_prompt), with the cache; also return what is kept."""
    tokens, kv_cache, logits = prompt, {}, None
    for t in range(prompt.shape[1] + n_new - 1):
        logits, kv_cache = gpt_decode_step(tokens[:, t], kv_cache, params, config)
        if t >= prompt.shape[1] - 1:
            tokens = np.concatenate([tokens, choose(logits)[:, None]], axis=1)
    return tokens, kv_cache


def write_again_and_again(params, config, prompt, n_new, choose):
    """The same without a cache: the whole text goes through the model for each new token."""
    tokens = prompt
    for _ in range(n_new):
        logits, _ = gpt_forward(tokens, params, config)
        tokens = np.concatenate([tokens, choose(next_token_logits(logits))[:, None]], axis=1)
    return tokens


def n_products(n_positions, n_keys, d_model, n_layers, d_ff, n_vocab):
    """Multiplications for n_positions vectors that look at n_keys keys in all."""
    per_position = n_layers * (4 * d_model**2 + 2 * d_model * d_ff) + d_model * n_vocab
    return n_positions * per_position + n_layers * 2 * d_model * n_keys


def greedy(logits):
    return sample(logits, 0.0, None, None, np.random.default_rng(0))


config, N_TEXT = {"n_layers": 2, "n_heads": 4}, 128
params = gpt_init(20, N_TEXT, 32, 2, 128, np.random.default_rng(0))
prompt = np.random.default_rng(1).integers(0, 20, (1, 1))
cached, kv_cache = write(params, config, prompt, N_TEXT - 1, greedy)
uncached = write_again_and_again(params, config, prompt, N_TEXT - 1, greedy)
same_text = bool((cached == uncached).all())
print("the same 128 tokens:", same_text)
with_cache, without_cache = [], []
for length in range(1, N_TEXT):
    sizes = (32, 2, 128, 20)
    with_cache.append(n_products(1, length, *sizes))
    without_cache.append(n_products(length, length**2, *sizes))
saved_factor = sum(without_cache) / sum(with_cache)
print(f"multiplications with the cache {sum(with_cache):12,}")
print(f"without                        {sum(without_cache):12,}, {saved_factor:.0f} times as many")
print(
    f"the cache holds {sum(value.size for value in kv_cache.values()):,} numbers for {N_TEXT - 1} positions"
)

# %% tags=["demo"]
fig, ax = plt.subplots(figsize=(6.5, 3.4))
ax.semilogy(range(1, N_TEXT), without_cache, color=ORANGE)
ax.semilogy(range(1, N_TEXT), with_cache, color=BLUE)
ax.annotate(" read all again", (N_TEXT - 1, without_cache[-1]), color=ORANGE, va="center")
ax.annotate(" KV cache", (N_TEXT - 1, with_cache[-1]), color=BLUE, va="center")
ax.set(
    xlabel="length of the text", ylabel="multiplications", xlim=(0, 165), title="What the next token costs"
)
fig.tight_layout()

# %% [markdown]
# With the cache the price of a token hardly grows; without it, it grows with the text. What it takes in return
# is memory: two vectors of `d_model` numbers per position and block. For a large model with a long text that is
# gigabytes, and reading it becomes the slow part. Stage 11 returns to this.

# %% [markdown]
# ### The kernel `kv_cache_append.wgsl`
#
# On the device an array cannot grow. So the cache is as long as the longest text from the start, `max_seq` rows for
# each sequence and head, and the new row is written into the next free place.
#
# **Question.** The cache is full, and one more token comes. What should the kernel do: write over the oldest row,
# over the last one, or nothing?
#
# <details><summary>Answer</summary>
#
# Nothing. Over the oldest or the last row, the model would go on with a hole in its memory, and nobody would know. And
# row `max_seq` of one sequence is row 0 of the next: a missing guard spoils somebody else's text. The caller knows how
# long the text is and must stop, or refuse.
#
# </details>

# %% tags=["demo"]
gs.show_kernel("kv_cache_append.wgsl")

# %% tags=["check"]
gs.check("kv_cache_append.wgsl")

# %% [markdown]
# ### The kernel `attention_decode.wgsl`
#
# One query per sequence and head, against the rows that are in use. There is no causal mask: the cache holds the past
# and nothing else. What lies behind row `length` is junk, and must not come near the result, not even multiplied by 0.
#
# The work is that of stage 6 for a single row, in three steps: all scores and the largest of them; their exponentials
# and the sum; the values, mixed. One workgroup does a query, so the scores can stay in workgroup memory. In which of
# the three steps does a lane stand for a key, and in which for a dimension?

# %% tags=["demo"]
gs.show_kernel("attention_decode.wgsl")

# %% tags=["check"]
gs.check("attention_decode.wgsl")

# %% [markdown]
# ## 9.13 A language whose entropy is known
#
# How good can a language model become? A text has an **entropy rate**: the nats per character that no model can
# get below, because that much is chance. Of English nobody knows it. So we make a language where it can be
# worked out: sums with nested brackets.
#
# $$S \to O \mid O + S \qquad O \to a \mid b \mid c \mid d \mid ( S ) \mid [ S ]$$
#
# Where an operand is due, a bracket opens with probability 0.2, round or square by the toss of a coin; otherwise a
# letter comes, a to d with 0.5, 0.25, 0.15, 0.1. After an operand a plus comes with probability 0.4; otherwise the
# innermost bracket closes, or the line ends when none is open.
#
# **Question.** How many nats does a character carry, in the long run?
#
# <details><summary>Answer</summary>
#
# There are two kinds of choices. *What operand?* carries $H_1$ nats: two brackets with 0.1 each, the letters with
# 0.8 times their share. *What follows the operand?* carries $H_2$ nats: plus with 0.4, otherwise 0.6; which bracket
# closes, or whether the line ends, is no choice at all. Each operand that is begun is followed by exactly one choice
# of the second kind when it is complete. So there are equally many of both, each makes one character, and
# the rate is $(H_1 + H_2) / 2$.
#
# </details>
#
# What makes the language hard: to close a bracket, the model must know which of the open ones is the innermost. It
# may stand twenty characters back. No trigram can do it.


# %% tags=["demo"]
SIGNS = "\n()[]+abcd"
P_OPEN, P_MORE, P_LETTERS = 0.2, 0.4, np.array([0.5, 0.25, 0.15, 0.1])


def entropy(probabilities):
    return float(-np.sum(probabilities * np.log(probabilities)))


def write_grammar(n_rows, seq, rng):
    """Return tokens (n_rows, seq + 1), each row from the start of a line, and -log P of the last seq of them."""
    rows, depth, operand_due = np.arange(n_rows), np.zeros(n_rows, int), np.ones(n_rows, bool)
    square = np.zeros((n_rows, seq + 1), int)  # for each open bracket of each row: is it a square one?
    tokens, surprise = np.zeros((n_rows, seq + 1), int), np.empty((n_rows, seq))
    for t in range(seq):
        letter, kind, u = rng.choice(4, n_rows, p=P_LETTERS), rng.integers(0, 2, n_rows), rng.random(n_rows)
        opens, more = operand_due & (u < P_OPEN), ~operand_due & (u < P_MORE)
        closes = ~operand_due & ~more & (depth > 0)
        innermost = square[rows, depth - 1]
        which = [opens, operand_due, more, closes]
        tokens[:, t + 1] = np.select(which, [1 + 2 * kind, 6 + letter, 5, 2 + 2 * innermost], 0)
        chances = [P_OPEN / 2, (1 - P_OPEN) * P_LETTERS[letter], P_MORE]
        surprise[:, t] = -np.log(np.select(which[:3], chances, 1 - P_MORE))
        square[rows[opens], depth[opens]] = kind[opens]
        operand_due = opens | more | (~operand_due & ~closes)
        depth = depth + opens - closes
    return tokens, surprise


def parses(text):
    """Is each line of the text a sum of the grammar? The last one may be unfinished."""
    still_open, operand_due = [], True
    for sign in text:
        if operand_due != (sign in "([abcd"):
            return False
        if sign in "([":
            still_open.append({"(": ")", "[": "]"}[sign])
        elif sign in ")]":
            if not still_open or still_open.pop() != sign:
                return False
        elif sign == "\n" and still_open:
            return False
        else:
            operand_due = sign in "+\n"
    return True


rate = (
    entropy(np.array([P_OPEN / 2] * 2 + [*((1 - P_OPEN) * P_LETTERS)]))
    + entropy(np.array([P_MORE, 1 - P_MORE]))
) / 2
surprise_rate = float(write_grammar(1, 100_000, np.random.default_rng(3))[1].mean())
print(f"entropy rate by the formula             {rate:.4f} nats per character")
print(f"mean surprise of 100,000 of them        {surprise_rate:.4f}")
for row in write_grammar(3, 32, np.random.default_rng(4))[0]:
    print(repr(char_decode(row[1:], SIGNS)))

# %% [markdown]
# The formula holds. Now the model, and a floor to measure it against. A row begins with an operand, so its
# first thirty-two characters hold a little more than the rate. We know the true probability of every character
# that was drawn, so we know what the best possible model would lose on these very rows: the mean surprise.
#
# First a training loop that does not mind being stopped. It writes all it needs into a file now and then:
# parameters, AdamW's averages, the state of the random numbers. It writes to a new file and renames
# that, so that there is never half a file. Run the cell again after a crash, and it goes on where it was.

# %% tags=["demo"]
import json
from pathlib import Path

from rich.progress import track


def save_run(path, n_steps, done, params, state, rng, losses, curve):
    """Write a run that is not finished into a file, all of it or nothing."""
    arrays = prefixed("params.", params) | prefixed("m.", state["m"]) | prefixed("v.", state["v"])
    about = {"n_steps": n_steps, "done": done, "t": state["t"], "losses": losses, "curve": curve}
    about["rng"] = rng.bit_generator.state
    with open(f"{path}.new", "wb") as file:
        np.savez(file, about=json.dumps(about), **arrays)
    os.replace(f"{path}.new", path)


def load_run(path, n_steps, rng):
    """Read what `save_run` wrote, and set `rng` to where it was; None when there is no such run."""
    if path is None or not Path(path).exists():
        return None
    with np.load(path) as file:
        about, arrays = json.loads(str(file["about"])), {name: file[name] for name in file.files}
    if about["n_steps"] != n_steps:
        return None  # a run of another length has another schedule
    rng.bit_generator.state = about["rng"]
    state = {"t": about["t"], "m": part(arrays, "m."), "v": part(arrays, "v.")}
    curve = [tuple(point) for point in about["curve"]]
    return about["done"], part(arrays, "params."), state, about["losses"], curve


def train(params, config, draw, n_steps, lr, rng, measure, file=None, save_every=100, stop_at=None):
    """Train on `draw(rng)`, tokens (batch, seq + 1); return parameters, losses and measurements.

    `measure(params)` is written down ten times. With `file` the run can be continued. `stop_at` plays the crash.
    """
    start, params, state, losses, curve = load_run(file, n_steps, rng) or (0, params, {}, [], [])
    for step in track(range(start + 1, n_steps + 1), description=f"{n_steps - start} steps"):
        tokens = draw(rng)
        logits, cache = gpt_forward(tokens[:, :-1], params, config)
        loss, dlogits = cross_entropy(logits, tokens[:, 1:])
        grads, _ = clip_gradients(gpt_backward(dlogits, cache), 1.0)
        rate_now = cosine_schedule(step, 50, n_steps, lr, lr / 100)
        params, state = adamw_step(params, grads, state, rate_now, betas=(0.9, 0.98))
        losses.append(loss)
        if step % (n_steps // 10) == 0:
            curve.append((step, measure(params)))
        if step == stop_at:
            return params, losses, curve
        if file is not None and step % save_every == 0:
            save_run(file, n_steps, step, params, state, rng, losses, curve)
    if file is not None:
        Path(file).unlink(missing_ok=True)
    return params, losses, curve


def mean_loss(params, config, tokens, first=0):
    """Return the loss per character over rows (n, seq + 1), from position `first` on."""
    total = 0.0
    for rows in np.array_split(tokens, max(len(tokens) // 50, 1)):
        labels = rows[:, 1:].copy()
        labels[:, :first] = -1
        total += len(rows) * cross_entropy(gpt_forward(rows[:, :-1], params, config)[0], labels)[0]
    return total / len(tokens)


# %% tags=["demo"]
GRAMMAR = {"n_layers": 2, "n_heads": 4}
grammar_held, surprise = write_grammar(1000, 32, np.random.default_rng(2001))
grammar_floor = float(surprise.mean())


def grammar_run(seed, n_steps=1600):
    rng = np.random.default_rng(seed)
    params = gpt_init(len(SIGNS), 32, 32, 2, 128, rng)
    params, _, curve = train(
        params,
        GRAMMAR,
        lambda rng: write_grammar(32, 32, rng)[0],
        n_steps,
        0.01,
        rng,
        lambda params: mean_loss(params, GRAMMAR, grammar_held),
    )
    return params, curve


def write_lines(params, n_lines, rng):
    """Let the model write lines, each from the start of a text, at temperature 1."""
    start = np.zeros((n_lines, 1), int)
    tokens, _ = write(params, GRAMMAR, start, 31, lambda logits: sample(logits, 1.0, None, None, rng))
    texts = [char_decode(row[1:], SIGNS) for row in tokens]
    return [text[: text.index("\n") + 1] if "\n" in text else text for text in texts]


grammar_gaps, grammar_parsed, grammar_curves = [], [], []
print("seed  held-out loss   floor    above it   lines that parse")
for seed in (0, 1, 2):
    grammar_params, curve = grammar_run(seed)
    lines = write_lines(grammar_params, 500, np.random.default_rng(seed))
    grammar_curves.append(curve)
    grammar_gaps.append(curve[-1][1] - grammar_floor)
    grammar_parsed.append(float(np.mean([parses(line) for line in lines])))
    print(
        f"{seed:4}  {curve[-1][1]:.4f}          {grammar_floor:.4f}   {grammar_gaps[-1]:.4f}     {grammar_parsed[-1]:.3f}"
    )
print("its longest lines:", *(line.rstrip() for line in sorted(set(lines), key=len)[-3:]), sep="\n  ")

fig, ax = plt.subplots(figsize=(6.5, 3.6))
ax.axhline(grammar_floor, color=INK, lw=1)
ax.annotate("the floor", (1990, grammar_floor - 0.0015), color=INK, ha="right")
for curve in grammar_curves:
    ax.plot(*np.transpose(curve), color=BLUE)
ax.annotate(" held out,\n three seeds", (1600, grammar_floor + 0.003), color=BLUE, va="center")
ax.set(xlabel="step", ylabel="nats per character", xlim=(0, 2000), title="A language whose entropy is known")
ax.set_ylim(grammar_floor - 0.003, grammar_floor + 0.022)
fig.tight_layout()

# %% [markdown]
# The curves come down to the floor and stay there; no training could take them below it. The model knows the
# letters' probabilities, and, harder, it keeps count of the brackets.
#
# ## 9.14 English
#
# Python brings a text along: the help pages of its language reference, in `pydoc_data.topics`. Some passages occur
# in several pages. A model must not be examined on what it has learned, so each paragraph is kept once, and
# every tenth group of eight is held out.
#
# The model to beat counts. A **trigram** model guesses the next character from the two before it: how often did
# each character follow them in the training text? Where a pair was seen rarely, it leans on the single character
# before, and that one on the plain frequencies (Witten and Bell's rule).

# %% tags=["demo"]
from pydoc_data.topics import topics

pages = "\n\n".join(topics[name] for name in sorted(topics))
paragraphs = list(dict.fromkeys(text.strip("\n") for text in pages.split("\n\n") if text.strip()))
held_text = "\n\n".join(text for i, text in enumerate(paragraphs) if i // 8 % 10 == 9)
train_text = "\n\n".join(text for i, text in enumerate(paragraphs) if i // 8 % 10 != 9)
vocab = char_tokenizer(train_text)
held_text = "".join(character for character in held_text if character in vocab)
train_tokens, held_tokens = char_encode(train_text, vocab), char_encode(held_text, vocab)
print(f"{len(pages):,} characters, {len(train_text):,} to learn from, {len(held_text):,} held out")
print(f"{len(vocab)} different ones: {vocab[1:60]} ...")


def count_model(tokens, n_vocab):
    """Return the probabilities of the next character after none, one and two characters."""
    probs = (np.bincount(tokens, minlength=n_vocab) + 1) / (len(tokens) + n_vocab)
    models = [probs]
    for n in (2, 3):
        counts = np.zeros((n_vocab,) * n)
        np.add.at(counts, tuple(tokens[i : len(tokens) - n + 1 + i] for i in range(n)), 1)
        seen, kinds = counts.sum(axis=-1, keepdims=True), (counts > 0).sum(axis=-1, keepdims=True)
        models.append((counts + kinds * models[-1] + 1e-9 * models[-1]) / (seen + kinds + 1e-9))
    return models


unigram, bigram, trigram = count_model(train_tokens, len(vocab))
a, b, c = held_tokens[:-2], held_tokens[1:-1], held_tokens[2:]
baselines = {
    "uniform": float(np.log(len(vocab))),
    "frequencies": float(-np.log(unigram[c]).mean()),
    "bigram": float(-np.log(bigram[b, c]).mean()),
    "trigram": float(-np.log(trigram[a, b, c]).mean()),
}
for name, loss in baselines.items():
    print(f"{name:12} {loss:.3f} nats per character")

# %% [markdown]
# Two blocks of width 64 read 64 characters at a time. A held-out character is judged with at least 32 characters
# before it, as it would be in a text.

# %% tags=["demo"]
ENGLISH, SEQ = {"n_layers": 2, "n_heads": 4}, 64
# Half a minute to a minute on a quiet machine. GRADSCHOOL_ENGLISH_STEPS=600 halves that and still beats the trigram.
ENGLISH_STEPS = int(os.environ.get("GRADSCHOOL_ENGLISH_STEPS", "1200"))
RUN_FILE = Path(os.environ.get("GRADSCHOOL_RUNS", ".")) / "english_run.npz"
windows = np.arange(0, len(held_tokens) - SEQ, SEQ // 2)[:, None] + np.arange(SEQ + 1)
windows = windows[windows[:, -1] < len(held_tokens)]


def draw_english(rng):
    starts = rng.integers(0, len(train_tokens) - SEQ, 16)
    return train_tokens[starts[:, None] + np.arange(SEQ + 1)]


def english_run(seed, n_steps, **how):
    rng = np.random.default_rng(seed)
    params = gpt_init(len(vocab), SEQ, 64, 2, 256, rng)
    few = held_tokens[windows[::12]]
    return train(
        params,
        ENGLISH,
        draw_english,
        n_steps,
        0.006,
        rng,
        lambda params: mean_loss(params, ENGLISH, few, SEQ // 2),
        **how,
    )


english_params, english_losses, english_curve = english_run(0, ENGLISH_STEPS, file=RUN_FILE)
english_loss = mean_loss(english_params, ENGLISH, held_tokens[windows], SEQ // 2)
print(f"{sum(value.size for value in english_params.values()):,} parameters")
print(f"trigram {baselines['trigram']:.3f}, transformer {english_loss:.3f} nats per character, held out")


# %% tags=["demo"]
def position_losses(params, tokens):
    """Return the mean loss at each position of rows (n, seq + 1)."""
    logits, _ = gpt_forward(tokens[:, :-1], params, ENGLISH)
    logits = logits - logits.max(axis=-1, keepdims=True)
    chosen = np.take_along_axis(logits, tokens[:, 1:, None], axis=-1)[..., 0]
    return (np.log(np.exp(logits).sum(axis=-1)) - chosen).mean(axis=0)


by_position = np.mean(
    [position_losses(english_params, held_tokens[rows]) for rows in np.array_split(windows, 12)], axis=0
)
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8))
left.plot(np.arange(1, len(english_losses) + 1), english_losses, color=GREY, lw=0.5)
left.plot(*np.transpose(english_curve), color=BLUE)
left.annotate(" held out", english_curve[-1], color=BLUE, va="center")
for name in ("uniform", "bigram", "trigram"):
    left.axhline(baselines[name], color=ORANGE, lw=1)
    left.annotate(f" {name}", (ENGLISH_STEPS, baselines[name]), color=ORANGE, va="bottom")
left.set(
    xlabel="step", ylabel="nats per character", xlim=(0, 1.22 * ENGLISH_STEPS), ylim=(0, 5), title="English"
)
right.plot(np.arange(1, SEQ + 1), by_position, color=BLUE)
for name, x in (("frequencies", 0), ("bigram", 1), ("trigram", 2)):
    right.plot(x, baselines[name], "o", color=ORANGE, markersize=5, clip_on=False)
    right.annotate(f"  {name}", (x, baselines[name]), color=ORANGE, va="center")
right.set(xlabel="characters seen", ylabel="held-out loss", xlim=(0, SEQ), title="The loss of every position")
fig.tight_layout()

# %% [markdown]
# Left: it passes the bigram and the trigram one after the other. Right: the loss of every position of the
# window. With one character to see the model is about a bigram, with two a trigram. Then it goes on where
# counting ends: a table for four characters would have a hundred million entries, almost all of them empty.
#
# What does it write? The same prompt, three ways to choose.


# %% tags=["demo"]
def continue_text(params, prompt, n_new, temperature, top_k, top_p, seed):
    rng = np.random.default_rng(seed)
    start = char_encode(prompt, vocab)[None]
    tokens, _ = write(
        params, ENGLISH, start, n_new, lambda logits: sample(logits, temperature, top_k, top_p, rng)
    )
    return char_decode(tokens[0], vocab)


for name, how in (
    ("greedy", (0.0, None, None)),
    ("temperature 1", (1.0, None, None)),
    ("0.8, top-p 0.9", (0.8, None, 0.9)),
):
    print(f"--- {name}")
    print(continue_text(english_params, "The ", SEQ - 4, *how, seed=1))

# %% [markdown]
# The spelling is there, and the look of a manual. The sense is not: 110,000 numbers that see 64 characters do not
# know what a statement is. Greedy goes round in circles, temperature 1 invents words, and in between it reads best.

# %% [markdown]
# ## 9.15 The whole model on your kernels
#
# You have written every kernel that this model needs, one stage at a time. Now they are put together: one whole
# training step, forward and backward, on the device. Numbers go up once: tokens, labels, parameters, the mask.
# Then kernels call on kernels' results. At the end the loss and the gradients come down, once. In between there is
# no NumPy.
#
# `gs.to_device(array)` takes an array up, and a kernel that gets such an array leaves its result there too.
# `.reshape(...)` looks at the same memory in another shape, for nothing is moved, and `.numpy()` brings it down.
#
# The kernels come from stages 0, 1, 6, 7, 8 and this one. `gs.kernel` finds those of other stages when their folders
# lie beside this one. When your step is graded, the course's own kernels answer: here it counts how you put them
# together, and each kernel has been judged in its own stage.
#
# A few helpers make the launches read like formulas. They only put axes in the shape that a kernel wants.

# %%
KERNELS = {}


def launch(name, **arguments):
    """Launch a kernel of this stage or of an earlier one."""
    if name not in KERNELS:
        KERNELS[name] = gs.kernel(f"{name}.wgsl")
    return KERNELS[name](**arguments)


def device_rows(x):
    return x.reshape(-1, x.shape[-1])


def device_affine(x, w, b):
    """Return x @ w + b over any leading axes."""
    return launch("affine_forward", x=device_rows(x), w=w, b=b).reshape(*x.shape[:-1], w.shape[1])


def device_affine_backward(dout, x, w):
    """Return dx and dw; the bias has a kernel of its own."""
    dout_rows = device_rows(dout)
    dx = launch("affine_backward_input", dout=dout_rows, w=w).reshape(*x.shape)
    return dx, launch("affine_backward_weight", x=device_rows(x), dout=dout_rows)


def device_bias_backward(dout):
    return launch("affine_backward_bias", dout=device_rows(dout))


def device_norm(x, gamma, beta):
    """Return the normed x and what the backward needs."""
    got = launch("layer_norm_forward", x=device_rows(x), gamma=gamma, beta=beta, eps=1e-5)
    return got["out"].reshape(*x.shape), (x, gamma, got["mean"], got["rstd"])


def device_norm_backward(dout, cache):
    """Return dx, dgamma and dbeta."""
    x, gamma, mean, rstd = cache
    rows, dout = device_rows(x), device_rows(dout)
    got = launch("layer_norm_backward", dout=dout, x=rows, gamma=gamma, mean=mean, rstd=rstd)
    return got["dx"].reshape(*x.shape), got["dgamma"], got["dbeta"]


def device_gelu(x):
    return launch("gelu_forward", x=x.reshape(-1)).reshape(*x.shape)


def device_gelu_backward(dout, x):
    return launch("gelu_backward", dout=dout.reshape(-1), x=x.reshape(-1)).reshape(*x.shape)


def device_add(x, y):
    return launch("residual_add", x=x.reshape(-1), residual=y.reshape(-1)).reshape(*x.shape)


def device_split(x, n_heads):
    """Return x (batch, seq, d_model) as (batch * n_heads, seq, d_head)."""
    batch, seq, d_model = x.shape
    heads = launch("split_heads", x=x, n_heads=n_heads, d_head=d_model // n_heads)
    return heads.reshape(batch * n_heads, seq, d_model // n_heads)


def device_merge(x, n_heads):
    """Return x (batch * n_heads, seq, d_head) as (batch, seq, d_model)."""
    return launch("merge_heads", x=x.reshape(x.shape[0] // n_heads, n_heads, *x.shape[1:]))


# %% [markdown]
# Here is attention with them, forward and backward, as an example of a chain. Compare it with `attention_forward`
# and `attention_backward` above: line by line it is the same. Where there is no bias, the kernel gets one of zeros.


# %%
def device_attention(x, w, n_heads, mask, zeros):
    """Self-attention of x (batch, seq, d_model); w has wq, wk, wv, wo; zeros (d_model,)."""
    q, k, v = (device_split(device_affine(x, w[name], zeros), n_heads) for name in ("wq", "wk", "wv"))
    scores = launch("attention_scores", q=q, k=k)
    attn = launch("masked_softmax_forward", scores=scores, mask=mask)
    mixed = device_merge(launch("attention_output", attn=attn, v=v), n_heads)
    return device_affine(mixed, w["wo"], zeros), (x, q, k, v, attn, mixed, w, n_heads)


def device_attention_backward(dout, cache):
    """Return dx and the gradients of wq, wk, wv, wo."""
    x, q, k, v, attn, mixed, w, n_heads = cache
    dmixed, dwo = device_affine_backward(dout, mixed, w["wo"])
    dheads = device_split(dmixed, n_heads)
    dattn = launch("attention_backward_attn", dout=dheads, v=v)
    dscores = launch("masked_softmax_backward", dattn=dattn, attn=attn)
    dq = launch("attention_backward_q", dscores=dscores, k=k)
    dk = launch("attention_backward_k", dscores=dscores, q=q)
    dv = launch("attention_backward_v", attn=attn, dout=dheads)
    dx, dwq = device_affine_backward(device_merge(dq, n_heads), x, w["wq"])
    dx_k, dwk = device_affine_backward(device_merge(dk, n_heads), x, w["wk"])
    dx_v, dwv = device_affine_backward(device_merge(dv, n_heads), x, w["wv"])
    return device_add(device_add(dx, dx_k), dx_v), {"wq": dwq, "wk": dwk, "wv": dwv, "wo": dwo}


# %% [markdown]
# What is left for you: embedding and positions, the block around attention, the last norm, the tied output, the
# loss, and all of it backwards. Three hints.
#
# - `h @ table.T`: the kernels have no transposed product under that name. Turn the table over with
#   `transpose`, or look again at what `affine_backward_input` computes.
# - A position's gradient is the sum over the batch. Read `dx` as (batch, seq * d_model), and it is the sum of
#   a column: `affine_backward_bias`.
# - Where two gradients meet, at each shortcut and in the table, they are added: `residual_add`.


# %%
def gpt_step_on_kernels(
    tokens: Int[np.ndarray, "batch seq"],
    labels: Int[np.ndarray, "batch seq"],
    params: dict[str, np.ndarray],
    config: dict[str, int],
) -> tuple[float, dict[str, np.ndarray]]:
    """Run one training step's forward and backward on the device.

    The numbers of `gpt_forward`, the mean cross-entropy and `gpt_backward`, in float32. Everything is
    taken up before the first launch, and only the losses of the rows and the gradients come down, after the last
    launch. NumPy prepares (the mask, zeros, how many labels count) and tidies up (the mean of the
    losses, the rows of positions that were not used, which get 0).

    Args:
        tokens: Whole numbers below n_vocab; seq is at most max_seq.
        labels: The token that follows each position; -1 is ignored.
        params: As in `gpt_forward`, float32.
        config: As in `gpt_forward`.

    Returns:
        loss: Mean over the labels that count, a Python float, in nats.
        grads: float32 arrays with the names and shapes of `params`.

    Raises:
        ValueError: labels does not have the shape of tokens, or no label counts.

    Source:
        Karpathy 2024, "llm.c": a GPT as a chain of kernels, forward and backward.
    """
    ### BEGIN SOLUTION
    n_counted = int((labels >= 0).sum())
    if labels.shape != tokens.shape or n_counted == 0:
        raise ValueError(f"labels {labels.shape} need the shape {tokens.shape} and one that counts.")
    (batch, seq), (n_vocab, d_model) = tokens.shape, params["table"].shape

    # Up: everything, once.
    w = {name: gs.to_device(value) for name, value in params.items()}
    token_rows, label_rows = (gs.to_device(x.reshape(-1).astype(np.int32)) for x in (tokens, labels))
    mask = gs.to_device(np.tril(np.ones((1, seq, seq), np.uint32)))
    zeros = gs.to_device(np.zeros(d_model, np.float32))
    table = w["table"]

    x = launch("embedding_forward", tokens=token_rows, table=table).reshape(batch, seq, d_model)
    x = launch("add_positions", x=x, positions=w["positions"], start=0)
    caches = []
    for i in range(config["n_layers"]):
        block = part(w, f"block{i}.")
        h, norm1 = device_norm(x, block["norm1.gamma"], block["norm1.beta"])
        mixed, attention = device_attention(h, part(block, "attn."), config["n_heads"], mask, zeros)
        x = device_add(x, mixed)
        h, norm2 = device_norm(x, block["norm2.gamma"], block["norm2.beta"])
        wide = device_affine(h, block["ff.w1"], block["ff.b1"])
        bent = device_gelu(wide)
        x = device_add(x, device_affine(bent, block["ff.w2"], block["ff.b2"]))
        caches.append((block, norm1, attention, norm2, h, wide, bent))
    h, norm = device_norm(x, w["norm.gamma"], w["norm.beta"])
    # dx = dout @ w.T is what a product with the transposed table needs.
    logits = launch("affine_backward_input", dout=device_rows(h), w=table)
    losses = launch("cross_entropy_forward", logits=logits, labels=label_rows)

    dlogits = launch("cross_entropy_backward", logits=logits, labels=label_rows, scale=1 / n_counted)
    dtable_out = launch("affine_backward_weight", x=dlogits, dout=device_rows(h))
    dx = launch("affine_forward", x=dlogits, w=table, b=zeros)
    grads = {}
    dx, grads["norm.gamma"], grads["norm.beta"] = device_norm_backward(dx, norm)
    for i in reversed(range(config["n_layers"])):
        block, norm1, attention, norm2, h, wide, bent = caches[i]
        g = {"ff.b2": device_bias_backward(dx)}
        dbent, g["ff.w2"] = device_affine_backward(dx, bent, block["ff.w2"])
        dwide = device_gelu_backward(dbent, wide)
        g["ff.b1"] = device_bias_backward(dwide)
        dh, g["ff.w1"] = device_affine_backward(dwide, h, block["ff.w1"])
        dbranch, g["norm2.gamma"], g["norm2.beta"] = device_norm_backward(dh, norm2)
        dx = device_add(dx, dbranch)
        dh, attention_grads = device_attention_backward(dx, attention)
        dbranch, g["norm1.gamma"], g["norm1.beta"] = device_norm_backward(dh, norm1)
        dx = device_add(dx, dbranch)
        grads |= prefixed(f"block{i}.", g | prefixed("attn.", attention_grads))
    dtable_in = launch("embedding_backward", tokens=token_rows, dout=device_rows(dx), n_vocab=n_vocab)
    grads["table"] = device_add(dtable_out, dtable_in)
    grads["positions"] = launch("affine_backward_bias", dout=dx.reshape(batch, seq * d_model))

    # Down: the losses and the gradients, once.
    loss = float(losses.numpy().sum() / n_counted)
    found = {name: grads[name].numpy() for name in params}
    unused = np.zeros((len(params["positions"]) - seq, d_model), np.float32)
    found["positions"] = np.concatenate([found["positions"].reshape(seq, d_model), unused])
    return loss, found
    ### END SOLUTION


# %% tags=["check"]
gs.check("gpt_step_on_kernels")

# %% [markdown]
# The whole step, counted. First once without counting: a new kernel is tried out in a separate process, and that
# costs a copy of its own.

# %% tags=["demo"]
rng = np.random.default_rng(7)
config = {"n_layers": 2, "n_heads": 2}
params = gpt_init(len(SIGNS), 16, 16, 2, 32, rng)
rows, _ = write_grammar(2, 16, rng)
tokens, labels = rows[:, :-1], rows[:, 1:]
gpt_step_on_kernels(tokens, labels, params, config)
with gs.device_log() as log:
    kernel_loss, kernel_grads = gpt_step_on_kernels(tokens, labels, params, config)
logits, cache = gpt_forward(tokens, params, config)
numpy_loss, dlogits = cross_entropy(logits, labels)
numpy_grads = gpt_backward(dlogits, cache)
step_gap = abs(kernel_loss - numpy_loss)
gradient_gap = max(
    float(np.abs(kernel_grads[name] - value).max() / np.abs(value).max())
    for name, value in numpy_grads.items()
)
step_launches, step_uploads, step_downloads = len(log.launches), log.n_uploads, log.n_downloads
print(f"loss in NumPy {numpy_loss:.6f}, on the kernels {kernel_loss:.6f}")
print(f"largest difference of a gradient: {gradient_gap:.1e} of that gradient's largest number")
print(
    f"{step_launches} launches of {len(set(log.launches))} kernels, {step_uploads} arrays up, {step_downloads} down"
)
for name, count in Counter(log.launches).most_common():
    print(f"  {count:3}  {name}")

# %% [markdown]
# So many launches for one step of a small model, and not one number left the device on the way. Step after step the
# parameters could stay there as well: `adamw_step.wgsl` works in place. A few steps, to see that the losses
# stay together:


# %% tags=["demo"]
def short_run(step, n_steps=4):
    run_params, state, losses = params, {}, []
    for _ in range(n_steps):
        loss, grads = step(run_params)
        run_params, state = adamw_step(run_params, grads, state, 0.01)
        losses.append(loss)
    return np.array(losses)


def numpy_step(run_params):
    logits, cache = gpt_forward(tokens, run_params, config)
    loss, dlogits = cross_entropy(logits, labels)
    return loss, gpt_backward(dlogits, cache)


numpy_losses = short_run(numpy_step)
kernel_losses = short_run(lambda run_params: gpt_step_on_kernels(tokens, labels, run_params, config))
print("NumPy  ", *(f"{loss:.5f}" for loss in numpy_losses))
print("kernels", *(f"{loss:.5f}" for loss in kernel_losses))

# %% [markdown]
# ## 9.16 Writing on your kernels
#
# Now generation. The caches live on the device, one for the keys and one for the values of each block, (batch *
# n_heads, max_seq, d_head), with room for the longest text. `kv_cache_append` writes the new key into its place,
# `attention_decode` compares the query with the first `length` keys, `argmax_row` chooses the token.
#
# **Question.** The chosen token is the next one to be read. Must it come down from the device in between?
#
# <details><summary>Answer</summary>
#
# No. `argmax_row` writes i32 numbers, and those are what `embedding_forward` reads. The loop can run to the end
# without anyone looking; the tokens come down when all is written.
#
# </details>


# %%
def generate_on_kernels(
    tokens: Int[np.ndarray, "batch n_prompt"],
    params: dict[str, np.ndarray],
    config: dict[str, int],
    n_new: int,
) -> Int[np.ndarray, "batch seq"]:
    """Continue each prompt by n_new tokens on the device, always taking the best-scored one.

    One position at a time, prompt included, as `gpt_decode_step` does. Parameters, prompt and empty caches are
    taken up before the first launch; each new token goes from `argmax_row` into `embedding_forward` on the device;
    only the new tokens come down, after the last launch.

    Args:
        tokens: The prompts, at least one token each.
        params: As in `gpt_forward`, float32.
        config: As in `gpt_forward`.
        n_new: How many tokens to append, at least 1.

    Returns:
        Prompt and new tokens, (batch, n_prompt + n_new), int64. Of equally scored tokens the first wins.

    Raises:
        ValueError: There is no prompt, n_new is below 1, or the text would not fit into max_seq positions.

    Source:
        Pope et al. 2022, "Efficiently Scaling Transformer Inference", section 2.1.
    """
    ### BEGIN SOLUTION
    (batch, n_prompt), d_model = tokens.shape, params["table"].shape[1]
    max_seq, n_heads = len(params["positions"]), config["n_heads"]
    if n_prompt < 1 or n_new < 1 or n_prompt + n_new > max_seq:
        raise ValueError(f"{n_prompt} tokens and {n_new} new ones: at least one each, {max_seq} in all.")
    per_head = (batch * n_heads, d_model // n_heads)

    # Up: everything, once.
    w = {name: gs.to_device(value) for name, value in params.items()}
    prompt = [gs.to_device(column.astype(np.int32)) for column in tokens.T]
    empty = np.zeros((per_head[0], max_seq, per_head[1]), np.float32)
    k_cache, v_cache = ([gs.to_device(empty) for _ in range(config["n_layers"])] for _ in "kv")
    zeros = gs.to_device(np.zeros(d_model, np.float32))

    chosen = []
    for t in range(n_prompt + n_new - 1):
        token = prompt[t] if t < n_prompt else chosen[-1]
        x = launch("embedding_forward", tokens=token, table=w["table"]).reshape(batch, 1, d_model)
        x = launch("add_positions", x=x, positions=w["positions"], start=t).reshape(batch, d_model)
        for i in range(config["n_layers"]):
            block = part(w, f"block{i}.")
            h, _ = device_norm(x, block["norm1.gamma"], block["norm1.beta"])
            q, k, v = (
                device_affine(h, block[name], zeros).reshape(*per_head)
                for name in ("attn.wq", "attn.wk", "attn.wv")
            )
            launch("kv_cache_append", entry=k, cache=k_cache[i], position=t)
            launch("kv_cache_append", entry=v, cache=v_cache[i], position=t)
            mixed = launch("attention_decode", q=q, k_cache=k_cache[i], v_cache=v_cache[i], length=t + 1)
            x = device_add(x, device_affine(mixed.reshape(batch, d_model), block["attn.wo"], zeros))
            h, _ = device_norm(x, block["norm2.gamma"], block["norm2.beta"])
            bent = device_gelu(device_affine(h, block["ff.w1"], block["ff.b1"]))
            x = device_add(x, device_affine(bent, block["ff.w2"], block["ff.b2"]))
        if t >= n_prompt - 1:
            h, _ = device_norm(x, w["norm.gamma"], w["norm.beta"])
            logits = launch("affine_backward_input", dout=h, w=w["table"])
            chosen.append(launch("argmax_row", logits=logits))

    # Down: the new tokens, once.
    new = np.stack([token.numpy() for token in chosen], axis=1)
    return np.concatenate([tokens, new], axis=1).astype(np.int64)
    ### END SOLUTION


# %% tags=["check"]
gs.check("generate_on_kernels")

# %% [markdown]
# The model that learned the grammar writes on your kernels, three times two dozen signs, each time from another first
# sign. Beside it the same in NumPy.

# %% tags=["demo"]
starts = np.array([[0, SIGNS.index(sign)] for sign in "([a"])
generate_on_kernels(starts, grammar_params, GRAMMAR, 1)
with gs.device_log() as log:
    on_kernels = generate_on_kernels(starts, grammar_params, GRAMMAR, 22)
in_numpy, _ = write(grammar_params, GRAMMAR, starts, 22, greedy)
same_generation = bool((on_kernels == in_numpy).all())
generation_returns = log.n_returns
print("the same tokens as in NumPy:", same_generation)
print(
    f"{len(log.launches)} launches, {log.n_uploads} arrays up, {log.n_downloads} down, {log.n_returns} went up after that"
)
for row in on_kernels:
    print(repr(char_decode(row[1:], SIGNS)))

# %% [markdown]
# Always the most probable sign: the model becomes dull and repeats itself. It is right all the same.
#
# ## 9.17 What you have
#
# | part | the idea in a line |
# |---|---|
# | tokenizer | text becomes numbers and comes back unharmed |
# | causal mask | every position is a question whose answer it cannot see |
# | tied table | what a token means when read and when predicted is one vector, with two gradients |
# | AdamW, clipping, schedule | small, even steps; decay beside Adam, not through it |
# | sampling | the last position's scores become one token |
# | KV cache | the past does not change, so its keys and values are kept |
#
# In PyTorch the model is a few lines:
#
# ```python
# x = self.table(tokens) + self.positions.weight[:seq]
# for block in self.blocks:                  # nn.TransformerEncoderLayer(..., norm_first=True)
#     x = block(x, src_mask=causal, is_causal=True)
# logits = self.norm(x) @ self.table.weight.T
# loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
# ```
#
# A hundred such blocks, vectors of 12,288 numbers, three hundred billion tokens of text: that was GPT-3. The
# code you wrote would run it, if you had the time.
#
# **A last question.** Attention worked here. Would something simpler have done? An MLP over the last 64
# characters, a recurrent net? How would you find out?
#
# <details><summary>Answer</summary>
#
# Train all of them with equal numbers of parameters on equal data, several seeds each, and look. That is stage 10.
#
# </details>
