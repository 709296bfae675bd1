"""Byte pairs with heaps and counts that are kept up to date; one long vector for all parameters; draws by search."""

import bisect
import cmath
import heapq
import math
from collections import defaultdict
from itertools import pairwise

import numpy as np


def char_tokenizer(text):
    seen = []
    for character in text:
        place = bisect.bisect_left(seen, character)
        if place == len(seen) or seen[place] != character:
            seen.insert(place, character)
    return "".join(seen)


def bpe_train(text, n_merges):
    """Every pair knows the words it stands in, and only those are counted again after a merge."""
    if n_merges < 0:
        raise ValueError("a number of merges")
    times = defaultdict(int)
    for chunk in split_chunks(text):
        times[chunk] += 1
    words = [list(chunk.encode()) for chunk in times]
    weights = list(times.values())
    counts, where = defaultdict(int), defaultdict(set)

    def count(word, sign):
        tokens = words[word]
        for left, right in pairwise(tokens):
            counts[left, right] += sign * weights[word]
            where[left, right].add(word)

    for word in range(len(words)):
        count(word, 1)
    heap = [(-n, pair) for pair, n in counts.items()]
    heapq.heapify(heap)
    merges = []
    while heap and len(merges) < n_merges:
        negative, pair = heapq.heappop(heap)
        if counts[pair] != -negative:
            # What the heap says is old. If the pair still counts, say it again.
            if counts[pair] > 0:
                heapq.heappush(heap, (-counts[pair], pair))
            continue
        if negative > -2:
            break
        touched = set()
        for word in where.pop(pair):
            before = words[word]
            count(word, -1)
            words[word] = merge_pair(before, pair, 256 + len(merges))
            count(word, 1)
            touched |= set(pairwise(words[word]))
        merges.append(pair)
        for new in touched:
            heapq.heappush(heap, (-counts[new], new))
    return merges


def bpe_encode(text, merges):
    """A heap of possible merges over a chain of tokens; a chunk that came before is remembered."""
    ranks = {(int(a), int(b)): i for i, (a, b) in enumerate(merges)}
    known, tokens = {}, []

    def merged(chunk):
        chain = list(chunk.encode())
        after = [*range(1, len(chain)), -1]
        before = list(range(-1, len(chain) - 1))
        heap = [(ranks[pair], i) for i, pair in enumerate(pairwise(chain)) if pair in ranks]
        heapq.heapify(heap)
        while heap:
            rank, i = heapq.heappop(heap)
            j = after[i]
            if chain[i] is None or j < 0 or ranks.get((chain[i], chain[j])) != rank:
                continue
            chain[i], chain[j], after[i] = 256 + rank, None, after[j]
            if after[i] >= 0:
                before[after[i]] = i
            for left in (before[i], i):
                if left >= 0 and after[left] >= 0 and (chain[left], chain[after[left]]) in ranks:
                    heapq.heappush(heap, (ranks[chain[left], chain[after[left]]], left))
        return [token for token in chain if token is not None]

    for chunk in split_chunks(text):
        if chunk not in known:
            known[chunk] = merged(chunk)
        tokens.extend(known[chunk])
    return np.fromiter(tokens, dtype=np.int64, count=len(tokens))


def bpe_decode(tokens, merges):
    spelled = dict(enumerate(bytes((b,)) for b in range(256)))
    for new, pair in enumerate(merges, start=256):
        spelled[new] = b"".join(spelled[int(half)] for half in pair)
    data = bytearray()
    for token in tokens:
        try:
            data += spelled[int(token)]
        except KeyError:
            raise ValueError(f"no token {token}") from None
    return data.decode(errors="replace")


