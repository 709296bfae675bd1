"""Everything written out: both orders of norm by hand, one-hot embeddings, rows decoded one by one."""

import numpy as np


def _normalize(x, params, name, without):
    if "norm" in without:
        return x, ()
    return layer_norm_forward(x, params[name + ".gamma"], params[name + ".beta"])


def _unnormalize(dout, kept, name, grads):
    if len(kept) == 0:
        return dout
    dx, grads[name + ".gamma"], grads[name + ".beta"] = layer_norm_backward(dout, kept)
    return dx


def encoder_block_forward(x, params, n_heads, mask=None, norm="pre", without=()):
    if len(x.shape) != 3 or norm not in {"pre", "post"}:
        raise ValueError("a block needs three axes, and pre or post")
    skip = 0 if "residual" in without else 1
    attention = {name[5:]: value for name, value in params.items() if name.startswith("attn.")}
    narrow = {name[3:]: value for name, value in params.items() if name.startswith("ff.")}
    wide = "feed_forward" not in without
    kept = {}
    if norm == "pre":
        h, kept["norm1"] = _normalize(x, params, "norm1", without)
        a, kept["attn"] = multi_head_attention_forward(h, h, attention, n_heads, mask)
        y = skip * x + a
        if wide:
            h, kept["norm2"] = _normalize(y, params, "norm2", without)
            f, kept["ff"] = feed_forward_forward(h, narrow)
            y = skip * y + f
    else:
        a, kept["attn"] = multi_head_attention_forward(x, x, attention, n_heads, mask)
        y, kept["norm1"] = _normalize(skip * x + a, params, "norm1", without)
        if wide:
            f, kept["ff"] = feed_forward_forward(y, narrow)
            y, kept["norm2"] = _normalize(skip * y + f, params, "norm2", without)
    zeros = {name: np.zeros_like(value) for name, value in params.items()}
    return y, {"kept": kept, "norm": norm, "skip": skip, "wide": wide, "zeros": zeros}


def encoder_block_backward(dout, cache):
    kept, skip, grads = cache["kept"], cache["skip"], {}
    if dout.shape != kept["attn"]["x_q"].shape:
        raise ValueError("dout and out differ in shape")
    d = dout
    if cache["wide"]:
        if cache["norm"] == "post":
            d = _unnormalize(d, kept["norm2"], "norm2", grads)
        dh, own = feed_forward_backward(d, kept["ff"])
        grads |= {"ff." + name: value for name, value in own.items()}
        if cache["norm"] == "pre":
            dh = _unnormalize(dh, kept["norm2"], "norm2", grads)
        d = skip * d + dh
    if cache["norm"] == "post":
        d = _unnormalize(d, kept["norm1"], "norm1", grads)
    dq, dkv, own = multi_head_attention_backward(d, kept["attn"])
    grads |= {"attn." + name: value for name, value in own.items()}
    dh = dq + dkv
    if cache["norm"] == "pre":
        dh = _unnormalize(dh, kept["norm1"], "norm1", grads)
    return skip * d + dh, cache["zeros"] | grads


def decoder_block_forward(
    x, memory, params, n_heads, self_mask=None, cross_mask=None, norm="pre", without=()
):
    if len(x.shape) != 3 or len(memory.shape) != 3:
        raise ValueError("a stream has three axes")
    if norm != "pre" and norm != "post":
        raise ValueError("norm is pre or post")
    skip = 0 if "residual" in without else 1
    inner, cross = (
        {n[len(k) :]: v for n, v in params.items() if n.startswith(k)} for k in ("self.", "cross.")
    )
    narrow = {name[3:]: value for name, value in params.items() if name.startswith("ff.")}
    wide = "feed_forward" not in without
    kept = {}
    if norm == "pre":
        h, kept["norm1"] = _normalize(x, params, "norm1", without)
        a, kept["self"] = multi_head_attention_forward(h, h, inner, n_heads, self_mask)
        y = skip * x + a
        h, kept["norm2"] = _normalize(y, params, "norm2", without)
        a, kept["cross"] = multi_head_attention_forward(h, memory, cross, n_heads, cross_mask)
        y = skip * y + a
        if wide:
            h, kept["norm3"] = _normalize(y, params, "norm3", without)
            f, kept["ff"] = feed_forward_forward(h, narrow)
            y = skip * y + f
    else:
        a, kept["self"] = multi_head_attention_forward(x, x, inner, n_heads, self_mask)
        y, kept["norm1"] = _normalize(skip * x + a, params, "norm1", without)
        a, kept["cross"] = multi_head_attention_forward(y, memory, cross, n_heads, cross_mask)
        y, kept["norm2"] = _normalize(skip * y + a, params, "norm2", without)
        if wide:
            f, kept["ff"] = feed_forward_forward(y, narrow)
            y, kept["norm3"] = _normalize(skip * y + f, params, "norm3", without)
    zeros = {name: np.zeros_like(value) for name, value in params.items()}
    cache = {"kept": kept, "norm": norm, "skip": skip, "wide": wide, "zeros": zeros}
    return y, cache | {"cross_attn": kept["cross"]["attn"]}


