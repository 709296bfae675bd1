"""Flattened channels and einsum; caches of x itself; blocks as lists of stages."""

import numpy as np


def batch_norm_forward(x, gamma, beta, running, training=True, momentum=0.1, eps=1e-5):
    if np.ndim(x) != 4:
        raise ValueError("four axes are needed")
    n, c, h, w = x.shape
    if {gamma.shape, beta.shape, running["mean"].shape, running["var"].shape} != {(c,)}:
        raise ValueError("one number per channel is needed")
    m = n * h * w
    rows = np.moveaxis(x, 1, 0).reshape(c, m)
    mean, var, after = running["mean"], running["var"], {k: v.copy() for k, v in running.items()}
    if training:
        if m < 2:
            raise ValueError("no variance of a single value")
        mean = np.einsum("cm->c", rows) / m
        centered = rows - mean[:, None]
        var = np.einsum("cm,cm->c", centered, centered) / m
        after["mean"] = after["mean"] + float(momentum) * (mean - after["mean"])
        after["var"] = after["var"] + float(momentum) * (var * (m / (m - 1)) - after["var"])
    scale = gamma / np.sqrt(var + float(eps))
    # One product and one sum per value would lose digits where the mean is large.
    out = (x - mean.reshape(1, c, 1, 1)) * scale.reshape(1, c, 1, 1) + beta.reshape(1, c, 1, 1)
    return (
        out,
        {"x": x, "mean": mean, "std": np.sqrt(var + float(eps)), "gamma": gamma, "training": training},
        after,
    )


def batch_norm_backward(dout, cache):
    x, std, gamma = cache["x"], cache["std"], cache["gamma"]
    if x.shape != dout.shape:
        raise ValueError("dout must have the shape of x")
    m = x.shape[0] * x.shape[2] * x.shape[3]
    std, gamma = std.reshape(1, -1, 1, 1), gamma.reshape(1, -1, 1, 1)
    x_hat = (x - cache["mean"].reshape(1, -1, 1, 1)) / std
    dbeta = np.einsum("nchw->c", dout)
    dgamma = np.einsum("nchw,nchw->c", dout, x_hat)
    if not cache["training"]:
        return dout * gamma / std, dgamma, dbeta
    # The long way: through x_hat, the variance and the mean, one after the other.
    dx_hat = dout * gamma
    dvar = (dx_hat * (x_hat * std) * -0.5 / std**3).sum(axis=(0, 2, 3), keepdims=True)
    dmean = -(dx_hat / std).sum(axis=(0, 2, 3), keepdims=True)
    dx = dx_hat / std + dvar * 2 * (x_hat * std) / m + dmean / m
    return dx, dgamma, dbeta


def residual_forward(x, f):
    answer = f(x)
    if not isinstance(answer, tuple):
        answer = (answer, x)
    if np.shape(answer[0]) != x.shape:
        raise ValueError("f changes the shape")
    return np.add(answer[0], x), [answer[1]]


def residual_backward(dout, cache, f_backward):
    through = f_backward(dout, cache[0])
    if through.shape != dout.shape:
        raise ValueError("f_backward changes the shape")
    return through + dout


def basic_block_forward(x, params, stride=1, running=None, training=True, shortcut=True):
    if x.ndim != 4 or x.shape[1] != params["w1"].shape[1]:
        raise ValueError("x does not fit w1")
    changes = stride > 1 or params["w1"].shape[0] != x.shape[1]
    if ("w_skip" in params) is not (shortcut and changes):
        raise ValueError("w_skip where it is not needed, or none where it is")
    if running is None:
        running = fresh_running(params)
    moved = {}
    inner, first, new = conv_norm_forward(x, params, running, "1", stride, training)
    moved.update(new)
    total, second, new = conv_norm_forward(np.maximum(inner, 0), params, running, "2", 1, training)
    moved.update(new)
    third = None
    if shortcut and changes:
        beside, third, new = conv_norm_forward(x, params, running, "_skip", stride, training)
        moved.update(new)
        total = total + beside
    elif shortcut:
        total = total + x
    out = total * (total > 0)
    return out, {
        "caches": [first, second, third],
        "masks": [inner > 0, total > 0],
        "shortcut": shortcut,
        "running": moved,
    }


def basic_block_backward(dout, cache):
    open1, open2 = cache["masks"]
    if open2.shape != dout.shape:
        raise ValueError("dout must have the shape of out")
    first, second, third = cache["caches"]
    dtotal = dout * open2
    dinner, grads = conv_norm_backward(dtotal, second, "2")
    dx, more = conv_norm_backward(dinner * open1, first, "1")
    grads.update(more)
    if third is not None:
        dbeside, more = conv_norm_backward(dtotal, third, "_skip")
        grads.update(more)
        return dx + dbeside, grads
    return (dx + dtotal if cache["shortcut"] else dx), grads


def resnet_forward(x, params, running=None, training=True, shortcut=True):
    if x.ndim != 4 or x.shape[1] != params["w_stem"].shape[1]:
        raise ValueError("x does not fit the stem")
    running = running or fresh_running(params)
    n_blocks = sum(name.startswith("block") and name.endswith("_w1") for name in params)
    y, stem, moved = conv_norm_forward(x, params, running, "_stem", 1, training)
    moved, open_stem, blocks = dict(moved), y > 0, []
    y = np.maximum(y, 0)
    for i in range(n_blocks):
        own = {k.split("_", 1)[1]: v for k, v in params.items() if k.startswith(f"block{i}_")}
        stats = {k.split("_", 1)[1]: v for k, v in running.items() if k.startswith(f"block{i}_")}
        stride = 2 if own["w1"].shape[0] != own["w1"].shape[1] else 1
        y, cache = basic_block_forward(y, own, stride, stats, training, shortcut)
        blocks.append(cache)
        for name, value in cache["running"].items():
            moved[f"block{i}_{name}"] = value
    pooled = np.einsum("nchw->nc", y) / (y.shape[2] * y.shape[3])
    logits = np.einsum("nc,ck->nk", pooled, params["w_head"]) + params["b_head"]
    parts = (stem, open_stem, blocks, y.shape, pooled, params["w_head"])
    return logits, {"parts": parts, "running": moved}


def resnet_backward(dlogits, cache):
    stem, open_stem, blocks, shape, pooled, w_head = cache["parts"]
    if dlogits.shape != (pooled.shape[0], w_head.shape[1]):
        raise ValueError("dlogits must have the shape of the logits")
    grads = {"w_head": np.einsum("nc,nk->ck", pooled, dlogits), "b_head": np.einsum("nk->k", dlogits)}
    dy = np.einsum("nk,ck->nc", dlogits, w_head)[:, :, None, None] / (shape[2] * shape[3])
    dy = dy + np.zeros(shape, dlogits.dtype)
    for i, block in zip(range(len(blocks) - 1, -1, -1), blocks[::-1], strict=True):
        dy, own = basic_block_backward(dy, block)
        grads.update({f"block{i}_{name}": value for name, value in own.items()})
    grads.update(conv_norm_backward(dy * open_stem, stem, "_stem")[1])
    return grads
