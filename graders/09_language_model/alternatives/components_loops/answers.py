"""The components in plain loops, one thing at a time."""

import math
from itertools import pairwise

import numpy as np


def char_tokenizer(text):
    vocab = []
    for character in text:
        if character not in vocab:
            vocab.append(character)
    vocab.sort(key=ord)
    return "".join(vocab)


def _replace(tokens, pair, new):
    i = 0
    while i + 1 < len(tokens):
        if (tokens[i], tokens[i + 1]) == pair:
            tokens[i : i + 2] = [new]
        i += 1


def bpe_train(text, n_merges):
    if n_merges < 0:
        raise ValueError("There cannot be fewer than no merges.")
    words = [list(chunk.encode("utf-8")) for chunk in split_chunks(text)]
    merges = []
    for new in range(256, 256 + n_merges):
        counts = {}
        for word in words:
            for i in range(len(word) - 1):
                pair = (word[i], word[i + 1])
                counts[pair] = counts.get(pair, 0) + 1
        best, most = None, 1
        for pair in sorted(counts):
            if counts[pair] > most:
                best, most = pair, counts[pair]
        if best is None:
            return merges
        merges.append(best)
        for word in words:
            _replace(word, best, new)
    return merges


def bpe_encode(text, merges):
    """At each turn do the merge that was learned first among those that are possible."""
    ranks = {tuple(pair): i for i, pair in enumerate(merges)}
    tokens = []
    for chunk in split_chunks(text):
        part = list(chunk.encode("utf-8"))
        while True:
            possible = [ranks[pair] for pair in pairwise(part) if pair in ranks]
            if not possible:
                break
            first = min(possible)
            _replace(part, tuple(merges[first]), 256 + first)
        tokens.extend(part)
    return np.array(tokens, dtype=np.int64)


def bpe_decode(tokens, merges):
    data, todo = bytearray(), [int(token) for token in tokens][::-1]
    while todo:
        token = todo.pop()
        if token < 0 or token >= 256 + len(merges):
            raise ValueError("There is no such token.")
        if token < 256:
            data.append(token)
        else:
            first, second = merges[token - 256]
            todo += [second, first]
    return bytes(data).decode("utf-8", "replace")


def adamw_step(params, grads, state, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
    if set(params) != set(grads):
        raise ValueError("Other names.")
    if not all(0 <= beta < 1 for beta in betas) or weight_decay < 0:
        raise ValueError("betas in [0, 1), and no growth.")
    b1, b2 = betas
    after, memory = {}, {}
    for name, w in params.items():
        g = grads[name]
        if g.shape != w.shape:
            raise ValueError("Other shapes.")
        m, v, t = state.get(name, (np.zeros_like(w), np.zeros_like(w), 0))
        t = t + 1
        m, v = m + (1 - b1) * (g - m), v + (1 - b2) * (g * g - v)
        root = np.sqrt(v) / math.sqrt(1 - b2**t)
        shrunk = w * (1 - lr * weight_decay)
        after[name] = shrunk - lr / (1 - b1**t) * m / (root + eps)
        memory[name] = (m, v, t)
    return after, memory


def clip_gradients(grads, max_norm):
    if max_norm <= 0:
        raise ValueError("Nothing would be left.")
    norm = 0.0
    for grad in grads.values():
        for number in grad.reshape(-1).tolist():
            norm = math.hypot(norm, number)
    if norm <= max_norm:
        return {name: grad.copy() for name, grad in grads.items()}, norm
    return {name: grad * (max_norm / norm) for name, grad in grads.items()}, norm


def cosine_schedule(step, warmup, total, lr_max, lr_min):
    if step < 0 or warmup < 0 or warmup >= total:
        raise ValueError("No such schedule.")
    if step < warmup:
        return step / warmup * lr_max
    if step >= total:
        return lr_min
    return lr_min + (lr_max - lr_min) * math.cos(math.pi / 2 * (step - warmup) / (total - warmup)) ** 2


def next_token_logits(logits):
    if len(logits.shape) < 2 or logits.shape[-2] < 1:
        raise ValueError("There is no last position.")
    return np.take(logits, logits.shape[-2] - 1, axis=-2)


def _choose(row, temperature, top_k, top_p, rng):
    ranked = sorted(range(len(row)), key=lambda c: -row[c])
    if temperature == 0:
        return ranked[0]
    weights = [math.exp((row[c] - row[ranked[0]]) / temperature) for c in ranked[:top_k]]
    if top_p is not None:
        total, reached, n_kept = sum(weights), 0.0, 0
        while reached < top_p * total and n_kept < len(weights):
            reached += weights[n_kept]
            n_kept += 1
        weights = weights[:n_kept]
    left = rng.random() * sum(weights)
    for c, weight in zip(ranked, weights, strict=False):
        left -= weight
        if left < 0:
            return c
    return ranked[0]


def sample(logits, temperature, top_k, top_p, rng):
    if len(logits.shape) == 0 or logits.shape[-1] == 0:
        raise ValueError("No tokens.")
    if temperature < 0 or (top_k is not None and top_k < 1):
        raise ValueError("Too small.")
    if top_p is not None and (top_p <= 0 or top_p > 1):
        raise ValueError("top_p in (0, 1].")
    rows = logits.reshape(-1, logits.shape[-1]).tolist()
    tokens = [_choose(row, temperature, top_k, top_p, rng) for row in rows]
    return np.array(tokens, dtype=np.int64).reshape(logits.shape[:-1])
