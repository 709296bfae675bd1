"""The blocks written out with einsum; a cache as nested tuples; growing heads by stacking; attention by hand on kernels."""

import numpy as np


def _norm(x, params, name):
    return layer_norm_forward(x, params[name + ".gamma"], params[name + ".beta"])


def gpt_forward(tokens, params, config):
    n_vocab, d_model = params["table"].shape
    heads, seq = config["n_heads"], tokens.shape[-1]
    if tokens.ndim != 2 or not 0 < seq <= params["positions"].shape[0]:
        raise ValueError("(batch, seq) with 1 to max_seq tokens")
    if (tokens < 0).any() or (tokens > n_vocab - 1).any() or d_model % heads != 0:
        raise ValueError("unknown tokens, or heads that do not divide d_model")
    x = np.take(params["table"], tokens, axis=0)
    x = x + params["positions"][np.arange(seq)]
    future = np.triu(np.ones((seq, seq), bool), 1)
    kept = []
    for i in range(config["n_layers"]):
        p = part(params, f"block{i}.")
        h, norm1 = _norm(x, p, "norm1")
        q, k, v = (
            np.einsum("btd,dhe->bhte", h, p["attn." + name].reshape(d_model, heads, -1))
            for name in ("wq", "wk", "wv")
        )
        scores = np.einsum("bhie,bhje->bhij", q, k) * float((d_model // heads) ** -0.5)
        scores[..., future] = -np.inf
        attn = np.exp(scores - scores.max(-1, keepdims=True))
        attn /= attn.sum(-1, keepdims=True)
        mixed = np.einsum("bhij,bhje->bihe", attn, v).reshape(x.shape)
        middle = x + mixed @ p["attn.wo"]
        h2, norm2 = _norm(middle, p, "norm2")
        wide = h2 @ p["ff.w1"] + p["ff.b1"]
        bent, bend = gelu_forward(wide)
        x = middle + (bent @ p["ff.w2"] + p["ff.b2"])
        kept.append((h, norm1, q, k, v, attn, mixed, h2, norm2, bent, bend))
    h, norm = _norm(x, params, "norm")
    return np.tensordot(h, params["table"], axes=(2, 1)), [tokens, params, config, kept, h, norm]


def gpt_backward(dlogits, cache):
    tokens, params, config, kept, h, norm = cache
    if dlogits.shape != h.shape[:2] + params["table"].shape[:1]:
        raise ValueError("dlogits does not fit")
    d_model, heads = h.shape[-1], config["n_heads"]
    grads = {"table": np.einsum("btc,btd->cd", dlogits, h)}
    dx, grads["norm.gamma"], grads["norm.beta"] = layer_norm_backward(dlogits @ params["table"], norm)
    for i, saved in reversed(list(enumerate(kept))):
        p, name = part(params, f"block{i}."), f"block{i}."
        h, norm1, q, k, v, attn, mixed, h2, norm2, bent, bend = saved
        grads[name + "ff.w2"] = np.einsum("btf,btd->fd", bent, dx)
        grads[name + "ff.b2"] = dx.sum((0, 1))
        dwide = gelu_backward(dx @ p["ff.w2"].T, bend)
        grads[name + "ff.w1"] = np.einsum("btd,btf->df", h2, dwide)
        grads[name + "ff.b1"] = dwide.sum((0, 1))
        dh, grads[name + "norm2.gamma"], grads[name + "norm2.beta"] = layer_norm_backward(
            dwide @ p["ff.w1"].T, norm2
        )
        dx = dx + dh
        grads[name + "attn.wo"] = np.einsum("btd,bte->de", mixed, dx)
        dmixed = (dx @ p["attn.wo"].T).reshape(*dx.shape[:2], heads, -1)
        dattn = np.einsum("bihe,bhje->bhij", dmixed, v)
        dscores = attn * (dattn - np.einsum("bhij,bhij->bhi", dattn, attn)[..., None])
        dscores = dscores * float((d_model // heads) ** -0.5)
        pieces = {
            "wq": np.einsum("bhij,bhje->bihe", dscores, k),
            "wk": np.einsum("bhij,bhie->bjhe", dscores, q),
            "wv": np.einsum("bhij,bihe->bjhe", attn, dmixed),
        }
        dh = 0
        for which, piece in pieces.items():
            piece = piece.reshape(dx.shape)
            grads[f"{name}attn.{which}"] = np.einsum("btd,bte->de", h, piece)
            dh = dh + piece @ p["attn." + which].T
        dh, grads[name + "norm1.gamma"], grads[name + "norm1.beta"] = layer_norm_backward(dh, norm1)
        dx = dx + dh
    onehot = (np.arange(len(params["table"]))[:, None, None] == tokens).astype(dx.dtype)
    grads["table"] = grads["table"] + np.einsum("cbt,btd->cd", onehot, dx)
    missing = len(params["positions"]) - tokens.shape[1]
    grads["positions"] = np.pad(dx.sum(0), ((0, missing), (0, 0)))
    return grads


def gpt_decode_step(token, kv_cache, params, config):
    heads, (n_vocab, d_model) = config["n_heads"], params["table"].shape
    if token.ndim != 1 or token.min() < 0 or token.max() > n_vocab - 1:
        raise ValueError("token must be (batch,) of known tokens")
    length = 0
    for kept in kv_cache.values():
        length = kept.shape[2]
        if kept.shape[0] != token.shape[0]:
            raise ValueError("the cache belongs to other sequences")
    if length + 1 > params["positions"].shape[0]:
        raise ValueError("the cache is full")
    x = (params["table"][token] + params["positions"][length])[:, None]
    cache = {}
    for i in range(config["n_layers"]):
        p = part(params, f"block{i}.")
        h, _ = _norm(x, p, "norm1")
        q, k, v = (
            np.einsum("btd,dhe->bhte", h, p["attn." + name].reshape(d_model, heads, -1))
            for name in ("wq", "wk", "wv")
        )
        if length:
            k = np.append(kv_cache[f"block{i}.k"], k, axis=2)
            v = np.append(kv_cache[f"block{i}.v"], v, axis=2)
        cache[f"block{i}.k"], cache[f"block{i}.v"] = k, v
        attn = np.einsum("bhie,bhje->bhij", q, k) * float((d_model // heads) ** -0.5)
        attn = np.exp(attn - attn.max(-1, keepdims=True))
        mixed = np.einsum("bhij,bhje->bihe", attn / attn.sum(-1, keepdims=True), v)
        x = x + mixed.reshape(x.shape) @ p["attn.wo"]
        h, _ = _norm(x, p, "norm2")
        x = x + (gelu_forward(h @ p["ff.w1"] + p["ff.b1"])[0] @ p["ff.w2"] + p["ff.b2"])
    return (_norm(x, params, "norm")[0] @ params["table"].T)[:, 0], cache


def gpt_step_on_kernels(tokens, labels, params, config):
    if tokens.shape != labels.shape or labels.max() < 0:
        raise ValueError("labels do not fit")
    (batch, seq), (n_vocab, width), heads = tokens.shape, params["table"].shape, config["n_heads"]
    n_rows, count = batch * seq, int((labels > -1).sum())
    p = {name: gs.to_device(value) for name, value in params.items()}
    ids, wanted = (gs.to_device(a.astype(np.int32).reshape(-1)) for a in (tokens, labels))
    see = gs.to_device(np.tril(np.ones((seq, seq), np.uint32))[None])
    small = (batch * heads, seq, width // heads)

    def product(x, w):
        """x (rows, a) times w (a, b) as a batch of one."""
        both = launch("batched_matmul", a=x.reshape(1, *x.shape), b=w.reshape(1, *w.shape))
        return both.reshape(x.shape[0], w.shape[1])

    def cut(x):
        x = x.reshape(batch, seq, width)
        return launch("split_heads", x=x, n_heads=heads, d_head=width // heads).reshape(*small)

    def join(x):
        return launch("merge_heads", x=x.reshape(batch, heads, *small[1:])).reshape(n_rows, width)

    def back(dout, x, w):
        return (
            launch("affine_backward_input", dout=dout, w=w),
            launch("affine_backward_weight", x=x, dout=dout),
        )

    x = launch("embedding_forward", tokens=ids, table=p["table"]).reshape(batch, seq, width)
    x = launch("add_positions", x=x, positions=p["positions"], start=0).reshape(n_rows, width)
    saved = []
    for i in range(config["n_layers"]):
        w = part(p, f"block{i}.")
        h, norm1 = device_norm(x, w["norm1.gamma"], w["norm1.beta"])
        q, k, v = (cut(product(h, w["attn." + name])) for name in ("wq", "wk", "wv"))
        attn = launch("masked_softmax_forward", scores=launch("attention_scores", q=q, k=k), mask=see)
        mixed = join(launch("attention_output", attn=attn, v=v))
        x = device_add(x, product(mixed, w["attn.wo"]))
        h2, norm2 = device_norm(x, w["norm2.gamma"], w["norm2.beta"])
        wide = device_affine(h2, w["ff.w1"], w["ff.b1"])
        bent = device_gelu(wide)
        x = device_add(x, device_affine(bent, w["ff.w2"], w["ff.b2"]))
        saved.append((w, h, norm1, q, k, v, attn, mixed, h2, norm2, wide, bent))
    h, norm = device_norm(x, p["norm.gamma"], p["norm.beta"])
    logits = product(h, launch("transpose", x=p["table"]))
    losses = launch("cross_entropy_forward", logits=logits, labels=wanted)
    dlogits = launch("cross_entropy_backward", logits=logits, labels=wanted, scale=1 / count)

    g = {"table": product(launch("transpose", x=dlogits), h)}
    dx, g["norm.gamma"], g["norm.beta"] = device_norm_backward(product(dlogits, p["table"]), norm)
    for i in reversed(range(config["n_layers"])):
        w, h, norm1, q, k, v, attn, mixed, h2, norm2, wide, bent = saved[i]
        b = f"block{i}."
        dbent, g[b + "ff.w2"] = back(dx, bent, w["ff.w2"])
        dwide = device_gelu_backward(dbent, wide)
        dh, g[b + "ff.w1"] = back(dwide, h2, w["ff.w1"])
        g[b + "ff.b1"], g[b + "ff.b2"] = device_bias_backward(dwide), device_bias_backward(dx)
        dh, g[b + "norm2.gamma"], g[b + "norm2.beta"] = device_norm_backward(dh, norm2)
        dx = device_add(dx, dh)
        dmixed, g[b + "attn.wo"] = back(dx, mixed, w["attn.wo"])
        dmixed = cut(dmixed)
        dattn = launch("attention_backward_attn", dout=dmixed, v=v)
        dscores = launch("masked_softmax_backward", dattn=dattn, attn=attn)
        dparts = {
            "wv": launch("attention_backward_v", attn=attn, dout=dmixed),
            "wk": launch("attention_backward_k", dscores=dscores, q=q),
            "wq": launch("attention_backward_q", dscores=dscores, k=k),
        }
        total = None
        for name, dpart in dparts.items():
            dh, g[f"{b}attn.{name}"] = back(join(dpart), h, w["attn." + name])
            total = dh if total is None else device_add(total, dh)
        dh, g[b + "norm1.gamma"], g[b + "norm1.beta"] = device_norm_backward(total, norm1)
        dx = device_add(dx, dh)
    g["table"] = device_add(g["table"], launch("embedding_backward", tokens=ids, dout=dx, n_vocab=n_vocab))
    g["positions"] = launch("affine_backward_bias", dout=dx.reshape(batch, seq * width))
    loss = losses.numpy()
    grads = {name: value.numpy() for name, value in g.items()}
    rest = len(params["positions"]) - seq
    grads["positions"] = np.pad(grads["positions"].reshape(seq, width), ((0, rest), (0, 0)))
    return float(loss[labels.reshape(-1) >= 0].mean()), grads


def generate_on_kernels(tokens, params, config, n_new):
    """Caches of whole vectors, cut into heads when they are read."""
    (batch, n_prompt), width, heads = tokens.shape, params["table"].shape[1], config["n_heads"]
    if n_prompt == 0 or n_new <= 0 or len(params["positions"]) < n_prompt + n_new:
        raise ValueError("does not fit")
    p = {name: gs.to_device(value) for name, value in params.items()}
    none = gs.to_device(np.zeros(width, np.float32))
    longest = n_prompt + n_new - 1
    streams = [
        gs.to_device(np.zeros((batch, longest, width), np.float32)) for _ in range(config["n_layers"] * 2)
    ]
    given = [gs.to_device(column.astype(np.int32)) for column in np.moveaxis(tokens, 1, 0)]
    written = []
    per_head = (batch * heads, width // heads)
    for t in range(longest):
        ids = given[t] if t < n_prompt else written[t - n_prompt]
        x = launch("embedding_forward", tokens=ids, table=p["table"])
        x = launch("add_positions", x=x.reshape(batch, 1, width), positions=p["positions"], start=t)
        x = x.reshape(batch, width)
        for i in range(config["n_layers"]):
            w = part(p, f"block{i}.")
            h, _ = device_norm(x, w["norm1.gamma"], w["norm1.beta"])
            for which, name in enumerate(("wk", "wv")):
                # The cache keeps whole vectors here; its heads are cut when it is read.
                entry = device_affine(h, w["attn." + name], none)
                launch("kv_cache_append", entry=entry, cache=streams[2 * i + which], position=t)
            keys, values = (
                launch("split_heads", x=streams[2 * i + which], n_heads=heads, d_head=width // heads)
                for which in (0, 1)
            )
            q = device_affine(h, w["attn.wq"], none).reshape(*per_head)
            shape = (per_head[0], longest, per_head[1])
            mixed = launch(
                "attention_decode",
                q=q,
                k_cache=keys.reshape(*shape),
                v_cache=values.reshape(*shape),
                length=t + 1,
            )
            x = device_add(x, device_affine(mixed.reshape(batch, width), w["attn.wo"], none))
            h, _ = device_norm(x, w["norm2.gamma"], w["norm2.beta"])
            x = device_add(
                x,
                device_affine(device_gelu(device_affine(h, w["ff.w1"], w["ff.b1"])), w["ff.w2"], w["ff.b2"]),
            )
        if t >= n_prompt - 1:
            h, _ = device_norm(x, p["norm.gamma"], p["norm.beta"])
            written.append(launch("argmax_row", logits=launch("affine_backward_input", dout=h, w=p["table"])))
    return np.column_stack([tokens, *(ids.numpy() for ids in written)]).astype(np.int64)
