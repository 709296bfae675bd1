"""Statistics merged picture by picture, and nets as tapes that are played backwards."""

import numpy as np


def _merged(x):
    """Mean and sum of squared differences per channel, one picture after the other (Chan et al.)."""
    n, c, h, w = x.shape
    seen, mean, squares = 0, np.zeros(c, x.dtype), np.zeros(c, x.dtype)
    for picture in x.reshape(n, c, h * w):
        own = picture.mean(axis=1)
        gap = own - mean
        total = seen + h * w
        squares = squares + ((picture - own[:, None]) ** 2).sum(axis=1) + gap**2 * (seen * h * w / total)
        mean = mean + gap * (h * w / total)
        seen = total
    return mean, squares, seen


def batch_norm_forward(x, gamma, beta, running, training=True, momentum=0.1, eps=1e-5):
    if len(x.shape) != 4:
        raise ValueError("pictures have four axes")
    for vector in (gamma, beta, running["mean"], running["var"]):
        if vector.ndim != 1 or vector.size != x.shape[1]:
            raise ValueError("one number for each channel")
    share = float(momentum)
    mean, var, moved = running["mean"], running["var"], dict(running)
    if training:
        mean, squares, count = _merged(x)
        if count <= 1:
            raise ValueError("one value tells nothing about its spread")
        var = squares / count
        moved = {
            "mean": running["mean"] * (1 - share) + share * mean,
            "var": running["var"] * (1 - share) + share * squares / (count - 1),
        }
    rows = x.transpose(0, 2, 3, 1)  # channels last: vectors broadcast by themselves
    deviation = (var + float(eps)) ** 0.5
    centered = rows - mean
    out = np.moveaxis(centered / deviation * gamma + beta, -1, 1)
    tape = {"centered": centered, "deviation": deviation, "gamma": gamma, "frozen": not training}
    return np.ascontiguousarray(out), tape, moved


def batch_norm_backward(dout, cache):
    centered, deviation, gamma = cache["centered"], cache["deviation"], cache["gamma"]
    n, h, w, c = centered.shape
    if dout.shape != (n, c, h, w):
        raise ValueError("dout is not of this layer")
    m = n * h * w
    rows, x_hat = dout.transpose(0, 2, 3, 1).reshape(m, c), (centered / deviation).reshape(m, c)
    dbeta, dgamma = np.ones(m, dout.dtype) @ rows, (rows * x_hat).sum(axis=0)
    dx = rows * gamma / deviation
    if not cache["frozen"]:
        dx = gamma / (m * deviation) * (m * rows - dbeta - x_hat * dgamma)
    return np.moveaxis(dx.reshape(n, h, w, c), -1, 1), dgamma, dbeta


def residual_forward(x, f):
    branch = f(x)
    is_layer = isinstance(branch, tuple)
    change, memory = branch if is_layer else (branch, x)
    change = np.asarray(change)
    if change.shape != x.shape:
        raise ValueError("the branch must keep the shape")
    return np.stack([x, change]).sum(axis=0), (memory,)


def residual_backward(dout, cache, f_backward):
    (memory,) = cache
    ways = [np.asarray(f_backward(dout, memory)), dout]
    if ways[0].shape != ways[1].shape:
        raise ValueError("the branch must keep the shape")
    return ways[0] + ways[1]


def _play(x, params, running, suffix, stride, training, tape):
    """Convolve and normalize; write both on the tape."""
    x, memory = conv2d_forward(x, params["w" + suffix], stride)
    tape.append(["conv", suffix, memory])
    stats = {"mean": running["mean" + suffix], "var": running["var" + suffix]}
    names = params["gamma" + suffix], params["beta" + suffix]
    x, memory, stats = batch_norm_forward(x, *names, stats, training)
    tape.append(["norm", suffix, memory])
    return x, {"mean" + suffix: stats["mean"], "var" + suffix: stats["var"]}


def _play_back(dout, tape, grads):
    for kind, suffix, memory in tape[::-1]:
        if kind == "relu":
            dout = dout * memory
        elif kind == "norm":
            dout, grads["gamma" + suffix], grads["beta" + suffix] = batch_norm_backward(dout, memory)
        else:
            dout, grads["w" + suffix] = conv2d_backward(dout, memory)
    return dout


