"""One sequence and one head at a time, attention written out; padding is cut away before it can be read."""

import numpy as np

FAR_BELOW = -1e30  # as good as -inf: no score that can be seen comes near


def _attend(x_q, x_kv, weights, n_heads, allowed):
    """Attention of one sequence; return what is added and one (columns, q, k, v, attn) per head."""
    out, heads = np.zeros_like(x_q), []
    for columns in np.split(np.arange(x_q.shape[1]), n_heads):
        q, k, v = (x @ weights[name][:, columns] for x, name in ((x_q, "wq"), (x_kv, "wk"), (x_kv, "wv")))
        scores = np.where(allowed, q @ k.T * len(columns) ** -0.5, x_q.dtype.type(FAR_BELOW))
        attn = np.exp(scores - scores.max(axis=1, keepdims=True, initial=FAR_BELOW)) * allowed
        attn = attn / np.maximum(attn.sum(axis=1, keepdims=True), np.finfo(attn.dtype).tiny)
        out = out + attn @ v @ weights["wo"][columns]
        heads.append([columns, q, k, v, attn])
    return out, [x_q, x_kv, heads]


def _attend_back(dout, kept, weights, grads):
    """Add to the gradients of the weights; return those of both inputs."""
    x_q, x_kv, heads = kept
    dx_q, dx_kv = np.zeros_like(x_q), np.zeros_like(x_kv)
    for columns, q, k, v, attn in heads:
        grads["wo"][columns] += (attn @ v).T @ dout
        dhead = dout @ weights["wo"][columns].T
        dattn = dhead @ v.T
        dscores = attn * (dattn - np.einsum("ij,ij->i", dattn, attn)[:, None]) * len(columns) ** -0.5
        for name, dpart, source, dsource in (
            ("wq", dscores @ k, x_q, dx_q),
            ("wk", dscores.T @ q, x_kv, dx_kv),
            ("wv", attn.T @ dhead, x_kv, dx_kv),
        ):
            grads[name][:, columns] += source.T @ dpart
            dsource += dpart @ weights[name][:, columns].T
    return dx_q, dx_kv


def _names(params, start):
    return [name for name in params if name.startswith(start + ".")]


def _of(params, start):
    return {name.partition(".")[2]: params[name] for name in _names(params, start)}


def _row(mask, batch, b):
    if mask is None:
        return np.True_
    return np.broadcast_to(mask, (batch, *mask.shape[-2:]))[b]


def _one_forward(x, memory, params, n_heads, masks, how):
    """Carry one sequence (seq, d_model) through the branches named in how["kinds"]."""
    kept = []
    for number, kind in enumerate(how["kinds"], start=1):
        if kind == "ff" and "feed_forward" in how["without"]:
            break
        own, norm = _of(params, kind), _of(params, f"norm{number}")
        normed = "norm" not in how["without"]
        read, before, after = x, None, None
        if normed and how["norm"] == "pre":
            read, before = layer_norm_forward(x, norm["gamma"], norm["beta"])
        if kind == "ff":
            made, branch = feed_forward_forward(read, own)
        else:
            made, branch = _attend(read, memory if kind == "cross" else read, own, n_heads, masks[kind])
        x = made if "residual" in how["without"] else made + x
        if normed and how["norm"] == "post":
            x, after = layer_norm_forward(x, norm["gamma"], norm["beta"])
        kept.append([f"norm{number}", kind, before, branch, after])
    return x, kept


