"""A cache that holds the arguments only: the backward computes again. Head by head; more kernels than needed."""

import numpy as np


def gpt_forward(tokens, params, config):
    table, positions = params["table"], params["positions"]
    n_vocab, d_model = table.shape
    if np.ndim(tokens) != 2 or tokens.shape[1] == 0 or tokens.shape[1] > len(positions):
        raise ValueError("tokens must be (batch, seq) and fit into the positions")
    if not np.isin(tokens, np.arange(n_vocab)).all():
        raise ValueError("unknown token")
    if d_model != d_model // config["n_heads"] * config["n_heads"]:
        raise ValueError("heads do not divide the model")
    x, _ = _stream(tokens, params, config)
    return np.einsum("btd,cd->btc", x[-1], table), (tokens, params, config)


def _stream(tokens, params, config):
    """Return the stream before each block, after the last one and after the last norm; and all caches."""
    seq = tokens.shape[1]
    onehot = (tokens[..., None] == np.arange(len(params["table"]))).astype(params["table"].dtype)
    x = [onehot @ params["table"] + params["positions"][None, :seq]]
    mask = np.arange(seq)[:, None] >= np.arange(seq)[None, :]
    caches = []
    for i in range(config["n_layers"]):
        out, cache = block_forward(x[-1], part(params, f"block{i}."), config["n_heads"], mask)
        x.append(out)
        caches.append(cache)
    h, cache = layer_norm_forward(x[-1], params["norm.gamma"], params["norm.beta"])
    return [*x, h], [*caches, cache]


def gpt_backward(dlogits, cache):
    tokens, params, config = cache
    if dlogits.shape != (*tokens.shape, len(params["table"])):
        raise ValueError("dlogits must have the shape of the logits")
    x, caches = _stream(tokens, params, config)
    grads = {name: np.zeros_like(value) for name, value in params.items()}
    grads["table"] += np.einsum("btc,btd->cd", dlogits, x[-1])
    dx, dgamma, dbeta = layer_norm_backward(np.einsum("btc,cd->btd", dlogits, params["table"]), caches[-1])
    grads["norm.gamma"] += dgamma
    grads["norm.beta"] += dbeta
    for i in range(config["n_layers"] - 1, -1, -1):
        dx, found = block_backward(dx, caches[i])
        for name, value in found.items():
            grads[f"block{i}.{name}"] += value
    for row, drow in zip(tokens, dx, strict=True):
        for t, token in enumerate(row):
            grads["table"][token] += drow[t]
            grads["positions"][t] += drow[t]
    return grads


def gpt_decode_step(token, kv_cache, params, config):
    n_vocab, d_model = params["table"].shape
    n_heads = config["n_heads"]
    d_head = d_model // n_heads
    if np.ndim(token) != 1 or any(not 0 <= t < n_vocab for t in token):
        raise ValueError("one known token for each sequence")
    length = kv_cache["block0.k"].shape[2] if kv_cache else 0
    if kv_cache and kv_cache["block0.k"].shape[0] != len(token):
        raise ValueError("another batch")
    if length == len(params["positions"]):
        raise ValueError("no position left")
    x = params["table"][token] + params["positions"][length]
    new = {}
    for i in range(config["n_layers"]):
        w = part(params, f"block{i}.")
        h, _ = layer_norm_forward(x, w["norm1.gamma"], w["norm1.beta"])
        keys = np.empty((len(token), n_heads, length + 1, d_head), x.dtype)
        values = np.empty_like(keys)
        mixed = np.empty_like(x)
        for j in range(n_heads):
            place = slice(j * d_head, (j + 1) * d_head)
            q = h @ w["attn.wq"][:, place]
            if length:
                keys[:, j, :length] = kv_cache[f"block{i}.k"][:, j]
                values[:, j, :length] = kv_cache[f"block{i}.v"][:, j]
            keys[:, j, length] = h @ w["attn.wk"][:, place]
            values[:, j, length] = h @ w["attn.wv"][:, place]
            for b in range(len(token)):
                scores = keys[b, j] @ q[b] / float(d_head) ** 0.5
                weights = np.exp(scores - scores.max())
                mixed[b, place] = weights @ values[b, j] / weights.sum()
        x = x + mixed @ w["attn.wo"]
        h, _ = layer_norm_forward(x, w["norm2.gamma"], w["norm2.beta"])
        x = x + gelu_forward(h @ w["ff.w1"] + w["ff.b1"])[0] @ w["ff.w2"] + w["ff.b2"]
        new[f"block{i}.k"], new[f"block{i}.v"] = keys, values
    return layer_norm_forward(x, params["norm.gamma"], params["norm.beta"])[0] @ params["table"].T, new


