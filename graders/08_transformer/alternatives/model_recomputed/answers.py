"""A cache that holds the inputs only: the way back runs the forward again, branch by branch."""

import numpy as np


def _branches(kinds, without):
    numbered = [(f"norm{i + 1}", kind) for i, kind in enumerate(kinds)]
    return [(name, kind) for name, kind in numbered if kind != "ff" or "feed_forward" not in without]


def _norm(x, params, name, without, active):
    if not active or "norm" in without:
        return x, None
    return layer_norm_forward(x, params[f"{name}.gamma"], params[f"{name}.beta"])


def _norm_back(dout, kept, name):
    if kept is None:
        return dout, {}
    dx, dgamma, dbeta = layer_norm_backward(dout, kept)
    return dx, {f"{name}.gamma": dgamma, f"{name}.beta": dbeta}


def _run(x, memory, params, n_heads, masks, norm, without, kinds):
    """Return the stream after all branches, and what each branch keeps."""
    tape = []
    for name, kind in _branches(kinds, without):
        weights = {key.split(".")[1]: value for key, value in params.items() if key.startswith(kind + ".")}
        h, before = _norm(x, params, name, without, norm == "pre")
        if kind == "ff":
            y, kept = feed_forward_forward(h, weights)
        else:
            other = memory if kind == "cross" else h
            y, kept = multi_head_attention_forward(h, other, weights, n_heads, masks[kind])
        if "residual" not in without:
            y = np.add(x, y)
        x, after = _norm(y, params, name, without, norm == "post")
        tape.append((name, kind, before, kept, after))
    return x, tape


def _rewind(dout, tape, params, without):
    grads = {name: np.zeros_like(value) for name, value in params.items()}
    dmemory = None
    for name, kind, before, kept, after in tape[::-1]:
        dout, own = _norm_back(dout, after, name)
        grads.update(own)
        if kind == "ff":
            dh, own = feed_forward_backward(dout, kept)
        else:
            dh, dkv, own = multi_head_attention_backward(dout, kept)
            if kind == "cross":
                dmemory = dkv
            else:
                dh = np.add(dh, dkv)
        grads.update({f"{kind}.{key}": value for key, value in own.items()})
        dh, own = _norm_back(dh, before, name)
        grads.update(own)
        dout = dh if "residual" in without else np.add(dout, dh)
    return dout, dmemory, grads


def _check(norm, *streams):
    if norm not in ("pre", "post"):
        raise ValueError("norm is pre or post")
    if any(stream.ndim != 3 for stream in streams):
        raise ValueError("three axes are needed")


def encoder_block_forward(x, params, n_heads, mask=None, norm="pre", without=()):
    _check(norm, x)
    kinds = ("attn", "ff")
    out, _ = _run(x, None, params, n_heads, {"attn": mask}, norm, without, kinds)
    return out, [x, params, n_heads, mask, norm, list(without)]


def encoder_block_backward(dout, cache):
    x, params, n_heads, mask, norm, without = cache
    if dout.shape != x.shape:
        raise ValueError("dout has another shape")
    _, tape = _run(x, None, params, n_heads, {"attn": mask}, norm, without, ("attn", "ff"))
    dx, _, grads = _rewind(dout, tape, params, without)
    return dx, grads


def decoder_block_forward(
    x, memory, params, n_heads, self_mask=None, cross_mask=None, norm="pre", without=()
):
    _check(norm, x, memory)
    masks = {"self": self_mask, "cross": cross_mask}
    out, tape = _run(x, memory, params, n_heads, masks, norm, without, ("self", "cross", "ff"))
    cache = {"inputs": [x, memory, params, n_heads, masks, norm, list(without)]}
    return out, cache | {"cross_attn": tape[1][3]["attn"]}


def decoder_block_backward(dout, cache):
    x, memory, params, n_heads, masks, norm, without = cache["inputs"]
    if dout.shape != x.shape:
        raise ValueError("dout has another shape")
    _, tape = _run(x, memory, params, n_heads, masks, norm, without, ("self", "cross", "ff"))
    return _rewind(dout, tape, params, without)


def _names(params):
    return ("table", "table") if "table" in params else ("src_table", "tgt_table")


def _embed(tokens, table, without):
    x = np.take(table, tokens, axis=0) * np.sqrt(table.shape[1]).astype(table.dtype)
    if "positions" in without:
        return x
    return x + sinusoidal_positions(tokens.shape[1], table.shape[1]).astype(table.dtype)


def _stacks(src, tgt, params, config):
    """Return the logits and a tape of (kind, prefix, cache)."""
    without, norm = tuple(config.get("without", ())), config["norm"]
    x, y = (_embed(t, params[name], without) for t, name in zip((src, tgt), _names(params), strict=True))
    seen, past = (src != config["pad"])[:, None], np.tri(tgt.shape[1], dtype=bool)
    tape, maps = [], []
    for i in range(config["n_layers"]):
        x, kept = encoder_block_forward(x, part(params, f"enc{i}."), config["n_heads"], seen, norm, without)
        tape.append(("enc", f"enc{i}.", kept))
    x, kept = _norm(x, params, "enc_norm", without, norm == "pre")
    tape.append(("norm", "enc_norm", kept))
    for i in range(config["n_layers"]):
        own = part(params, f"dec{i}.")
        y, kept = decoder_block_forward(y, x, own, config["n_heads"], past, seen, norm, without)
        tape.append(("dec", f"dec{i}.", kept))
        maps.append(kept["cross_attn"])
    y, kept = _norm(y, params, "dec_norm", without, norm == "pre")
    tape.append(("norm", "dec_norm", kept))
    return y, tape, maps