def _one_backward(dx, kept, params, how, grads):
    """Add one sequence's share to `grads`; return the gradients of its stream and of its memory."""
    dmemory = None
    for norm, kind, before, branch, after in reversed(kept):
        own_grads = _of(grads, kind)
        if after is not None:
            dx, dgamma, dbeta = layer_norm_backward(dx, after)
            grads[f"{norm}.gamma"] += dgamma
            grads[f"{norm}.beta"] += dbeta
        if kind == "ff":
            dread, found = feed_forward_backward(dx, branch)
            for name, value in found.items():
                own_grads[name] += value
        else:
            dread, dother = _attend_back(dx, branch, _of(params, kind), own_grads)
            if kind == "cross":
                dmemory = dother
            else:
                dread = dread + dother
        if before is not None:
            dread, dgamma, dbeta = layer_norm_backward(dread, before)
            grads[f"{norm}.gamma"] += dgamma
            grads[f"{norm}.beta"] += dbeta
        dx = dread if "residual" in how["without"] else dread + dx
    return dx, dmemory


def _how(kinds, norm, without, *streams):
    if norm not in ["pre", "post"]:
        raise ValueError("the norm stands before or after")
    if {len(stream.shape) for stream in streams} != {3}:
        raise ValueError("a stream is (batch, seq, d_model)")
    return {"kinds": list(kinds), "norm": norm, "without": list(without)}


def encoder_block_forward(x, params, n_heads, mask=None, norm="pre", without=()):
    how = _how(("attn", "ff"), norm, without, x)
    done = [
        _one_forward(row, None, params, n_heads, {"attn": _row(mask, len(x), b)}, how)
        for b, row in enumerate(x)
    ]
    return np.stack([out for out, _ in done]), {"kept": [k for _, k in done], "params": params, "how": how}


def encoder_block_backward(dout, cache):
    first = cache["kept"][0][0][3][0]  # what the attention of the first sequence read
    if dout.shape != (len(cache["kept"]), *first.shape):
        raise ValueError("dout does not fit")
    grads = {name: np.zeros_like(value) for name, value in cache["params"].items()}
    pairs = zip(dout, cache["kept"], strict=True)
    rows = [_one_backward(row, kept, cache["params"], cache["how"], grads)[0] for row, kept in pairs]
    return np.stack(rows), grads


def decoder_block_forward(
    x, memory, params, n_heads, self_mask=None, cross_mask=None, norm="pre", without=()
):
    how = _how(("self", "cross", "ff"), norm, without, x, memory)
    outs, kept = [], []
    for b in range(len(x)):
        masks = {"self": _row(self_mask, len(x), b), "cross": _row(cross_mask, len(x), b)}
        out, tape = _one_forward(x[b], memory[b], params, n_heads, masks, how)
        outs.append(out)
        kept.append(tape)
    maps = np.array([[head[4] for head in tape[1][3][2]] for tape in kept])
    return np.stack(outs), {"kept": kept, "params": params, "how": how, "cross_attn": maps}


def decoder_block_backward(dout, cache):
    if dout.shape != (len(cache["kept"]), *cache["kept"][0][0][3][0].shape):
        raise ValueError("dout does not fit")
    grads = {name: np.zeros_like(value) for name, value in cache["params"].items()}
    found = [
        _one_backward(row, kept, cache["params"], cache["how"], grads)
        for row, kept in zip(dout, cache["kept"], strict=True)
    ]
    return np.stack([dx for dx, _ in found]), np.stack([dmemory for _, dmemory in found]), grads


def _places(places, d_model, dtype):
    """Rows of the sinusoids for these places."""
    rates = 10000.0 ** -(np.arange(0, d_model, 2) / d_model)
    angles = np.outer(places, rates)
    both = np.stack([np.sin(angles), np.cos(angles)], axis=2).reshape(len(places), 2 * len(rates))
    return both[:, :d_model].astype(dtype)


def _embed(tokens, places, table, without):
    rows = table[tokens] * float(table.shape[1]) ** 0.5
    return rows if "positions" in without else rows + _places(places, table.shape[1], table.dtype)


def _last_norm(x, params, name, config):
    if config["norm"] == "post" or "norm" in config.get("without", ()):
        return x, None
    return layer_norm_forward(x, params[f"{name}.gamma"], params[f"{name}.beta"])