def decoder_block_backward(dout, cache):
    kept, skip, pre, grads = cache["kept"], cache["skip"], cache["norm"] == "pre", {}
    if dout.shape != kept["self"]["x_q"].shape:
        raise ValueError("dout and out differ in shape")
    d = dout
    if cache["wide"]:
        d = d if pre else _unnormalize(d, kept["norm3"], "norm3", grads)
        dh, own = feed_forward_backward(d, kept["ff"])
        grads |= {"ff." + name: value for name, value in own.items()}
        d = skip * d + (_unnormalize(dh, kept["norm3"], "norm3", grads) if pre else dh)
    d = d if pre else _unnormalize(d, kept["norm2"], "norm2", grads)
    dh, dmemory, own = multi_head_attention_backward(d, kept["cross"])
    grads |= {"cross." + name: value for name, value in own.items()}
    d = skip * d + (_unnormalize(dh, kept["norm2"], "norm2", grads) if pre else dh)
    d = d if pre else _unnormalize(d, kept["norm1"], "norm1", grads)
    dq, dkv, own = multi_head_attention_backward(d, kept["self"])
    grads |= {"self." + name: value for name, value in own.items()}
    dh = dq + dkv
    return (
        skip * d + (_unnormalize(dh, kept["norm1"], "norm1", grads) if pre else dh),
        dmemory,
        (cache["zeros"] | grads),
    )


def _one_hot(tokens, table):
    return (tokens[..., None] == np.arange(len(table))).astype(table.dtype)


def _block_params(params, start):
    return {name[len(start) :]: value for name, value in params.items() if name[: len(start)] == start}


def transformer_forward(src, tgt, params, config):
    if src.ndim != 2 or tgt.ndim != 2 or src.shape[0] != tgt.shape[0]:
        raise ValueError("src and tgt are (batch, seq)")
    without = tuple(config.get("without") or ())
    sides = ("table", "table") if "table" in params else ("src_table", "tgt_table")
    d_model = params[sides[0]].shape[1]
    hots = [_one_hot(tokens, params[side]) for tokens, side in zip((src, tgt), sides, strict=True)]
    x, y = (hot @ params[side] * d_model**0.5 for hot, side in zip(hots, sides, strict=True))
    if "positions" not in without:
        angles = sinusoidal_positions(max(src.shape[1], tgt.shape[1]), d_model).astype(x.dtype)
        x, y = x + angles[: src.shape[1]], y + angles[: tgt.shape[1]]
    seen = np.repeat((src != config["pad"])[:, None], src.shape[1], axis=1)
    past = np.arange(tgt.shape[1])[:, None] >= np.arange(tgt.shape[1])
    final = config["norm"] == "pre" and "norm" not in without
    caches = {"enc": [], "dec": []}
    for i in range(config["n_layers"]):
        own = _block_params(params, f"enc{i}.")
        x, kept = encoder_block_forward(x, own, config["n_heads"], seen, config["norm"], without)
        caches["enc"].append(kept)
    norms = {}
    if final:
        x, norms["enc_norm"] = layer_norm_forward(x, params["enc_norm.gamma"], params["enc_norm.beta"])
    for i in range(config["n_layers"]):
        own = _block_params(params, f"dec{i}.")
        y, kept = decoder_block_forward(
            y, x, own, config["n_heads"], past, seen[:, :1], config["norm"], without
        )
        caches["dec"].append(kept)
    if final:
        y, norms["dec_norm"] = layer_norm_forward(y, params["dec_norm.gamma"], params["dec_norm.beta"])
    weights = params.get("w_out", params[sides[1]].T)
    logits = np.einsum("btd,dv->btv", y, weights)
    cache = {"caches": caches, "norms": norms, "hots": hots, "sides": sides, "y": y, "weights": weights}
    cache["zeros"] = {name: np.zeros_like(value) for name, value in params.items()}
    return logits, cache | {"cross_attn": tuple(kept["cross_attn"] for kept in caches["dec"])}