def adamw_step(params, grads, state, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
    """All parameters of one dtype in one long vector."""
    names = sorted(params)
    if sorted(grads) != names or any(np.shape(grads[name]) != np.shape(params[name]) for name in names):
        raise ValueError("the gradients are not those of the parameters")
    for beta in betas:
        if beta < 0 or beta >= 1:
            raise ValueError("a beta lies in [0, 1)")
    if weight_decay < 0:
        raise ValueError("weights do not grow")
    b1, b2 = (float(beta) for beta in betas)
    dtype = np.result_type(*params.values())
    w, g = (np.concatenate([np.ravel(values[name]) for name in names]) for values in (params, grads))
    powers = [power * beta for power, beta in zip(state.get("powers", [1.0, 1.0]), (b1, b2), strict=True)]
    memory = state.get("memory", np.zeros((2, len(w)), dtype))
    moments = np.array([[b1], [b2]], dtype) * memory
    moments = moments + np.array([[1 - b1], [1 - b2]], dtype) * np.stack([g, g * g])
    mean, size = moments[0] / (1 - powers[0]), np.sqrt(moments[1] / (1 - powers[1])) + float(eps)
    w = w * (1 - float(lr) * float(weight_decay)) - float(lr) * mean / size
    after, start = {}, 0
    for name in names:
        stop = start + params[name].size
        after[name] = w[start:stop].reshape(params[name].shape).astype(params[name].dtype)
        start = stop
    return after, {"powers": powers, "memory": moments}


def clip_gradients(grads, max_norm):
    if not max_norm > 0:
        raise ValueError("a length above 0")
    squares = []
    for grad in grads.values():
        flat = grad.astype(np.float64).ravel()
        squares.append(float(np.dot(flat, flat)))
    norm = math.sqrt(math.fsum(squares))
    too_long = norm > max_norm
    return {name: grad / (norm / max_norm) if too_long else +grad for name, grad in grads.items()}, norm


def cosine_schedule(step, warmup, total, lr_max, lr_min):
    if step < 0 or warmup < 0:
        raise ValueError("steps are counted from 0")
    if warmup >= total:
        raise ValueError("nothing is left after the warm-up")
    if warmup > 0 and step <= warmup:
        return float(lr_max) * (step / warmup)
    left = max(total - step, 0) / (total - warmup)
    # Half the length of 1 + the point at the angle pi (1 - left), squared: (1 + cos) / 2.
    share = abs(1 + cmath.exp(1j * math.pi * (1 - left))) ** 2 / 4
    return (1 - share) * float(lr_min) + share * float(lr_max)


def next_token_logits(logits):
    if np.ndim(logits) < 2 or np.shape(logits)[-2] == 0:
        raise ValueError("no last position")
    *batch, seq, n_vocab = logits.shape
    one_hot = np.zeros(seq, bool)
    one_hot[seq - 1] = True
    return np.compress(one_hot, logits, axis=-2).reshape(*batch, n_vocab)


def sample(logits, temperature, top_k, top_p, rng):
    """Sort by score and place, cut with searchsorted, draw with `rng.choice`."""
    if not logits.shape or logits.shape[-1] == 0:
        raise ValueError("a row of scores is needed")
    if temperature < 0:
        raise ValueError("a temperature is at least 0")
    if (top_k is not None and top_k <= 0) or (top_p is not None and (top_p > 1 or top_p <= 0)):
        raise ValueError("top_k and top_p leave at least one token")
    n_vocab = logits.shape[-1]
    drawn = []
    for row in logits.reshape(-1, n_vocab).astype(np.float64):
        ranked = np.lexsort((np.arange(n_vocab), -row))
        if temperature == 0:
            drawn.append(ranked[0])
            continue
        kept = ranked if top_k is None else ranked[:top_k]
        scaled = row[kept] / temperature
        probs = np.exp(scaled - np.logaddexp.reduce(scaled))
        if top_p is not None and top_p < 1:
            n_kept = np.searchsorted(np.cumsum(probs), top_p, side="left") + 1
            kept, probs = kept[:n_kept], probs[:n_kept]
        drawn.append(rng.choice(kept, p=probs / probs.sum()))
    return np.array(drawn, np.int64).reshape(logits.shape[:-1])