def gpt_step_on_kernels(tokens, labels, params, config):
    if labels.shape != tokens.shape or (labels < 0).all():
        raise ValueError("labels do not fit")
    count = int(np.count_nonzero(labels != -1))
    (batch, seq), (n_vocab, d_model), n = tokens.shape, params["table"].shape, config["n_heads"]
    up = {name: gs.to_device(value) for name, value in params.items()}
    flat = gs.to_device(np.ravel(tokens).astype(np.int32))
    wanted = gs.to_device(np.ravel(labels).astype(np.int32))
    # One mask for each sequence and its heads, where one for all would do.
    mask = gs.to_device(np.stack([np.tri(seq, dtype=np.uint32)] * batch))
    zero, zero_vocab = (
        gs.to_device(np.zeros(d_model, np.float32)),
        gs.to_device(np.zeros(n_vocab, np.float32)),
    )

    turned = launch("transpose", x=up["table"])
    x = launch("embedding_forward", tokens=flat, table=up["table"])
    x = launch("add_positions", x=x.reshape(batch, seq, d_model), positions=up["positions"], start=0)
    steps = []
    for i in range(config["n_layers"]):
        w = part(up, f"block{i}.")
        h, first = device_norm(x, w["norm1.gamma"], w["norm1.beta"])
        mixed, attention = device_attention(h, part(w, "attn."), n, mask, zero)
        x = device_add(mixed, x)
        h, second = device_norm(x, w["norm2.gamma"], w["norm2.beta"])
        wide = device_affine(h, w["ff.w1"], w["ff.b1"])
        narrow = device_affine(device_gelu(wide), w["ff.w2"], w["ff.b2"])
        x = device_add(narrow, x)
        steps.append((w, first, attention, second, h, wide))
    h, last = device_norm(x, up["norm.gamma"], up["norm.beta"])
    logits = device_affine(h, turned, zero_vocab).reshape(batch * seq, n_vocab)
    losses = launch("cross_entropy_forward", logits=logits, labels=wanted)
    dlogits = launch("cross_entropy_backward", logits=logits, labels=wanted, scale=1.0 / count)

    dx, dturned = device_affine_backward(dlogits.reshape(batch, seq, n_vocab), h, turned)
    down = {}
    dx, down["norm.gamma"], down["norm.beta"] = device_norm_backward(dx, last)
    for i in range(config["n_layers"] - 1, -1, -1):
        w, first, attention, second, h, wide = steps[i]
        name = f"block{i}."
        dbent, down[name + "ff.w2"] = device_affine_backward(dx, device_gelu(wide), w["ff.w2"])
        down[name + "ff.b2"] = device_bias_backward(dx)
        dwide = device_gelu_backward(dbent, wide)
        dh, down[name + "ff.w1"] = device_affine_backward(dwide, h, w["ff.w1"])
        down[name + "ff.b1"] = device_bias_backward(dwide)
        dh, down[name + "norm2.gamma"], down[name + "norm2.beta"] = device_norm_backward(dh, second)
        dx = device_add(dh, dx)
        dh, found = device_attention_backward(dx, attention)
        for key, value in found.items():
            down[f"{name}attn.{key}"] = value
        dh, down[name + "norm1.gamma"], down[name + "norm1.beta"] = device_norm_backward(dh, first)
        dx = device_add(dh, dx)
    read = launch("embedding_backward", tokens=flat, dout=dx.reshape(batch * seq, d_model), n_vocab=n_vocab)
    down["table"] = device_add(read, launch("transpose", x=dturned))
    down["positions"] = launch("affine_backward_bias", dout=dx.reshape(batch, seq * d_model))
    grads = {name: value.numpy() for name, value in down.items()}
    positions = np.zeros_like(params["positions"])
    positions[:seq] = grads["positions"].reshape(seq, d_model)
    return float(np.sum(losses.numpy(), dtype=np.float64) / count), {**grads, "positions": positions}


def generate_on_kernels(tokens, params, config, n_new):
    batch, n_prompt = tokens.shape
    n_vocab, d_model = params["table"].shape
    n, seq = config["n_heads"], n_prompt + n_new
    if min(n_prompt, n_new) < 1 or seq > len(params["positions"]):
        raise ValueError("prompt and new tokens do not fit")
    up = {name: gs.to_device(value) for name, value in params.items()}
    zero, zero_vocab = (
        gs.to_device(np.zeros(d_model, np.float32)),
        gs.to_device(np.zeros(n_vocab, np.float32)),
    )
    # Caches just long enough, in one dict.
    room = np.zeros((batch * n, seq, d_model // n), np.float32)
    kept = {(i, name): gs.to_device(room) for i in range(config["n_layers"]) for name in "kv"}
    columns = [gs.to_device(np.ascontiguousarray(tokens[:, t]).astype(np.int32)) for t in range(n_prompt)]
    turned = launch("transpose", x=up["table"])
    for t in range(seq - 1):
        x = launch("embedding_forward", tokens=columns[t], table=up["table"])
        x = launch("add_positions", x=x.reshape(batch, 1, d_model), positions=up["positions"], start=t)
        for i in range(config["n_layers"]):
            w = part(up, f"block{i}.")
            h, _ = device_norm(x, w["norm1.gamma"], w["norm1.beta"])
            q = device_split(device_affine(h, w["attn.wq"], zero), n).reshape(batch * n, d_model // n)
            for name in "kv":
                entry = device_split(device_affine(h, w[f"attn.w{name}"], zero), n)
                entry = entry.reshape(batch * n, d_model // n)
                launch("kv_cache_append", entry=entry, cache=kept[i, name], position=t)
            mixed = launch("attention_decode", q=q, k_cache=kept[i, "k"], v_cache=kept[i, "v"], length=t + 1)
            mixed = device_merge(mixed.reshape(batch * n, 1, d_model // n), n)
            x = device_add(x, device_affine(mixed, w["attn.wo"], zero))
            h, _ = device_norm(x, w["norm2.gamma"], w["norm2.beta"])
            bent = device_gelu(device_affine(h, w["ff.w1"], w["ff.b1"]))
            x = device_add(x, device_affine(bent, w["ff.w2"], w["ff.b2"]))
        # Scores at each position, also where the prompt goes on anyway.
        h, _ = device_norm(x, up["norm.gamma"], up["norm.beta"])
        logits = device_affine(h, turned, zero_vocab).reshape(batch, n_vocab)
        if t + 1 >= n_prompt:
            columns.append(launch("argmax_row", logits=logits))
    found = [column.numpy() for column in columns[n_prompt:]]
    return np.hstack([tokens.astype(np.int64), np.array(found, np.int64).T])