def transformer_forward(src, tgt, params, config):
    if src.ndim != 2 or tgt.ndim != 2 or len(src) != len(tgt):
        raise ValueError("(batch, seq) twice, of one batch")
    without, shared = tuple(config.get("without", ())), "table" in params
    sides = ["table", "table"] if shared else ["src_table", "tgt_table"]
    past = np.tri(tgt.shape[1], dtype=bool)
    logits, rows, maps = [], [], []
    for source, target in zip(src, tgt, strict=True):
        # Nobody may look at padding: it need not be there at all.
        real = np.flatnonzero(source != config["pad"])
        x = _embed(source[real], real, params[sides[0]], without)[None]
        y = _embed(target, np.arange(len(target)), params[sides[1]], without)[None]
        encoder, decoder = [], []
        for i in range(config["n_layers"]):
            own = _of(params, f"enc{i}")
            x, kept = encoder_block_forward(x, own, config["n_heads"], None, config["norm"], without)
            encoder.append(kept)
        x, enc_norm = _last_norm(x, params, "enc_norm", config)
        for i in range(config["n_layers"]):
            own = _of(params, f"dec{i}")
            y, kept = decoder_block_forward(y, x, own, config["n_heads"], past, None, config["norm"], without)
            decoder.append(kept)
        y, dec_norm = _last_norm(y, params, "dec_norm", config)
        w_out = params["w_out"] if "w_out" in params else params[sides[1]].T
        logits.append(y[0] @ w_out)
        rows.append([source[real], target, x, y, encoder, decoder, enc_norm, dec_norm])
        whole = np.zeros((config["n_layers"], config["n_heads"], len(target), len(source)), y.dtype)
        for i, kept in enumerate(decoder):
            whole[i][:, :, real] = kept["cross_attn"][0]
        maps.append(whole)
    cross = list(np.stack(maps, axis=1))
    return np.stack(logits), {"rows": rows, "sides": sides, "params": params, "cross_attn": cross}


def _row_gradients(dlogits, row, sides, params, grads):
    source, target, x, y, encoder, decoder, enc_norm, dec_norm = row

    def through(d, kept, name):
        if kept is None:
            return d
        d, dgamma, dbeta = layer_norm_backward(d, kept)
        grads[f"{name}.gamma"] += dgamma
        grads[f"{name}.beta"] += dbeta
        return d

    def collect(prefix, found):
        for name, value in found.items():
            grads[f"{prefix}.{name}"] += value

    if "w_out" in params:
        grads["w_out"] += y[0].T @ dlogits
        dy = dlogits @ params["w_out"].T
    else:
        grads[sides[1]] += dlogits.T @ y[0]
        dy = dlogits @ params[sides[1]]
    dy, dx = through(dy[None], dec_norm, "dec_norm"), np.zeros_like(x)
    for i in reversed(range(len(decoder))):
        dy, dmemory, found = decoder_block_backward(dy, decoder[i])
        dx = dx + dmemory
        collect(f"dec{i}", found)
    dx = through(dx, enc_norm, "enc_norm")
    for i in reversed(range(len(encoder))):
        dx, found = encoder_block_backward(dx, encoder[i])
        collect(f"enc{i}", found)
    for side, tokens, d in ((sides[0], source, dx), (sides[1], target, dy)):
        for token, drow in zip(tokens, d[0], strict=True):
            grads[side][token] += drow * float(len(drow)) ** 0.5


def transformer_backward(dlogits, cache):
    params, rows = cache["params"], cache["rows"]
    n_vocab = params["w_out"].shape[1] if "w_out" in params else len(params[cache["sides"][1]])
    if dlogits.shape != (len(rows), len(rows[0][1]), n_vocab):
        raise ValueError("dlogits does not fit")
    grads = {name: np.zeros_like(value) for name, value in params.items()}
    for dlogits_row, row in zip(dlogits, rows, strict=True):
        _row_gradients(dlogits_row, row, cache["sides"], params, grads)
    return grads
