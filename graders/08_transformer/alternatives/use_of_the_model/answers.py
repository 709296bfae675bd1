"""Decoding with a target of full length and the rows still open; a loss made target by target."""

import copy

import numpy as np


def greedy_decode(src, params, config, bos, eos, max_len):
    if max_len < 1:
        raise ValueError("max_len must be positive")
    if src.ndim != 2:
        raise ValueError("src must have two axes")
    pad = config["pad"]
    tokens = np.full((len(src), max_len), pad, dtype=np.int64)
    # The target has its full length from the start: what comes later is hidden anyway.
    before = np.full((len(src), max_len), bos, dtype=np.int64)
    open_rows = np.arange(len(src))
    for t in range(max_len):
        if open_rows.size == 0:
            break
        logits = transformer_forward(src[open_rows], before[open_rows], params, config)[0]
        chosen = np.array([int(np.flatnonzero(row == row.max())[0]) for row in logits[:, t]])
        tokens[open_rows, t] = chosen
        if t + 1 < max_len:
            before[open_rows, t + 1] = chosen
        open_rows = open_rows[chosen != eos]
    return tokens


def ablate(config, part):
    known = dict.fromkeys(("residual", "norm", "feed_forward", "positions"), False) | {"heads": True}
    if part not in known:
        raise ValueError("unknown part")
    smaller = copy.deepcopy(config)
    smaller.setdefault("without", ())
    if known[part]:
        smaller["n_heads"] = 1
    smaller["without"] = tuple(dict.fromkeys([*smaller["without"], *([] if known[part] else [part])]))
    return smaller


def fix_the_transformer(tokens, params, n_heads, pad=0):
    p = {name: torch.as_tensor(value) for name, value in params.items()}
    batch, seq = tokens.shape[0], tokens.shape[1] - 1
    d_model = params["table"].shape[1]
    x = p["table"][tokens[:, :-1]] + p["positions"][np.arange(seq)]
    read = F.layer_norm(x, (d_model,), p["norm1.gamma"], p["norm1.beta"])
    q, k, v = (
        (read @ p[name]).reshape(batch, seq, n_heads, -1).permute(0, 2, 1, 3) for name in ("wq", "wk", "wv")
    )
    future = torch.ones(seq, seq).triu(1).bool()
    scores = (q @ k.permute(0, 1, 3, 2)) * (d_model // n_heads) ** -0.5
    attn = torch.softmax(scores.masked_fill(future, float("-inf")), -1)
    x = (attn @ v).permute(0, 2, 1, 3).reshape(batch, seq, d_model) @ p["wo"] + x
    read = F.layer_norm(x, (d_model,), p["norm2.gamma"], p["norm2.beta"])
    x = x + (F.gelu(read @ p["w1"] + p["b1"], "tanh") @ p["w2"] + p["b2"])
    x = F.layer_norm(x, (d_model,), p["norm.gamma"], p["norm.beta"])
    logits = (x @ p["w_out"] + p["b_out"]).numpy()
    # The loss by hand, target by target.
    losses = []
    for row, wanted in zip(logits, tokens[:, 1:], strict=True):
        for scores, token in zip(row, wanted, strict=True):
            if token != pad:
                losses.append(np.logaddexp.reduce(scores) - scores[token])
    return logits, float(np.mean(losses))
