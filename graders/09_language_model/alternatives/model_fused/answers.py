"""One product for queries, keys and values; a finite mask; one-hot products and a stream that is kept whole on the device."""

from itertools import pairwise

import numpy as np


def _heads(x, n_parts, n_heads):
    """(batch, seq, n_parts * d_model) to (n_parts, batch, n_heads, seq, d_head)."""
    batch, seq, width = x.shape
    return x.reshape(batch, seq, n_parts, n_heads, width // (n_parts * n_heads)).transpose(2, 0, 3, 1, 4)


def _wide(heads):
    """The way back of `_heads`."""
    n_parts, batch, n_heads, seq, d_head = heads.shape
    return heads.transpose(1, 3, 0, 2, 4).reshape(batch, seq, n_parts * n_heads * d_head)


def _fused(p):
    return np.hstack([p["attn.wq"], p["attn.wk"], p["attn.wv"]])


def _outer(x, dout):
    """The gradient of w in x @ w."""
    return np.tensordot(x, dout, axes=((0, 1), (0, 1)))


def _softmax(scores):
    top = scores.max(axis=-1, keepdims=True)
    return np.exp(scores - (top + np.log(np.exp(scores - top).sum(axis=-1, keepdims=True))))


def gpt_forward(tokens, params, config):
    table, n_heads = params["table"], config["n_heads"]
    if tokens.ndim != 2 or tokens.shape[1] not in range(1, 1 + params["positions"].shape[0]):
        raise ValueError("tokens are (batch, seq), and seq fits into the positions")
    if not set(tokens.flat) <= set(range(table.shape[0])):
        raise ValueError("a token has no row in the table")
    d_head, rest = divmod(table.shape[1], n_heads)
    if rest:
        raise ValueError("the heads do not divide d_model")
    seq = tokens.shape[1]
    # Far below every score that can be seen, and still a number.
    hidden = np.triu(np.full((seq, seq), -1e30), k=1).astype(table.dtype)
    x = table.take(tokens, axis=0) + params["positions"][None, :seq]
    tape = []
    for i in range(config["n_layers"]):
        p = part(params, f"block{i}.")
        h1, norm1 = layer_norm_forward(x, p["norm1.gamma"], p["norm1.beta"])
        q, k, v = _heads(h1 @ _fused(p), 3, n_heads)
        attn = _softmax(np.matmul(q * d_head**-0.5, k.swapaxes(2, 3)) + hidden)
        mixed = _wide((attn @ v)[None])
        x = x + mixed @ p["attn.wo"]
        h2, norm2 = layer_norm_forward(x, p["norm2.gamma"], p["norm2.beta"])
        bent, bend = gelu_forward(h2 @ p["ff.w1"] + p["ff.b1"])
        x = x + (p["ff.b2"] + bent @ p["ff.w2"])
        tape.append({"h1": h1, "norm1": norm1, "qkv": [q, k, v], "attn": attn, "mixed": mixed})
        tape[-1] |= {"h2": h2, "norm2": norm2, "bent": bent, "bend": bend}
    h, last = layer_norm_forward(x, params["norm.gamma"], params["norm.beta"])
    cache = {"tokens": tokens, "params": params, "tape": tape, "h": h, "last": last}
    return np.inner(h, table), cache


def _attention_back(dx, saved, p):
    """Return the gradient of what the attention read, and those of its four matrices."""
    (q, k, v), attn = saved["qkv"], saved["attn"]
    d_head, n_heads = q.shape[3], q.shape[1]
    (dmixed,) = _heads(dx @ p["attn.wo"].T, 1, n_heads)
    dattn = dmixed @ v.swapaxes(2, 3)
    dscores = attn * dattn - attn * (attn * dattn).sum(axis=-1, keepdims=True)
    dscores = dscores * d_head**-0.5
    dqkv = _wide(np.stack([dscores @ k, dscores.swapaxes(2, 3) @ q, attn.swapaxes(2, 3) @ dmixed]))
    dwq, dwk, dwv = np.split(_outer(saved["h1"], dqkv), 3, axis=1)
    found = {"attn.wq": dwq, "attn.wk": dwk, "attn.wv": dwv, "attn.wo": _outer(saved["mixed"], dx)}
    return dqkv @ _fused(p).T, found


def gpt_backward(dlogits, cache):
    tokens, params, h = cache["tokens"], cache["params"], cache["h"]
    n_vocab, d_model = params["table"].shape
    if dlogits.shape != (*h.shape[:2], n_vocab):
        raise ValueError("dlogits is not of the logits' shape")
    grads = {}
    dx, grads["norm.gamma"], grads["norm.beta"] = layer_norm_backward(
        np.matmul(dlogits, params["table"]), cache["last"]
    )
    for i, saved in list(enumerate(cache["tape"]))[::-1]:
        p, g = part(params, f"block{i}."), {}
        dwide = gelu_backward(np.inner(dx, p["ff.w2"]), saved["bend"])
        g["ff.w1"], g["ff.w2"] = _outer(saved["h2"], dwide), _outer(saved["bent"], dx)
        g["ff.b1"], g["ff.b2"] = (d.sum(axis=1).sum(axis=0) for d in (dwide, dx))
        dh, g["norm2.gamma"], g["norm2.beta"] = layer_norm_backward(
            np.inner(dwide, p["ff.w1"]), saved["norm2"]
        )
        dx = dx + dh
        dh, found = _attention_back(dx, saved, p)
        dh, g["norm1.gamma"], g["norm1.beta"] = layer_norm_backward(dh, saved["norm1"])
        dx = dx + dh
        grads.update({f"block{i}.{name}": value for name, value in (g | found).items()})
    # Sort the places by their token: the gradients of a token are then neighbours, and a slice is summed.
    order = np.argsort(tokens, axis=None, kind="stable")
    ends = np.searchsorted(tokens.ravel()[order], np.arange(n_vocab + 1))
    rows = dx.reshape(-1, d_model)[order]
    read = np.stack([rows[a:b].sum(axis=0) for a, b in pairwise(ends)])
    grads["table"] = _outer(dlogits, h) + read
    grads["positions"] = np.zeros_like(params["positions"])
    for row in dx:
        grads["positions"][: len(row)] += row
    return grads


def gpt_decode_step(token, kv_cache, params, config):
    table, n_heads = params["table"], config["n_heads"]
    if len(token.shape) != 1 or not set(token.tolist()) <= set(range(len(table))):
        raise ValueError("each sequence gets one token of the vocabulary")
    lengths = {kept.shape[2] for kept in kv_cache.values()} or {0}
    if any(len(kept) != len(token) for kept in kv_cache.values()):
        raise ValueError("the cache is that of another batch")
    (length,) = lengths
    if length >= len(params["positions"]):
        raise ValueError("the text is as long as it may be")
    x = (table.take(token, axis=0) + params["positions"][length])[:, None]
    grown = {}
    for i in range(config["n_layers"]):
        p = part(params, f"block{i}.")
        h, _ = layer_norm_forward(x, p["norm1.gamma"], p["norm1.beta"])
        qkv = _heads(h @ _fused(p), 3, n_heads)
        batch, d_head = len(token), qkv.shape[-1]
        for name, new in (("k", qkv[1]), ("v", qkv[2])):
            room = np.zeros((batch, n_heads, length + 1, d_head), x.dtype)
            room[:, :, length:] = new
            if length > 0:
                room[:, :, :length] = kv_cache[f"block{i}.{name}"]
            grown[f"block{i}.{name}"] = room
        scores = (qkv[0] * grown[f"block{i}.k"]).sum(axis=-1) * d_head**-0.5
        mixed = (_softmax(scores)[..., None] * grown[f"block{i}.v"]).sum(axis=2)
        x = x + mixed.reshape(batch, 1, n_heads * d_head) @ p["attn.wo"]
        h, _ = layer_norm_forward(x, p["norm2.gamma"], p["norm2.beta"])
        x = x + gelu_forward(h @ p["ff.w1"] + p["ff.b1"])[0] @ p["ff.w2"] + p["ff.b2"]
    h, _ = layer_norm_forward(x[:, 0], params["norm.gamma"], params["norm.beta"])
    return np.inner(h, table), grown


def _one_hot(numbers, size):
    return gs.to_device((np.ravel(numbers)[:, None] == np.arange(size)).astype(np.float32))


def _product(a, b):
    both = launch("batched_matmul", a=a.reshape(1, *a.shape), b=b.reshape(1, *b.shape))
    return both.reshape(a.shape[0], b.shape[1])


def gpt_step_on_kernels(tokens, labels, params, config):
    """Tables by one-hot products; attention by its fused kernel, and its weights again on the way back."""
    if labels.shape != tokens.shape:
        raise ValueError("one label for each token")
    count = int(np.sum(labels >= 0))
    if count == 0:
        raise ValueError("no label counts")
    (batch, seq), (n_vocab, width), n_heads = tokens.shape, params["table"].shape, config["n_heads"]
    flat, heads = (batch * seq, width), {"n_heads": n_heads, "d_head": width // n_heads}
    p = {name: gs.to_device(value) for name, value in params.items()}
    which = _one_hot(tokens, n_vocab)
    where = _one_hot(np.tile(np.arange(seq), batch), len(params["positions"]))
    wanted = gs.to_device(np.ravel(labels).astype(np.int32))
    mask = gs.to_device(np.tri(seq, dtype=np.uint32)[None])
    zeros = gs.to_device(np.zeros(width, np.float32))

    x = device_add(_product(which, p["table"]), _product(where, p["positions"]))
    tape = []
    for i in range(config["n_layers"]):
        w = part(p, f"block{i}.")
        h1, norm1 = device_norm(x, w["norm1.gamma"], w["norm1.beta"])
        q, k, v = (
            device_affine(h1, w[f"attn.w{c}"], zeros).reshape(batch, seq, width) for c in ("q", "k", "v")
        )
        mixed = launch("multi_head_attention_forward", q=q, k=k, v=v, mask=mask, **heads)
        mixed = mixed.reshape(*flat)
        x = device_add(device_affine(mixed, w["attn.wo"], zeros), x)
        h2, norm2 = device_norm(x, w["norm2.gamma"], w["norm2.beta"])
        wide = device_affine(h2, w["ff.w1"], w["ff.b1"])
        x = device_add(device_affine(device_gelu(wide), w["ff.w2"], w["ff.b2"]), x)
        tape.append((w, h1, norm1, q, k, v, mixed, h2, norm2, wide))
    h, last = device_norm(x, p["norm.gamma"], p["norm.beta"])
    logits = launch("affine_backward_input", dout=h, w=p["table"])
    losses = launch("cross_entropy_forward", logits=logits, labels=wanted)

    dlogits = launch("cross_entropy_backward", logits=logits, labels=wanted, scale=1 / count)
    g = {}
    scored = launch("affine_backward_weight", x=dlogits, dout=h)
    dx, g["norm.gamma"], g["norm.beta"] = device_norm_backward(_product(dlogits, p["table"]), last)
    for i, (w, h1, norm1, q, k, v, mixed, h2, norm2, wide) in reversed(list(enumerate(tape))):
        name = f"block{i}."
        dbent, g[name + "ff.w2"] = device_affine_backward(dx, device_gelu(wide), w["ff.w2"])
        dwide = device_gelu_backward(dbent, wide)
        dh, g[name + "ff.w1"] = device_affine_backward(dwide, h2, w["ff.w1"])
        for bias, dout in (("b1", dwide), ("b2", dx)):
            g[f"{name}ff.{bias}"] = device_bias_backward(dout)
        dh, g[name + "norm2.gamma"], g[name + "norm2.beta"] = device_norm_backward(dh, norm2)
        dx = device_add(dh, dx)
        dmixed, g[name + "attn.wo"] = device_affine_backward(dx, mixed, w["attn.wo"])
        dmixed, q, k, v = (
            device_split(piece.reshape(batch, seq, width), n_heads) for piece in (dmixed, q, k, v)
        )
        attn = launch("masked_softmax_forward", scores=launch("attention_scores", q=q, k=k), mask=mask)
        dattn = launch("attention_backward_attn", dout=dmixed, v=v)
        dscores = launch("masked_softmax_backward", dattn=dattn, attn=attn)
        pieces = {
            "wq": launch("attention_backward_q", dscores=dscores, k=k),
            "wk": launch("attention_backward_k", dscores=dscores, q=q),
            "wv": launch("attention_backward_v", attn=attn, dout=dmixed),
        }
        shares = []
        for matrix, piece in pieces.items():
            piece = device_merge(piece, n_heads).reshape(*flat)
            share, g[f"{name}attn.{matrix}"] = device_affine_backward(piece, h1, w["attn." + matrix])
            shares.append(share)
        dh = device_add(shares[0], device_add(shares[1], shares[2]))
        dh, g[name + "norm1.gamma"], g[name + "norm1.beta"] = device_norm_backward(dh, norm1)
        dx = device_add(dh, dx)
    g["table"] = device_add(launch("affine_backward_weight", x=which, dout=dx), scored)
    g["positions"] = launch("affine_backward_weight", x=where, dout=dx)
    down = {name: value.numpy() for name, value in g.items()}
    return sum(losses.numpy().tolist()) / count, down


def generate_on_kernels(tokens, params, config, n_new):
    """No keys and values are kept: the embedded text is, and the whole of it is read for each new token."""
    (batch, n_prompt), width = tokens.shape, params["table"].shape[1]
    if n_prompt == 0 or n_new < 1 or len(params["positions"]) < n_prompt + n_new:
        raise ValueError("prompt and new tokens fill at least one place each, and no more than there are")
    longest = n_prompt + n_new - 1
    p = {name: gs.to_device(value) for name, value in params.items()}
    queue = [gs.to_device(tokens[:, t].astype(np.int32)) for t in range(n_prompt)]
    text = gs.to_device(np.zeros((batch, longest, width), np.float32))
    mask = gs.to_device(np.tri(longest, dtype=np.uint32)[None])
    zeros = gs.to_device(np.zeros(width, np.float32))
    # Attention to one place alone picks that place's vector.
    picks = {
        t: gs.to_device(np.tile((np.arange(longest) == t).astype(np.float32), (batch, 1, 1)))
        for t in range(n_prompt - 1, longest)
    }
    for t in range(longest):
        row = launch("embedding_forward", tokens=queue[t], table=p["table"]).reshape(batch, 1, width)
        row = launch("add_positions", x=row, positions=p["positions"], start=t)
        launch("kv_cache_append", entry=row.reshape(batch, width), cache=text, position=t)
        if t not in picks:
            continue
        x = text
        for i in range(config["n_layers"]):
            w = part(p, f"block{i}.")
            h, _ = device_norm(x, w["norm1.gamma"], w["norm1.beta"])
            x = device_add(x, device_attention(h, part(w, "attn."), config["n_heads"], mask, zeros)[0])
            h, _ = device_norm(x, w["norm2.gamma"], w["norm2.beta"])
            wide = device_affine(h, w["ff.w1"], w["ff.b1"])
            x = device_add(x, device_affine(device_gelu(wide), w["ff.w2"], w["ff.b2"]))
        h, _ = device_norm(x, p["norm.gamma"], p["norm.beta"])
        newest = launch("attention_output", attn=picks[t], v=h).reshape(batch, width)
        scores = launch("affine_backward_input", dout=newest, w=p["table"])
        queue.append(launch("argmax_row", logits=scores))
    return np.stack([*tokens.T, *(column.numpy() for column in queue[n_prompt:])], axis=1).astype(np.int64)