def transformer_forward(src, tgt, params, config):
    if {src.ndim, tgt.ndim} != {2} or len(src) != len(tgt):
        raise ValueError("src and tgt do not fit")
    y, _, maps = _stacks(src, tgt, params, config)
    logits = y @ (params["w_out"] if "w_out" in params else np.swapaxes(params[_names(params)[1]], 0, 1))
    return logits, {"inputs": (src, tgt, params, config), "shape": logits.shape, "cross_attn": maps}


def transformer_backward(dlogits, cache):
    if dlogits.shape != tuple(cache["shape"]):
        raise ValueError("dlogits has another shape")
    src, tgt, params, config = cache["inputs"]
    grads = {name: np.zeros_like(value) for name, value in params.items()}
    y, tape, _ = _stacks(src, tgt, params, config)
    dw = np.tensordot(y, dlogits, axes=([0, 1], [0, 1]))
    source, target = _names(params)
    if "w_out" in params:
        grads["w_out"] = dw
        dy = dlogits @ params["w_out"].T
    else:
        grads[target] = grads[target] + dw.T
        dy = dlogits @ params[target]
    dx = 0
    for kind, prefix, kept in tape[::-1]:
        if kind == "norm" and prefix == "dec_norm":
            dy, own = _norm_back(dy, kept, prefix)
        elif kind == "norm":
            dx, own = _norm_back(dx, kept, prefix)
        elif kind == "dec":
            dy, dmemory, own = decoder_block_backward(dy, kept)
            dx, own = dx + dmemory, prefixed(prefix, own)
        else:
            dx, own = encoder_block_backward(dx, kept)
            own = prefixed(prefix, own)
        grads.update(own)
    for name, tokens, d in ((source, src, dx), (target, tgt, dy)):
        table = np.zeros_like(grads[name])
        for token in np.unique(tokens):
            table[token] = d[tokens == token].sum(axis=0)
        grads[name] = grads[name] + table * np.sqrt(table.shape[1]).astype(table.dtype)
    return grads


def greedy_decode(src, params, config, bos, eos, max_len):
    if src.ndim != 2:
        raise ValueError("src is (batch, seq)")
    if max_len < 1:
        raise ValueError("nothing to write")
    written = np.full((len(src), max_len + 1), bos, dtype=np.int64)
    for t in range(1, max_len + 1):
        logits, _ = transformer_forward(src, written[:, :t], params, config)
        written[:, t] = np.argmax(logits[:, t - 1], axis=1)
    ends = written[:, 1:] == eos
    behind = np.cumsum(ends, axis=1) - ends > 0
    return np.where(behind, np.int64(config["pad"]), written[:, 1:])


_SWITCHES = ("residual", "norm", "feed_forward", "positions")


def ablate(config, part):
    without = tuple(config.get("without", ()))
    if part == "heads":
        return config | {"without": without, "n_heads": 1}
    if part not in _SWITCHES:
        raise ValueError(f"{part} is unknown")
    return dict(config, without=without if part in without else (*without, part))


def fix_the_transformer(tokens, params, n_heads, pad=0):
    p = {name: torch.as_tensor(value) for name, value in params.items()}
    tokens = torch.as_tensor(tokens)
    seq, d_model = tokens.shape[1] - 1, params["table"].shape[1]
    width = d_model // n_heads
    x = F.embedding(tokens[:, :seq], p["table"]) + p["positions"][:seq]
    read = F.layer_norm(x, (d_model,), p["norm1.gamma"], p["norm1.beta"])
    later = torch.arange(seq).unsqueeze(0) > torch.arange(seq).unsqueeze(1)
    added = 0.0
    for h in range(n_heads):
        mine = slice(h * width, (h + 1) * width)
        q, k, v = (read @ p[name][:, mine] for name in ("wq", "wk", "wv"))
        scores = (q @ k.transpose(1, 2)) * width**-0.5
        added = F.softmax(scores.masked_fill(later, float("-inf")), dim=-1) @ v @ p["wo"][mine] + added
    x = x + added
    read = F.layer_norm(x, (d_model,), p["norm2.gamma"], p["norm2.beta"])
    x = x + F.gelu(read @ p["w1"] + p["b1"], approximate="tanh") @ p["w2"] + p["b2"]
    logits = F.layer_norm(x, (d_model,), p["norm.gamma"], p["norm.beta"]) @ p["w_out"] + p["b_out"]
    flat = logits.reshape(-1, params["table"].shape[0])
    return logits.numpy(), F.cross_entropy(flat, tokens[:, 1:].reshape(-1), ignore_index=pad).item()
