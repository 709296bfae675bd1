"""Channel by channel, and recursion instead of a loop over the blocks."""

import numpy as np


def batch_norm_forward(x, gamma, beta, running, training=True, momentum=0.1, eps=1e-5):
    if x.ndim != 4 or any(len(v) != x.shape[1] or v.ndim != 1 for v in (gamma, beta, *running.values())):
        raise ValueError(f"x {x.shape} and the numbers per channel do not fit")
    out, kept = np.empty_like(x), []
    means, variances = running["mean"].copy(), running["var"].copy()
    momentum, eps = float(momentum), float(eps)
    for ch in range(x.shape[1]):
        values = x[:, ch]
        mean, var = means[ch], variances[ch]
        if training:
            if values.size < 2:
                raise ValueError("one value has no variance")
            mean = values.mean()
            var = np.mean((values - mean) ** 2)
            means[ch] = means[ch] * (1 - momentum) + mean * momentum
            variances[ch] = variances[ch] * (1 - momentum) + var * momentum * values.size / (values.size - 1)
        std = np.sqrt(var + eps)
        normal = (values - mean) / std
        out[:, ch] = normal * gamma[ch] + beta[ch]
        kept.append((normal, gamma[ch] / std))
    return out, (kept, bool(training), x.shape), {"mean": means, "var": variances}


def batch_norm_backward(dout, cache):
    kept, training, shape = cache
    if dout.shape != tuple(shape):
        raise ValueError(f"dout {dout.shape}, out {shape}")
    dx = np.empty_like(dout)
    dgamma, dbeta = np.empty(len(kept), dout.dtype), np.empty(len(kept), dout.dtype)
    for ch, (normal, factor) in enumerate(kept):
        slope = dout[:, ch]
        dgamma[ch], dbeta[ch] = np.sum(slope * normal), np.sum(slope)
        if training:
            slope = slope - slope.mean() - normal * np.mean(slope * normal)
        dx[:, ch] = slope * factor
    return dx, dgamma, dbeta


def residual_forward(x, f):
    made = f(x)
    kept = x
    if isinstance(made, tuple):
        made, kept = made
    if not (isinstance(made, np.ndarray) and made.shape == x.shape):
        raise ValueError("shapes differ")
    out = x.copy()
    out += made
    return out, {"f": kept}


def residual_backward(dout, cache, f_backward):
    dx = f_backward(dout, cache["f"])
    if dx.shape != dout.shape:
        raise ValueError("shapes differ")
    return np.sum([dout, dx], axis=0)


def _shortcut_kind(x, params, stride, shortcut):
    if not shortcut:
        return "none"
    return "identity" if stride == 1 and len(params["w1"]) == x.shape[1] else "projection"


def basic_block_forward(x, params, stride=1, running=None, training=True, shortcut=True):
    if x.ndim != 4:
        raise ValueError("images have four axes")
    if x.shape[1] != params["w1"].shape[1]:
        raise ValueError("the channels of x and w1 differ")
    kind = _shortcut_kind(x, params, stride, shortcut)
    if (kind == "projection") != ("w_skip" in params):
        raise ValueError(f"the shortcut is {kind}")
    running = running if running is not None else fresh_running(params)
    a, cache_a, new = conv_norm_forward(x, params, running, "1", stride, training)
    b, cache_b, new_b = conv_norm_forward(np.where(a > 0, a, 0), params, running, "2", 1, training)
    new = new | new_b
    cache_c = ()
    if kind == "identity":
        b = b + x
    if kind == "projection":
        c, cache_c, new_c = conv_norm_forward(x, params, running, "_skip", stride, training)
        b, new = b + c, new | new_c
    return np.maximum(b, 0), {
        "a": (a, cache_a),
        "b": (b, cache_b),
        "c": cache_c,
        "kind": kind,
        "running": new,
    }


def basic_block_backward(dout, cache):
    (a, cache_a), (b, cache_b) = cache["a"], cache["b"]
    if dout.shape != b.shape:
        raise ValueError("dout and out differ in shape")
    db = np.where(b > 0, dout, 0)
    da, grads_b = conv_norm_backward(db, cache_b, "2")
    dx, grads_a = conv_norm_backward(np.where(a > 0, da, 0), cache_a, "1")
    grads = grads_a | grads_b
    if cache["kind"] == "identity":
        dx = dx + db
    if cache["kind"] == "projection":
        dc, grads_c = conv_norm_backward(db, cache["c"], "_skip")
        dx, grads = dx + dc, grads | grads_c
    return dx, grads


def _blocks_from(i, y, params, running, training, shortcut):
    """Run block i and all that follow; return the last output, the caches and the new running values."""
    own = {name.removeprefix(f"block{i}_"): v for name, v in params.items() if name.startswith(f"block{i}_")}
    if not own:
        return y, [], {}
    stats = {
        name.removeprefix(f"block{i}_"): v for name, v in running.items() if name.startswith(f"block{i}_")
    }
    stride = 1 + int(own["w1"].shape[0] != own["w1"].shape[1])
    y, cache = basic_block_forward(y, own, stride, stats, training, shortcut)
    last, caches, moved = _blocks_from(i + 1, y, params, running, training, shortcut)
    mine = {f"block{i}_{name}": value for name, value in cache["running"].items()}
    return last, [cache, *caches], mine | moved


def resnet_forward(x, params, running=None, training=True, shortcut=True):
    if x.ndim != 4 or x.shape[1] != params["w_stem"].shape[1]:
        raise ValueError("x and the stem differ in channels")
    running = running if running is not None else fresh_running(params)
    a, stem, new = conv_norm_forward(x, params, running, "_stem", 1, training)
    y, blocks, moved = _blocks_from(0, np.maximum(a, 0), params, running, training, shortcut)
    pooled = y.reshape(*y.shape[:2], -1).mean(axis=-1)
    logits = pooled.dot(params["w_head"]) + params["b_head"]
    cache = {"a": a, "stem": stem, "blocks": blocks, "size": y.shape, "pooled": pooled, "w": params["w_head"]}
    return logits, cache | {"running": new | moved}


def resnet_backward(dlogits, cache):
    if dlogits.shape != (len(cache["pooled"]), cache["w"].shape[1]):
        raise ValueError("dlogits and logits differ in shape")
    grads = {"b_head": dlogits.sum(axis=0), "w_head": cache["pooled"].T.dot(dlogits)}
    n, c, h, w = cache["size"]
    dy = np.repeat(dlogits.dot(cache["w"].T) / (h * w), h * w, axis=1).reshape(n, c, h, w)
    i = len(cache["blocks"])
    while i > 0:
        i -= 1
        dy, own = basic_block_backward(dy, cache["blocks"][i])
        grads |= {f"block{i}_{name}": value for name, value in own.items()}
    _, own = conv_norm_backward(np.where(cache["a"] > 0, dy, 0), cache["stem"], "_stem")
    return grads | own