def transformer_backward(dlogits, cache):
    y, weights, sides = cache["y"], cache["weights"], cache["sides"]
    if dlogits.shape != y.shape[:2] + weights.shape[1:]:
        raise ValueError("dlogits and logits differ in shape")
    grads = dict(cache["zeros"])

    def give(name, value):
        grads[name] = grads[name] + value

    dw = np.einsum("btd,btv->dv", y, dlogits)
    give("w_out", dw) if "w_out" in grads else give(sides[1], dw.T)
    d = np.einsum("btv,dv->btd", dlogits, weights)
    if "dec_norm" in cache["norms"]:
        d, dgamma, dbeta = layer_norm_backward(d, cache["norms"]["dec_norm"])
        give("dec_norm.gamma", dgamma)
        give("dec_norm.beta", dbeta)
    parts = []
    for i in range(len(cache["caches"]["dec"]) - 1, -1, -1):
        d, dmemory, own = decoder_block_backward(d, cache["caches"]["dec"][i])
        parts.append(dmemory)
        for name, value in own.items():
            give(f"dec{i}.{name}", value)
    dx = sum(parts)
    if "enc_norm" in cache["norms"]:
        dx, dgamma, dbeta = layer_norm_backward(dx, cache["norms"]["enc_norm"])
        give("enc_norm.gamma", dgamma)
        give("enc_norm.beta", dbeta)
    for i in range(len(cache["caches"]["enc"]) - 1, -1, -1):
        dx, own = encoder_block_backward(dx, cache["caches"]["enc"][i])
        for name, value in own.items():
            give(f"enc{i}.{name}", value)
    for side, hot, dstream in zip(sides, cache["hots"], (dx, d), strict=True):
        give(side, np.einsum("btv,btd->vd", hot, dstream) * y.shape[-1] ** 0.5)
    return grads


def greedy_decode(src, params, config, bos, eos, max_len):
    if max_len <= 0 or src.ndim != 2:
        raise ValueError("at least one token, from (batch, seq)")
    out = np.full((src.shape[0], max_len), config["pad"], dtype=np.int64)
    for row in range(src.shape[0]):
        line = [bos]
        while len(line) <= max_len and (line[-1] != eos or len(line) == 1):
            logits = transformer_forward(src[row : row + 1], np.array([line]), params, config)[0]
            line.append(int(np.argmax(logits[0, len(line) - 1])))
        out[row, : len(line) - 1] = line[1:]
    return out


def ablate(config, part):
    changed = dict(config)
    left_out = list(config.get("without", ()))
    match part:
        case "heads":
            changed["n_heads"] = 1
        case "residual" | "norm" | "feed_forward" | "positions":
            left_out += [part] if left_out.count(part) == 0 else []
        case _:
            raise ValueError(f"no part {part}")
    changed["without"] = tuple(left_out)
    return changed


def fix_the_transformer(tokens, params, n_heads, pad=0):
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    x = params["table"][inputs] + params["positions"][: inputs.shape[1]]
    read, _ = layer_norm_forward(x, params["norm1.gamma"], params["norm1.beta"])
    past = np.tri(inputs.shape[1], dtype=bool)
    x = x + multi_head_attention_forward(read, read, params, n_heads, past)[0]
    read, _ = layer_norm_forward(x, params["norm2.gamma"], params["norm2.beta"])
    x = x + feed_forward_forward(read, params)[0]
    last, _ = layer_norm_forward(x, params["norm.gamma"], params["norm.beta"])
    logits = last @ params["w_out"] + params["b_out"]
    return logits, cross_entropy(logits, np.where(targets == pad, -1, targets))[0]