def basic_block_forward(x, params, stride=1, running=None, training=True, shortcut=True):
    c_out, c_in, _, _ = params["w1"].shape
    if x.ndim != 4 or x.shape[1] != c_in:
        raise ValueError("such pictures do not go into this block")
    reshapes = shortcut and not (stride == 1 and c_in == c_out)
    if reshapes and "w_skip" not in params:
        raise ValueError("the shortcut needs w_skip")
    if "w_skip" in params and not reshapes:
        raise ValueError("the shortcut needs no w_skip")
    if running is None:
        running = fresh_running(params)
    branch, skip, moved = [], [], {}
    y, new = _play(x, params, running, "1", stride, training, branch)
    moved |= new
    branch.append(["relu", "", y > 0])
    y, new = _play(y * (y > 0), params, running, "2", 1, training, branch)
    moved |= new
    if reshapes:
        beside, new = _play(x, params, running, "_skip", stride, training, skip)
        moved |= new
        y = y + beside
    elif shortcut:
        y = y + x
    return np.where(y > 0, y, np.zeros_like(y)), {
        "open": y > 0,
        "branch": branch,
        "skip": skip,
        "shortcut": shortcut,
        "running": moved,
    }


def basic_block_backward(dout, cache):
    if dout.shape != cache["open"].shape:
        raise ValueError("dout is not of this block")
    grads = {}
    dsum = np.where(cache["open"], dout, np.zeros_like(dout))
    ways = [_play_back(dsum, cache["branch"], grads)]
    if cache["shortcut"]:  # an empty tape hands on what it got
        ways.append(_play_back(dsum, cache["skip"], grads))
    return sum(ways[1:], ways[0]), grads


def _numbered(values, i):
    start = f"block{i}_"
    return {name[len(start) :]: values[name] for name in values if name[: len(start)] == start}


def resnet_forward(x, params, running=None, training=True, shortcut=True):
    if x.ndim != 4:
        raise ValueError("pictures have four axes")
    if x.shape[1] != params["w_stem"].shape[1]:
        raise ValueError("the stem wants other channels")
    if running is None:
        running = fresh_running(params)
    tape = []
    y, moved = _play(x, params, running, "_stem", 1, training, tape)
    tape.append(["relu", "", y > 0])
    y = y * (y > 0)
    numbers = sorted(int(name[5:-3]) for name in params if name[:5] == "block" and name[-3:] == "_w1")
    blocks = []
    for i in numbers:
        block = _numbered(params, i)
        widens = block["w1"].shape[0] != block["w1"].shape[1]
        y, memory = basic_block_forward(
            y, block, 2 if widens else 1, _numbered(running, i), training, shortcut
        )
        moved |= {f"block{i}_{name}": value for name, value in memory["running"].items()}
        blocks.append((i, memory))
    n, c, h, w = y.shape
    pooled = y.reshape(n, c, h * w).sum(axis=2) / (h * w)
    cache = {"tape": tape, "blocks": blocks, "shape": y.shape, "pooled": pooled, "w_head": params["w_head"]}
    return np.dot(pooled, params["w_head"]) + params["b_head"][None], {**cache, "running": moved}


def resnet_backward(dlogits, cache):
    pooled, w_head, (n, _, h, w) = cache["pooled"], cache["w_head"], cache["shape"]
    if dlogits.shape != (n, w_head.shape[1]):
        raise ValueError("dlogits is not of these logits")
    grads = {"w_head": np.tensordot(pooled, dlogits, axes=(0, 0)), "b_head": dlogits.sum(0)}
    dy = np.tile((dlogits @ w_head.T / (h * w))[:, :, None, None], (1, 1, h, w))
    for i, memory in reversed(cache["blocks"]):
        dy, own = basic_block_backward(dy, memory)
        for name in own:
            grads[f"block{i}_{name}"] = own[name]
    _play_back(dy, cache["tape"], grads)
    return grads
