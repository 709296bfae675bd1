"""The same components by other means: regular expressions, one long array, Gumbel noise."""

import re
from collections import Counter

import numpy as np


def char_tokenizer(text):
    codes = np.unique(np.frombuffer(text.encode("utf-32-le"), np.uint32))
    return codes.astype("<u4").tobytes().decode("utf-32-le")


def _pairs(words):
    counts = Counter()
    for word, count in words.items():
        for i in range(len(word) - 1):
            counts[word[i : i + 2]] += count
    return counts


def bpe_train(text, n_merges):
    """Tokens are characters of a private alphabet, so that a merge is a replacement in a string."""
    if n_merges < 0:
        raise ValueError("n_merges is negative.")
    words = Counter(chunk.encode().decode("latin-1") for chunk in split_chunks(text))
    merges = []
    while len(merges) < n_merges:
        counts = _pairs(words)
        frequent = [(-count, pair) for pair, count in counts.items() if count > 1]
        if not frequent:
            break
        pair = min(frequent)[1]
        new = chr(256 + len(merges))
        merges.append((ord(pair[0]), ord(pair[1])))
        shorter = Counter()
        for word, count in words.items():
            shorter[word.replace(pair, new)] += count
        words = shorter
    return merges


def bpe_encode(text, merges):
    border = "\U0010fff0"
    whole = border.join(chunk.encode().decode("latin-1") for chunk in split_chunks(text))
    for i, (first, second) in enumerate(merges):
        whole = re.sub(re.escape(chr(first) + chr(second)), chr(256 + i), whole)
    return np.array([ord(token) for token in whole if token != border], dtype=np.int64)


def bpe_decode(tokens, merges):
    tokens = np.asarray(tokens, dtype=np.int64)
    if np.any((tokens < 0) | (tokens > 255 + len(merges))):
        raise ValueError("Some tokens are unknown.")
    known = {}

    def spell(token):
        if token < 256:
            return bytes([token])
        if token not in known:
            first, second = merges[token - 256]
            known[token] = spell(first) + spell(second)
        return known[token]

    return str(b"".join(map(spell, tokens.tolist())), "utf-8", errors="replace")


def adamw_step(params, grads, state, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
    """Bias correction moved into the step and eps, as Kingma and Ba write in their section 2."""
    if list(map(str, sorted(params))) != list(map(str, sorted(grads))):
        raise ValueError("The names differ.")
    for name in params:
        if params[name].shape != grads[name].shape:
            raise ValueError("The shapes differ.")
    if min(betas) < 0 or max(betas) >= 1:
        raise ValueError("A beta is outside [0, 1).")
    if weight_decay < 0:
        raise ValueError("Negative decay.")
    (beta1, beta2), t = betas, state.get("steps", 0) + 1
    memory = {"steps": t}
    after = {}
    for name in params:
        old = state.get("of " + name)
        if old is None:
            old = np.zeros((2, *params[name].shape), params[name].dtype)
        new = np.stack(
            [
                beta1 * old[0] + (1 - beta1) * grads[name],
                beta2 * old[1] + (1 - beta2) * np.square(grads[name]),
            ]
        )
        root = float(np.sqrt(1 - beta2**t))
        step = lr * root / (1 - beta1**t) * new[0] / (np.sqrt(new[1]) + eps * root)
        after[name] = params[name] - step - lr * weight_decay * params[name]
        memory["of " + name] = new
    return after, memory


def clip_gradients(grads, max_norm):
    if not max_norm > 0:
        raise ValueError("max_norm must be positive.")
    flat = np.concatenate([np.zeros(0), *(grad.astype(np.float64).ravel() for grad in grads.values())])
    norm = float(np.linalg.norm(flat))
    shrink = min(1.0, max_norm / norm) if norm else 1.0
    return {name: np.multiply(grad, grad.dtype.type(shrink)) for name, grad in grads.items()}, norm


def cosine_schedule(step, warmup, total, lr_max, lr_min):
    if min(step, warmup) < 0:
        raise ValueError("Negative steps.")
    if not total > warmup:
        raise ValueError("The warm-up takes all steps.")
    rising = np.linspace(0, lr_max, warmup + 1)[:-1]
    if step < warmup:
        return float(rising[step])
    turn = np.exp(1j * np.pi * np.clip((step - warmup) / (total - warmup), 0, 1)).real
    return float((lr_max + lr_min) / 2 + (lr_max - lr_min) / 2 * turn)


def next_token_logits(logits):
    if logits.ndim < 2:
        raise ValueError("No position axis.")
    if not logits.shape[-2]:
        raise ValueError("No position.")
    return np.array(np.moveaxis(logits, -2, 0)[-1])


def sample(logits, temperature, top_k, top_p, rng):
    """Mask the scores in place of the probabilities; the largest score plus Gumbel noise is a draw."""
    if logits.ndim < 1 or not logits.shape[-1]:
        raise ValueError("No token axis.")
    if temperature < 0:
        raise ValueError("Negative temperature.")
    if top_k is not None and not top_k >= 1:
        raise ValueError("top_k below 1.")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError("top_p outside (0, 1].")
    if temperature == 0:
        return np.argmax(logits, axis=-1)
    scores = logits.astype(np.float64)
    scores = (scores - scores.max(axis=-1, keepdims=True)) / temperature
    n_vocab = scores.shape[-1]
    # rank[c] = how many tokens stand before c.
    above = scores[..., None, :] > scores[..., :, None]
    earlier = np.arange(n_vocab)[None, :] < np.arange(n_vocab)[:, None]
    equal = scores[..., None, :] == scores[..., :, None]
    ahead = above | (equal & earlier)
    if top_k is not None:
        scores = np.where(ahead.sum(axis=-1) < top_k, scores, -np.inf)
    if top_p is not None:
        probs = np.exp(scores)
        probs /= probs.sum(axis=-1, keepdims=True)
        before = (ahead * probs[..., None, :]).sum(axis=-1)
        scores = np.where(before < top_p, scores, -np.inf)
    return (scores + rng.gumbel(size=scores.shape)).argmax(axis=-1)
