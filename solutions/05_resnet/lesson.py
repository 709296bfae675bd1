# %% [markdown]
# # 5. Residual networks: depth without vanishing
#
# The net of stage 4 has a handful of layers. Why not thirty? Each layer sees what the one below
# has found, so more layers should find more. In 2015 people tried, and the deep nets were *worse*.
# Not because they learned their training pictures by heart: they could not even learn those.
#
# In this stage you build the two parts that changed it. **Batch normalization** keeps the numbers
# in range, whatever the depth. A **shortcut**, one plus sign, does the rest. You will train the
# same net with and without that sign and see what it does.
#
# Eight functions and four kernels. You need convolutions (stage 4), Adam and He's initialization
# (stage 3). They are given below, so that you can start here.

# %% tags=["setup"]
import numpy as np
from jaxtyping import Float

import gradschool as gs

gs.start("05_resnet")

# %% [markdown]
# What you have built before, ready to use. Read the signatures; there is nothing new in them, but
# two conveniences. A convolution here has no bias, because what follows it will have one. And its
# padding keeps the size: a picture of 8 by 8 stays 8 by 8 at stride 1 and becomes 4 by 4 at stride 2.


# %%
def relu_forward(x):
    """Return `max(x, 0)` and the cache of `relu_backward`."""
    return np.maximum(x, 0), x


def relu_backward(dout, cache):
    return np.where(cache > 0, dout, 0)


def conv2d_forward(x, w, stride=1):
    """Cross-correlate x (n, c_in, h, w) with w (c_out, c_in, k, k), k odd, padding k // 2, no bias."""
    (n, c_in, height, width), (c_out, _, k, _) = x.shape, w.shape
    if c_in != w.shape[1]:
        raise ValueError(f"x has {c_in} channels; the kernel of shape {w.shape} needs {w.shape[1]}.")
    pad = k // 2
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad))).transpose(1, 0, 2, 3)
    size = ((height - 1) // stride + 1, (width - 1) // stride + 1)
    # im2col: one column of numbers for each place where the kernel stands.
    cols = np.empty((c_in, k, k, n, *size), x.dtype)
    for i, j in np.ndindex(k, k):
        cols[:, i, j] = padded[:, :, i : i + stride * size[0] : stride, j : j + stride * size[1] : stride]
    cols = cols.reshape(c_in * k * k, -1)
    out = (w.reshape(c_out, -1) @ cols).reshape(c_out, n, *size)
    return out.transpose(1, 0, 2, 3), (cols, w, x.shape, stride)


def conv2d_backward(dout, cache):
    """Return dx and dw."""
    cols, w, (n, c_in, height, width), stride = cache
    c_out, _, k, _ = w.shape
    pad, size = k // 2, dout.shape[2:]
    drows = dout.transpose(1, 0, 2, 3).reshape(c_out, -1)
    dw = (drows @ cols.T).reshape(w.shape)
    dcols = (w.reshape(c_out, -1).T @ drows).reshape(c_in, k, k, n, *size)
    dpadded = np.zeros((c_in, n, height + 2 * pad, width + 2 * pad), dout.dtype)
    for i, j in np.ndindex(k, k):
        rows, columns = slice(i, i + stride * size[0], stride), slice(j, j + stride * size[1], stride)
        dpadded[:, :, rows, columns] += dcols[:, i, j]
    return dpadded[:, :, pad : pad + height, pad : pad + width].transpose(1, 0, 2, 3), dw


def global_avg_pool_forward(x):
    """Average each channel over its picture: (n, c, h, w) to (n, c)."""
    return x.mean(axis=(2, 3)), x.shape


def global_avg_pool_backward(dout, cache):
    return np.broadcast_to(dout[:, :, None, None] / (cache[2] * cache[3]), cache)


def affine_forward(x, w, b):
    return x @ w + b, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)


def cross_entropy(logits, labels):
    """Return the mean loss in nats and its gradient."""
    exps = np.exp(logits - logits.max(axis=1, keepdims=True))
    probs = exps / exps.sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    loss = -np.log(probs[rows, labels] + 1e-30).mean()
    probs[rows, labels] -= 1
    return float(loss), probs / len(labels)


def adam_step(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """Return new parameters and the new state; an empty state starts at zero."""
    t = state.get("t", 0) + 1
    new, new_state = {}, {"t": t}
    for name, grad in grads.items():
        m = beta1 * state.get(f"m_{name}", 0) + (1 - beta1) * grad
        v = beta2 * state.get(f"v_{name}", 0) + (1 - beta2) * grad * grad
        step = lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
        new[name], new_state[f"m_{name}"], new_state[f"v_{name}"] = params[name] - step, m, v
    return new, new_state


def he_conv(c_out, c_in, k, rng):
    """He's initialization of a kernel: variance 2 / fan-in."""
    return (rng.standard_normal((c_out, c_in, k, k)) * np.sqrt(2 / (c_in * k * k))).astype(np.float32)


# %% [markdown]
# ## 5.1 A little too much, thirty times
#
# **Question.** He's initialization makes each layer pass on signals of the size it gets. Suppose
# the weights are a little off, because training has moved them: 30% larger, or 30% smaller. How
# large is the signal after thirty layers?
#
# Guess first. Then look.

# %% tags=["demo"]
import matplotlib.pyplot as plt

BLUE, ORANGE, INK, GREY = "#1f6fb2", "#c05e00", "#1f2933", "#8a949e"
plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})

pixels, digits = gs.load_digits()
images = pixels.reshape(-1, 1, 8, 8).astype(np.float32)
mixed = np.random.default_rng(0).permutation(len(images))
train, test = mixed[:1438], mixed[1438:]
images = (images - images[train].mean()) / images[train].std()


def signal_sizes(scale, depth=30, seed=0):
    """Return the size of the signal after each of `depth` convolutions with ReLU."""
    rng, x, sizes = np.random.default_rng(seed), images[train[:64]], []
    for layer in range(depth):
        w = scale * he_conv(8, 1 if layer == 0 else 8, 3, rng)
        x, _ = relu_forward(conv2d_forward(x, w)[0])
        sizes.append(np.sqrt(np.mean(x**2)))
    return np.array(sizes)


fig, ax = plt.subplots(figsize=(6.5, 3.8))
for scale, colour in ((1.3, ORANGE), (1.0, INK), (0.7, BLUE)):
    sizes = signal_sizes(scale)
    ax.semilogy(range(1, 31), sizes, color=colour)
    ax.annotate(f" weights times {scale}", (30, sizes[-1]), color=colour, va="center")
    print(f"weights times {scale}: {sizes[-1]:.1e} after 30 layers")
ax.set(xlabel="layer", ylabel="root mean square", xlim=(1, 37), title="A small error, thirty times")
fig.tight_layout()

# %% [markdown]
# Every layer multiplies, so the errors multiply too. The outer curves end at $1.3^{30} \approx 2600$ and
# $0.7^{30} \approx 0.00002$ times the middle one. And the middle one falls as well: He's rule is exact
# for wide layers and large pictures, while these have 8 channels and a rim of padding zeros. A good
# start does not help for long anyway, because training moves the weights away from it.
#
# **Question.** What could a layer do so that the size of its input no longer matters at all?
#
# <details><summary>Answer</summary>
#
# Measure the size of what it got and divide by it. That is batch normalization.
#
# </details>
#
# ## 5.2 Batch normalization
#
# Take one channel. Over a batch of pictures, it holds $m = n \cdot h \cdot w$ numbers. Subtract
# their mean $\mu$, divide by their standard deviation $\sigma$:
#
# $$\hat x = \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}} \qquad \text{out} = \gamma\, \hat x + \beta$$
#
# Now the channel has mean 0 and variance 1. Perhaps the net wants another mean and another
# spread, so each channel gets two learned numbers, $\gamma$ and $\beta$. They start at 1 and 0.
# The small $\varepsilon$ keeps a constant channel from being divided by 0.
#
# ![Batch norm takes its mean over pictures and places, one channel at a time](figures/batch_norm.svg)
#
# **Question.** A trained net is given one picture, alone. What are the mean and variance of the
# batch?
#
# <details><summary>Answer</summary>
#
# Those of that one picture, and they say more about the picture than about the net. Worse: the answer
# for a picture would depend on which others happen to be in its batch. So while training, the layer
# keeps a **running** mean and variance, and when it is used it takes those.
#
# </details>
#
# The running numbers follow the batches slowly. With momentum 0.1, each batch moves them a tenth of
# the way:
#
# $$\text{running} \leftarrow (1 - \text{momentum}) \cdot \text{running} + \text{momentum} \cdot \text{batch}$$
#
# One detail, kept because PyTorch keeps it: to normalize, divide the sum of squares by $m$. For the
# running variance divide it by $m - 1$: it is an estimate for pictures that were not in the batch.
#
# **Your turn.** `running` comes in as a dict and goes out as a new dict.


# %%
def batch_norm_forward(
    x: Float[np.ndarray, "n c h w"],
    gamma: Float[np.ndarray, " c"],
    beta: Float[np.ndarray, " c"],
    running: dict,
    training: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Float[np.ndarray, "n c h w"], tuple, dict]:
    """Normalize each channel, then scale and shift it.

    out = gamma * (x - mean) / sqrt(var + eps) + beta, one mean and variance per channel.

    In training, mean and var are those of the batch over n, h and w (var with 1 / m for m = n * h * w),
    and the running values move:
    running = (1 - momentum) * running + momentum * batch, where the batch's var has 1 / (m - 1).
    Otherwise mean and var are the running ones, and these stay.

    Args:
        x: Images.
        gamma: Scale of each channel.
        beta: Shift of each channel.
        running: {"mean": (c,), "var": (c,)}; not changed.
        training: Whether the batch's own statistics are used.
        momentum: Share of the batch in the new running values, in [0, 1].
        eps: Added to the variance, under the root.

    Returns:
        out: Shape and dtype of `x`.
        cache: What `batch_norm_backward` needs.
        running: A new dict with the same two keys.

    Raises:
        ValueError: `x` does not have four axes; `gamma`, `beta` or a running value is not of shape (c,);
            in training, a channel has fewer than two values.

    Source:
        Ioffe & Szegedy 2015, "Batch Normalization", algorithm 1.
    """
    ### BEGIN SOLUTION
    if x.ndim != 4:
        raise ValueError(f"x has shape {x.shape}; batch norm needs (n, c, h, w).")
    for value in (gamma, beta, running["mean"], running["var"]):
        if value.shape != (x.shape[1],):
            raise ValueError(f"gamma, beta and the running values need {(x.shape[1],)}; got {value.shape}.")
    count = len(x) * x.shape[2] * x.shape[3]
    if training and count < 2:
        raise ValueError(f"A channel of {x.shape} has {count} value; a variance needs at least two.")

    mean, var = running["mean"], running["var"]
    if training:
        mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
        unbiased = var * (count / (count - 1))
        running = {
            "mean": (1 - momentum) * running["mean"] + momentum * mean,
            "var": (1 - momentum) * running["var"] + momentum * unbiased,
        }
    inv_std = 1 / np.sqrt(var + eps)
    x_hat = (x - mean[:, None, None]) * inv_std[:, None, None]
    out = gamma[:, None, None] * x_hat + beta[:, None, None]
    return out, (x_hat, gamma, inv_std, training), dict(running)
    ### END SOLUTION


# %% tags=["check"]
gs.check("batch_norm_forward")

# %% [markdown]
# The thirty layers again, with a normalization after each convolution:


# %% tags=["demo"]
def normed_sizes(scale, depth=30, seed=0):
    """Return what `signal_sizes` does, with batch norm between convolution and ReLU."""
    rng, x, sizes = np.random.default_rng(seed), images[train[:64]], []
    one, zero = np.ones(8, np.float32), np.zeros(8, np.float32)
    for layer in range(depth):
        w = scale * he_conv(8, 1 if layer == 0 else 8, 3, rng)
        x, _, _ = batch_norm_forward(conv2d_forward(x, w)[0], one, zero, {"mean": zero, "var": one})
        x, _ = relu_forward(x)
        sizes.append(np.sqrt(np.mean(x**2)))
    return np.array(sizes)


for scale in (1.3, 1.0, 0.7):
    print(f"weights times {scale}: {normed_sizes(scale)[-1]:.4f} after 30 layers")

# %% [markdown]
# Nothing left of the difference. The layer has become blind to the size of its weights.
#
# ### The kernel `batch_norm_forward.wgsl`
#
# One workgroup per channel, as one workgroup took a row in stage 0. But the numbers of a channel do
# not lie in one piece. In memory, picture 0 comes first with all its channels, then picture 1.
#
# **Question.** Number the values of channel `ch` from 0 to `n * h * w - 1`. Where in the array is
# number `k`?
#
# <details><summary>Answer</summary>
#
# It is in picture `k / (h * w)`, at place `k % (h * w)`. A picture has `c` channels of `h * w`
# numbers each. So its index is `(k / (h * w) * c + ch) * (h * w) + k % (h * w)`.
#
# </details>
#
# **Question.** The variance is also $E[x^2] - \mu^2$. That needs only one walk over the data. Why
# not use it?
#
# <details><summary>Answer</summary>
#
# Let the values be near 1000 with a spread of 1. Then $E[x^2]$ and $\mu^2$ are near 1,000,000, and
# `float32` keeps 7 digits: the difference, 1, is mostly rounding. First the mean, then the squares
# of the differences.
#
# </details>

# %% tags=["demo"]
gs.show_kernel("batch_norm_forward.wgsl")

# %% tags=["check"]
gs.check("batch_norm_forward.wgsl")

# %% [markdown]
# ## 5.3 The way back
#
# In backpropagation, batch norm has one difficulty: $\mu$ and $\sigma$ depend on $x$, too. Change
# one $x$ by a little, and the whole channel moves.
#
# The parameters are easy. $\beta$ was added to every value of its channel and $\gamma$ multiplied
# every $\hat x$:
#
# $$d\beta = \sum \text{dout} \qquad d\gamma = \sum \text{dout} \cdot \hat x$$
#
# For $dx$ you can follow every path, or think for a moment.
#
# **Question.** Add the same number to every $x$ of a channel. What happens to out? Multiply every
# $x - \mu$ by 1.01. What happens? And what does this say about $dx$?
#
# <details><summary>Answer</summary>
#
# Nothing happens, both times (but for $\varepsilon$). So the gradient has no part in these two
# directions: $dx$ sums to 0 over the channel, and so does $dx \cdot \hat x$. Whatever dout holds in
# those directions must be taken out.
#
# </details>
#
# That is the whole formula. Take dout, take out its mean, take out its part along $\hat x$:
#
# $$dx = \frac{\gamma}{\sqrt{\sigma^2 + \varepsilon}} \left( \text{dout}
#   - \frac{1}{m} \sum \text{dout} - \hat x\, \frac{1}{m} \sum \text{dout} \cdot \hat x \right)$$
#
# The two sums are $d\beta$ and $d\gamma$. You have them already.
#
# When not training, $\mu$ and $\sigma$ are constants. Then only the factor in front is left.


# %%
def batch_norm_backward(
    dout: Float[np.ndarray, "n c h w"], cache: tuple
) -> tuple[Float[np.ndarray, "n c h w"], Float[np.ndarray, " c"], Float[np.ndarray, " c"]]:
    """Return the gradients of x, gamma and beta, for the forward that made `cache`.

    dbeta = sum dout, dgamma = sum dout * x_hat, each over n, h and w. In training
    dx = gamma / sqrt(var + eps) * (dout - dbeta / m - x_hat * dgamma / m) with m = n * h * w;
    otherwise dx = gamma / sqrt(var + eps) * dout.

    Args:
        dout: Gradient of the loss with respect to `out`.
        cache: From `batch_norm_forward`.

    Returns:
        dx: Shape of `x`.
        dgamma: Shape (c,).
        dbeta: Shape (c,).

    Raises:
        ValueError: `dout` does not have the shape of `out`.

    Source:
        Ioffe & Szegedy 2015, "Batch Normalization", section 3.
    """
    ### BEGIN SOLUTION
    x_hat, gamma, inv_std, training = cache
    if dout.shape != x_hat.shape:
        raise ValueError(f"dout has shape {dout.shape}; out has {x_hat.shape}.")
    count = len(x_hat) * x_hat.shape[2] * x_hat.shape[3]
    dbeta = dout.sum(axis=(0, 2, 3))
    dgamma = (dout * x_hat).sum(axis=(0, 2, 3))
    dx = dout
    if training:
        dx = dout - dbeta[:, None, None] / count - x_hat * (dgamma[:, None, None] / count)
    dx = (gamma * inv_std)[:, None, None] * dx
    return dx, dgamma, dbeta
    ### END SOLUTION


# %% tags=["check"]
gs.check("batch_norm_backward")

# %% [markdown]
# ### The kernel `batch_norm_backward.wgsl`
#
# One workgroup per channel again. It needs two sums, and both can go up the same tree: let the
# workgroup's memory hold pairs, `array<vec2f, WORKGROUP_SIZE>`.
#
# The kernel gets x, the mean and the variance, and works out $\hat x$ again. Computing it twice is
# cheaper than writing it down in the forward and reading it back.

# %% tags=["demo"]
gs.show_kernel("batch_norm_backward.wgsl")

# %% tags=["check"]
gs.check("batch_norm_backward.wgsl")

# %% [markdown]
# ## 5.4 Does that make depth easy?
#
# Signals keep their size now, and gradients can be computed. The next cell builds stacks of
# convolution, batch norm and ReLU, at their initial weights, and measures the gradient at the
# **first** layer. It does so for several batches of 64 digits.
#
# **Question.** How large is the gradient at the first of 30 layers: far smaller than at depth 8,
# about the same, or larger? Write down your guess.


# %% tags=["demo"]
def stack_gradient(depth, images, labels, rng):
    """Return the first kernel's gradient in a stack of conv-bn-relu with fresh weights."""
    one, zero = np.ones(8, np.float32), np.zeros(8, np.float32)
    x, caches = images, []
    for layer in range(depth):
        x, conv_cache = conv2d_forward(x, he_conv(8, x.shape[1], 3, rng), 2 if layer == 1 else 1)
        x, norm_cache, _ = batch_norm_forward(x, one, zero, {"mean": zero, "var": one})
        x, relu_cache = relu_forward(x)
        caches.append((conv_cache, norm_cache, relu_cache))
    pooled, pool_cache = global_avg_pool_forward(x)
    w = (rng.standard_normal((8, 10)) / np.sqrt(8)).astype(np.float32)
    _, dlogits = cross_entropy(pooled @ w, labels)
    dx, dw = global_avg_pool_backward(dlogits @ w.T, pool_cache), None
    for conv_cache, norm_cache, relu_cache in reversed(caches):
        dx, _, _ = batch_norm_backward(relu_backward(dx, relu_cache), norm_cache)
        dx, dw = conv2d_backward(dx, conv_cache)
    return dw.ravel()


def norm_and_agreement(gradients):
    """Return the mean norm of some gradients, and the mean cosine between two of them."""
    norms = [np.linalg.norm(g) for g in gradients]
    units = np.array([g / size for g, size in zip(gradients, norms, strict=True)])
    cosines = units @ units.T
    return np.mean(norms), (cosines.sum() - len(units)) / (len(units) * (len(units) - 1))


DEPTHS = (4, 8, 14, 20, 30)
measured = []
for depth in DEPTHS:
    both = []
    for seed in range(8):
        parts = [train[64 * k : 64 * k + 64] for k in range(4)]
        # The same seed for each batch: the same net sees four different batches.
        gradients = [
            stack_gradient(depth, images[part], digits[part], np.random.default_rng(seed)) for part in parts
        ]
        both.append(norm_and_agreement(gradients))
    measured.append(np.mean(both, axis=0))
stack_norms, stack_agreement = np.array(measured).T

fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.6))
left.semilogy(DEPTHS, stack_norms, "o-", color=BLUE)
left.set(xlabel="depth", ylabel="norm of the first layer's gradient", title="How large")
right.plot(DEPTHS, stack_agreement, "o-", color=BLUE)
right.axhline(0, color=GREY, linewidth=1)
right.set(xlabel="depth", ylabel="cosine", ylim=(-0.1, 0.6), title="Do two batches agree?")
fig.tight_layout()
for depth, size, agreement in zip(DEPTHS, stack_norms, stack_agreement, strict=True):
    print(f"depth {depth:2}: norm {size:.2f}, cosine between two batches {agreement:.2f}")

# %% [markdown]
# It does not vanish. With batch norm it even *grows* with depth. So the size is not the trouble.
#
# Look at the right picture. The cosine says whether two batches of digits want the first layer to
# move the same way: 1 is agreement, 0 is no relation at all. In a shallow net they agree somewhat.
# In the deep ones they are all but strangers. Each batch sends the first layer in a direction of its own, and
# over many batches the steps cancel. The gradient has not become small. It has become **noise**.
#
# Where does the noise come from? Every ReLU on the way switches part of the gradient off, and which
# part depends on the picture. After 30 layers, what reaches the bottom has been shuffled so often
# that two similar pictures have nothing in common any more. David Balduzzi called such gradients
# *shattered*.
#
# ## 5.5 One plus sign
#
# **Question.** Take a net of 20 layers that works. Add ten layers at the top. What is the *worst*
# that the longer net can do, if its weights are chosen well?
#
# <details><summary>Answer</summary>
#
# As well as the shorter one: let the ten new layers pass on what they get, $f(x) = x$. So a deeper
# net is never worse *in principle*. If it is worse in practice, then the training does not find even
# that.
#
# </details>
#
# Passing something on unchanged is hard work for a stack of convolutions: their weights must be just
# right. So make it the easy case. Let a layer compute only what should be *added*:
#
# $$\text{out} = x + f(x)$$
#
# Now "pass it on" is $f(x) = 0$, and that is easy. This is a **residual** connection, the idea
# of Kaiming He and others in 2015. The path that x takes is called the shortcut or the **residual
# stream**: layers read from it and add to it, and nothing is ever wiped out.
#
# The way back is as simple. Both terms get the upstream gradient, so
#
# $$dx = \text{dout} + f_\text{backward}(\text{dout})$$
#
# Whatever $f$ does to its share, the other share arrives untouched.
#
# `f` is a function, as an argument. Every forward in this course returns `out, cache`, and so
# may `f`. It may also be a plain function such as `np.tanh` that returns one array. Then keep x in
# place of its cache.


# %%
def residual_forward(x: Float[np.ndarray, "*shape"], f) -> tuple[Float[np.ndarray, "*shape"], object]:
    """Add what `f` makes of x to x.

    out = x + f(x)

    Args:
        x: Any array.
        f: A function of x. It returns `f_out, f_cache`, or only the array `f_out`.

    Returns:
        out: Shape of `x`.
        cache: The cache that `f` returned; x itself where `f` returns only an array.

    Raises:
        ValueError: `f_out` does not have the shape of `x`.

    Source:
        He et al. 2015, "Deep Residual Learning for Image Recognition", eq. 1.
    """
    ### BEGIN SOLUTION
    result = f(x)
    f_out, f_cache = result if isinstance(result, tuple) else (result, x)
    if f_out.shape != x.shape:
        raise ValueError(f"f makes {f_out.shape} of {x.shape}; only equal shapes can be added.")
    return x + f_out, f_cache
    ### END SOLUTION


# %% tags=["check"]
gs.check("residual_forward")


# %%
def residual_backward(
    dout: Float[np.ndarray, "*shape"], cache: object, f_backward
) -> Float[np.ndarray, "*shape"]:
    """Return the gradient of x.

    dx = dout + f_backward(dout, cache)

    Args:
        dout: Gradient of the loss with respect to `out`.
        cache: From `residual_forward`.
        f_backward: The backward of `f`: takes dout and the cache of `f`, returns one array.

    Returns:
        dx: Shape of `dout`.

    Raises:
        ValueError: `f_backward` returns another shape than that of `dout`.

    Source:
        He et al. 2016, "Identity Mappings in Deep Residual Networks", eq. 5.
    """
    ### BEGIN SOLUTION
    df = f_backward(dout, cache)
    if df.shape != dout.shape:
        raise ValueError(f"f_backward makes {df.shape} of {dout.shape}; only equal shapes can be added.")
    return dout + df
    ### END SOLUTION


# %% tags=["check"]
gs.check("residual_backward")

# %% [markdown]
# **Question.** Stack two of them: $y = x + f(x)$, then $z = y + g(y)$. How many different paths lead
# from x to z? How many with 14?
#
# <details><summary>Answer</summary>
#
# Four: past both, through $f$ only, through $g$ only, through both. With 14 there are
# $2^{14} = 16384$ paths, and one of them passes no layer at all. On the way back the short paths
# bring a gradient that was hardly shuffled.
#
# </details>
#
# ### The kernels `add_relu_forward.wgsl` and `add_relu_backward.wgsl`
#
# In the block that you will build next, a ReLU follows the sum. Two kernels would write the sum to
# memory and read it back. One fused kernel keeps it in a register: `max(x[i] + y[i], 0)`.
#
# The backward needs no sum either. Where `out` is positive, the sum was. And one output is enough: a sum
# hands the same gradient to both of its terms.

# %% tags=["demo"]
gs.show_kernel("add_relu_forward.wgsl")

# %% tags=["check"]
gs.check("add_relu_forward.wgsl")

# %% tags=["demo"]
gs.show_kernel("add_relu_backward.wgsl")

# %% tags=["check"]
gs.check("add_relu_backward.wgsl")

# %% [markdown]
# ## 5.6 The basic block
#
# The block of He's paper: convolution, batch norm, ReLU, convolution, batch norm, then the sum, then
# ReLU. Two layers of weights and one shortcut.
#
# ![The basic block: two convolutions with batch norm, and the shortcut past them](figures/block.svg)
#
# **Question.** With stride 2 the branch makes 4 by 4 of 8 by 8, perhaps with more channels. What can be
# added to that?
#
# <details><summary>Answer</summary>
#
# Not x: the shapes differ. The shortcut must change shape in the same way. The cheapest way is a 1 by 1
# convolution with the same stride, with its own batch norm. It is used only where it must be: where
# shapes agree, x itself goes through.
#
# </details>
#
# A convolution followed by batch norm occurs three times, so these two helpers are given. They take
# the entries of `params` and `running` that end in `suffix`: `"1"`, `"2"` or `"_skip"`.


# %%
def conv_norm_forward(x, params, running, suffix, stride, training):
    """Convolve, then normalize; return out, cache and the new running values under the same names."""
    out, conv_cache = conv2d_forward(x, params[f"w{suffix}"], stride)
    stats = {"mean": running[f"mean{suffix}"], "var": running[f"var{suffix}"]}
    out, norm_cache, stats = batch_norm_forward(
        out, params[f"gamma{suffix}"], params[f"beta{suffix}"], stats, training
    )
    new = {f"mean{suffix}": stats["mean"], f"var{suffix}": stats["var"]}
    return out, (conv_cache, norm_cache), new


def conv_norm_backward(dout, cache, suffix):
    """Return dx, and the gradients under the names of their parameters."""
    dout, dgamma, dbeta = batch_norm_backward(dout, cache[1])
    dx, dw = conv2d_backward(dout, cache[0])
    return dx, {f"w{suffix}": dw, f"gamma{suffix}": dgamma, f"beta{suffix}": dbeta}


def fresh_running(params):
    """Running values at the start: mean 0 and var 1 beside every gamma in `params`."""
    running = {}
    for name, gamma in params.items():
        if "gamma" in name:
            running[name.replace("gamma", "mean")] = np.zeros_like(gamma)
            running[name.replace("gamma", "var")] = np.ones_like(gamma)
    return running


# %% [markdown]
# The argument `shortcut` is for our experiment: with `shortcut=False` the block is the same without
# the plus sign. Everything else stays.


# %%
def basic_block_forward(
    x: Float[np.ndarray, "n c_in h w"],
    params: dict,
    stride: int = 1,
    running: dict | None = None,
    training: bool = True,
    shortcut: bool = True,
) -> tuple[Float[np.ndarray, "n c_out h_out w_out"], dict]:
    """Two convolutions with batch norm, added to a shortcut.

    branch = bn2(conv2(relu(bn1(conv1(x)))))    conv1 with `stride`, conv2 with stride 1
    skip   = x, or bn_skip(conv_skip(x)) where stride != 1 or c_in != c_out
    out    = relu(branch + skip)                relu(branch) without shortcut

    Args:
        x: Images.
        params: w1 (c_out, c_in, 3, 3), w2 (c_out, c_out, 3, 3), gamma1, beta1, gamma2, beta2, each (c_out,).
            Where the shortcut changes shape also w_skip (c_out, c_in, 1, 1), gamma_skip, beta_skip (c_out,).
        stride: Of the first convolution and of the shortcut's.
        running: mean1, var1, mean2, var2 and, beside w_skip, mean_skip, var_skip, each (c_out,).
            None starts from `fresh_running(params)`.
        training: Passed on to every batch norm.
        shortcut: False leaves the shortcut out.

    Returns:
        out: h_out = ceil(h / stride), and w_out likewise.
        cache: A dict for `basic_block_backward`. `cache["running"]` holds the new running values, under the
            names of `running`.

    Raises:
        ValueError: x does not have four axes or not the channels of w1; w_skip is missing where the
            shortcut changes shape, or is there where there is nothing to change.

    Source:
        He et al. 2015, "Deep Residual Learning for Image Recognition", figure 2 and section 3.3.
    """
    ### BEGIN SOLUTION
    c_out, c_in = params["w1"].shape[:2]
    if x.ndim != 4 or x.shape[1] != c_in:
        raise ValueError(f"x has shape {x.shape}; w1 needs (n, {c_in}, h, w).")
    projects = shortcut and (stride != 1 or c_in != c_out)
    if projects != ("w_skip" in params):
        raise ValueError(
            f"{c_in} to {c_out} channels at stride {stride} with shortcut={shortcut}: "
            f"w_skip is {'needed' if projects else 'not used'} here."
        )
    running = fresh_running(params) if running is None else running

    branch, cache1, new1 = conv_norm_forward(x, params, running, "1", stride, training)
    branch, relu_cache = relu_forward(branch)
    branch, cache2, new2 = conv_norm_forward(branch, params, running, "2", 1, training)
    skip, cache_skip, new_skip = x, None, {}
    if projects:
        skip, cache_skip, new_skip = conv_norm_forward(x, params, running, "_skip", stride, training)
    out = relu_forward(branch + skip if shortcut else branch)[0]
    cache = {
        "out": out,
        "conv1": cache1,
        "relu": relu_cache,
        "conv2": cache2,
        "skip": cache_skip,
        "shortcut": shortcut,
        "running": {**new1, **new2, **new_skip},
    }
    return out, cache
    ### END SOLUTION


# %% tags=["check"]
gs.check("basic_block_forward")

# %% [markdown]
# The way back walks the picture from the bottom to the top. Where two arrows left, two gradients come
# together: add them.


# %%
def basic_block_backward(
    dout: Float[np.ndarray, "n c_out h_out w_out"], cache: dict
) -> tuple[Float[np.ndarray, "n c_in h w"], dict]:
    """Return the gradient of x and those of the parameters.

    Args:
        dout: Gradient of the loss with respect to `out`.
        cache: From `basic_block_forward`.

    Returns:
        dx: Shape of `x`.
        grads: One gradient for each entry of `params`, under the same name.

    Raises:
        ValueError: `dout` does not have the shape of `out`.

    Source:
        He et al. 2015, "Deep Residual Learning for Image Recognition", figure 2.
    """
    ### BEGIN SOLUTION
    if dout.shape != cache["out"].shape:
        raise ValueError(f"dout has shape {dout.shape}; out has {cache['out'].shape}.")
    dsum = relu_backward(dout, cache["out"])
    dbranch, grads2 = conv_norm_backward(dsum, cache["conv2"], "2")
    dbranch = relu_backward(dbranch, cache["relu"])
    dx, grads1 = conv_norm_backward(dbranch, cache["conv1"], "1")
    grads = {**grads1, **grads2}
    if cache["skip"] is not None:
        dskip, grads_skip = conv_norm_backward(dsum, cache["skip"], "_skip")
        dx, grads = dx + dskip, {**grads, **grads_skip}
    elif cache["shortcut"]:
        dx = dx + dsum
    return dx, grads
    ### END SOLUTION


# %% tags=["check"]
gs.check("basic_block_backward")

# %% [markdown]
# ## 5.7 The whole net
#
# Four parts, from bottom to top:
#
# 1. the **stem**: one convolution with batch norm, then ReLU;
# 2. the **blocks**, one after the other;
# 3. the average of each channel over the picture;
# 4. the **head**: one affine layer, one score per class.
#
# Depth counts layers with weights: the stem, two per block, the head. So 14 blocks make 30.
#
# All parameters live in one flat dict. Names of block 3 start with `block3_`. Two helpers cut a block's
# dict out and put the names back, and a third makes the initial weights. A net without shortcuts starts
# from the *same* weights; only the 1 by 1 convolution is missing.
#
# The rule of He's paper for strides: a block that changes the number of channels halves the picture
# (stride 2). All others have stride 1.


# %%
def cut(values, prefix):
    """The entries whose names start with `prefix`, without it."""
    return {name[len(prefix) :]: value for name, value in values.items() if name.startswith(prefix)}


def prefixed(prefix, values):
    """The same entries with `prefix` before their names."""
    return {prefix + name: value for name, value in values.items()}


def conv_params(suffix, c_out, c_in, k, rng):
    gamma, beta = np.ones(c_out, np.float32), np.zeros(c_out, np.float32)
    return {f"w{suffix}": he_conv(c_out, c_in, k, rng), f"gamma{suffix}": gamma, f"beta{suffix}": beta}


def resnet_init(depth, rng, shortcut=True, c_stem=4, c_block=8, n_classes=10):
    """Parameters of a net of `depth` layers: a stem and depth // 2 - 1 blocks, the first at stride 2."""
    params = conv_params("_stem", c_stem, 1, 3, rng)
    for i in range(depth // 2 - 1):
        c_in = c_stem if i == 0 else c_block
        block = conv_params("1", c_block, c_in, 3, rng) | conv_params("2", c_block, c_block, 3, rng)
        skip = conv_params("_skip", c_block, c_in, 1, rng) if i == 0 else {}
        params |= prefixed(f"block{i}_", block | (skip if shortcut else {}))
    w_head = rng.standard_normal((c_block, n_classes)) / np.sqrt(c_block)
    return params | {"w_head": w_head.astype(np.float32), "b_head": np.zeros(n_classes, np.float32)}


# %% [markdown]
# **Your turn.** Use your block. Count the blocks by asking whether `"block0_w1"`, `"block1_w1"`, ... are
# there.


# %%
def resnet_forward(
    x: Float[np.ndarray, "n c_in h w"],
    params: dict,
    running: dict | None = None,
    training: bool = True,
    shortcut: bool = True,
) -> tuple[Float[np.ndarray, "n n_classes"], dict]:
    """Stem, blocks, average over the picture, affine head.

    x = relu(bn_stem(conv_stem(x))), then every block in order, then the mean over h and w,
    then logits = pooled @ w_head + b_head.

    A block that changes the number of channels has stride 2, every other block stride 1.

    Args:
        x: Images.
        params: w_stem (c, c_in, 3, 3), gamma_stem, beta_stem (c,); for i = 0, 1, ... the entries of
            `basic_block_forward` with `block{i}_` before their names (block0_w1, ...); w_head (c, n_classes),
            b_head (n_classes,). There may be no block.
        running: mean_stem, var_stem and block{i}_mean1, block{i}_var1, ...; None starts from
            `fresh_running(params)`.
        training: Passed on to every batch norm.
        shortcut: Passed on to every block.

    Returns:
        logits: One score per class.
        cache: A dict for `resnet_backward`. `cache["running"]` holds the new running values, under the
            names of `running`.

    Raises:
        ValueError: x does not have four axes, or not the channels that w_stem needs.

    Source:
        He et al. 2015, "Deep Residual Learning for Image Recognition", section 4.2.
    """
    ### BEGIN SOLUTION
    if x.ndim != 4 or x.shape[1] != params["w_stem"].shape[1]:
        raise ValueError(f"x has shape {x.shape}; w_stem {params['w_stem'].shape} does not fit.")
    running = fresh_running(params) if running is None else running

    x, stem_cache, new_running = conv_norm_forward(x, params, running, "_stem", 1, training)
    x, relu_cache = relu_forward(x)
    block_caches = []
    while f"block{len(block_caches)}_w1" in params:
        prefix = f"block{len(block_caches)}_"
        block = cut(params, prefix)
        c_out, c_in = block["w1"].shape[:2]
        stride = 1 if c_in == c_out else 2
        x, cache = basic_block_forward(x, block, stride, cut(running, prefix), training, shortcut)
        new_running = {**new_running, **prefixed(prefix, cache["running"])}
        block_caches.append(cache)
    pooled, pool_cache = global_avg_pool_forward(x)
    logits, head_cache = affine_forward(pooled, params["w_head"], params["b_head"])
    cache = {
        "stem": stem_cache,
        "relu": relu_cache,
        "blocks": block_caches,
        "pool": pool_cache,
        "head": head_cache,
        "running": new_running,
    }
    return logits, cache
    ### END SOLUTION


# %% tags=["check"]
gs.check("resnet_forward")


# %%
def resnet_backward(dlogits: Float[np.ndarray, "n n_classes"], cache: dict) -> dict:
    """Return the gradients of all parameters.

    Args:
        dlogits: Gradient of the loss with respect to the logits.
        cache: From `resnet_forward`.

    Returns:
        grads: One gradient for each entry of `params`, under the same name.

    Raises:
        ValueError: `dlogits` does not have the shape of the logits.

    Source:
        Rumelhart et al. 1986, "Learning representations by back-propagating errors", eq. 4 to 7.
    """
    ### BEGIN SOLUTION
    pooled, w_head = cache["head"]
    if dlogits.shape != (len(pooled), w_head.shape[1]):
        raise ValueError(f"dlogits has shape {dlogits.shape}; expected {(len(pooled), w_head.shape[1])}.")
    dx, dw, db = affine_backward(dlogits, cache["head"])
    grads = {"w_head": dw, "b_head": db}
    dx = global_avg_pool_backward(dx, cache["pool"])
    for i in reversed(range(len(cache["blocks"]))):
        dx, block_grads = basic_block_backward(dx, cache["blocks"][i])
        grads = {**grads, **prefixed(f"block{i}_", block_grads)}
    dx = relu_backward(dx, cache["relu"])
    _, stem_grads = conv_norm_backward(dx, cache["stem"], "_stem")
    return {**grads, **stem_grads}
    ### END SOLUTION


# %% tags=["check"]
gs.check("resnet_backward")

# %% [markdown]
# ## 5.8 The run
#
# Six nets: depth 8, 20 and 30, each with and without shortcuts, three seeds each. All have the same
# number of pictures, steps and learning rates. A plain net and a residual one of the same seed start
# from the same weights and see the same batches. The settings were chosen with other seeds than the
# ones below.
#
# The learning rate climbs for 20 steps, while Adam still learns how large the gradients are. Then it
# falls in a straight line to 0, so that the weights stand still at the end and the running statistics
# can catch up with them.
#
# **Question.** Which of the six will be the worst? On the *training* pictures, too?


# %% tags=["demo"]
def train_net(depth, shortcut, seed, n_epochs=3, batch_size=64, lr=0.05, n_climb=20):
    """Train one net; return its test accuracy, its losses and its first gradient's norm."""
    rng = np.random.default_rng(seed)
    params = resnet_init(depth, rng, shortcut, c_stem=8, c_block=12)
    running, state, losses, first_norm = fresh_running(params), {}, [], 0.0
    n_steps = n_epochs * (len(train) // batch_size)
    for _ in range(n_epochs):
        order = rng.permutation(train)
        for first in range(0, len(order) - batch_size + 1, batch_size):
            chosen = order[first : first + batch_size]
            logits, cache = resnet_forward(images[chosen], params, running, True, shortcut)
            loss, dlogits = cross_entropy(logits, digits[chosen])
            grads = resnet_backward(dlogits, cache)
            first_norm = first_norm or float(np.linalg.norm(grads["w_stem"]))
            rate = lr * min(1, (len(losses) + 1) / n_climb) * (1 - len(losses) / n_steps)
            params, state = adam_step(params, grads, state, rate)
            running = cache["running"]
            losses.append(loss)
    logits, _ = resnet_forward(images[test], params, running, False, shortcut)
    return float(np.mean(logits.argmax(axis=1) == digits[test])), losses, first_norm


SEEDS = (30, 31, 32)
results = {}
print("depth  net       first-layer gradient    accuracy on the test pictures")
for depth in (8, 20, 30):
    for name, shortcut in (("plain", False), ("residual", True)):
        runs = [train_net(depth, shortcut, seed) for seed in SEEDS]
        results[depth, name] = runs
        norms = "  ".join(f"{norm:5.2f}" for _, _, norm in runs)
        reached = "  ".join(f"{accuracy:.3f}" for accuracy, _, _ in runs)
        print(f"{depth:5}  {name:8}  {norms}      {reached}")

COLOURS = {"plain": ORANGE, "residual": BLUE}
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8))
for name, colour in COLOURS.items():
    means = [np.mean([accuracy for accuracy, _, _ in results[depth, name]]) for depth in (8, 20, 30)]
    left.plot((8, 20, 30), means, color=colour)
    for depth in (8, 20, 30):
        for accuracy, _, _ in results[depth, name]:
            left.plot(depth, accuracy, "o", color=colour, markersize=5)
    left.annotate(name, (31, means[-1]), color=colour, va="center")
    for _, losses, _ in results[30, name]:
        smooth = np.convolve(losses, np.ones(11) / 11, mode="valid")
        right.plot(np.arange(len(smooth)) + 5, smooth, color=colour)
    right.annotate(f" {name}", (len(smooth) + 5, smooth[-1]), color=colour, va="center")
left.set(
    xlabel="depth", ylabel="test accuracy", xlim=(6, 37), ylim=(0, 1), xticks=(8, 20, 30), title="Three seeds"
)
right.set(
    xlabel="step",
    ylabel="training loss [nats]",
    xlim=(0, 82),
    ylim=(0, 2.5),
    title="Depth 30, while learning",
)
fig.tight_layout()
plain_accuracies = [accuracy for accuracy, _, _ in results[30, "plain"]]
residual_accuracies = [accuracy for accuracy, _, _ in results[30, "residual"]]
print(
    f"30 layers: plain {np.mean(plain_accuracies):.3f}, residual {np.mean(residual_accuracies):.3f} on average"
)

# %% [markdown]
# At depth 8 both nets learn. At depth 30 the plain one has not learned to read, and it is not
# that it knows its training pictures by heart: its *training* loss stays high, too. The residual one
# reads as well at 30 layers as at 8. One plus sign per block, no new parameter but one 1 by 1
# convolution.
#
# Three seeds are few. With these settings and 30 layers we have tried eleven: the plain net reached
# 0.18 to 0.42, the residual one 0.94 to 0.98.
#
# Look at the column of gradients again. The plain net's gradient at the first layer is the *larger*
# one. Whoever tells you that shortcuts cure vanishing gradients is right about nets without
# normalization. Here the norm had done that already. What the shortcut brings is a gradient that means something.
#
# The plain net is not hopeless: given many more steps it gets further. But for the same work it is far
# behind.

# %% [markdown]
# ## 5.9 The same step on your own kernels
#
# First, the four kernels against their NumPy twins, on sizes that no workgroup divides.

# %% tags=["demo"]
rng = np.random.default_rng(5)
x, y, dout = (rng.standard_normal((5, 3, 7, 3)).astype(np.float32) for _ in range(3))
gamma, beta = rng.standard_normal((2, 3)).astype(np.float32)
EPS = 1e-5

norm_forward, norm_backward = gs.kernel("batch_norm_forward.wgsl"), gs.kernel("batch_norm_backward.wgsl")
join_forward, join_backward = gs.kernel("add_relu_forward.wgsl"), gs.kernel("add_relu_backward.wgsl")

start = {"mean": np.zeros(3, np.float32), "var": np.ones(3, np.float32)}
out, norm_cache, _ = batch_norm_forward(x, gamma, beta, start)
mine = norm_forward(x=x, gamma=gamma, beta=beta, eps=EPS)
back = norm_backward(dout=dout, x=x, gamma=gamma, mean=mine["mean"], variance=mine["variance"], eps=EPS)
dx, dgamma, dbeta = batch_norm_backward(dout, norm_cache)
joined = join_forward(x=x.ravel(), y=y.ravel())
pairs = {
    "batch_norm_forward": (mine["out"], out),
    "batch_norm_backward, dx": (back["dx"], dx),
    "batch_norm_backward, dgamma": (back["dgamma"], dgamma),
    "batch_norm_backward, dbeta": (back["dbeta"], dbeta),
    "add_relu_forward": (joined, np.maximum(x + y, 0).ravel()),
    "add_relu_backward": (
        join_backward(dout=dout.ravel(), out=joined),
        relu_backward(dout, x + y).ravel(),
    ),
}
kernel_gaps = {name: float(np.abs(kernel - twin).max()) for name, (kernel, twin) in pairs.items()}
for name, gap in kernel_gaps.items():
    print(f"{name:28} differs from its twin by at most {gap:.1e}")

# %% [markdown]
# Then a training run of a small residual net: a stem, one block, the head. Every batch norm and every
# sum with its ReLU runs on your kernels, forward and backward. Convolutions stay in NumPy. Beside it the
# same net learns in NumPy alone, from the same weights and on the same batches.


# %% tags=["demo"]
def norm_on_kernels(x, params, suffix):
    x = np.ascontiguousarray(x)
    gamma, beta = params[f"gamma{suffix}"], params[f"beta{suffix}"]
    got = norm_forward(x=x, gamma=gamma, beta=beta, eps=EPS)
    return got["out"], {"x": x, "gamma": gamma, "mean": got["mean"], "variance": got["variance"]}


def join_on_kernels(x, y):
    return join_forward(x=x.ravel(), y=y.ravel()).reshape(x.shape)


def step_on_kernels(x, labels, params):
    """Return loss and gradients of a net with one block; norms, sums and ReLUs on the kernels."""
    caches, block = {}, cut(params, "block0_")

    def layer(x, values, suffix, stride=1):
        x, conv_cache = conv2d_forward(x, values[f"w{suffix}"], stride)
        x, norm_cache = norm_on_kernels(x, values, suffix)
        caches[suffix] = conv_cache, norm_cache
        return x

    def layer_backward(dout, suffix):
        conv_cache, norm_cache = caches[suffix]
        got = norm_backward(dout=np.ascontiguousarray(dout), **norm_cache, eps=EPS)
        dx, dw = conv2d_backward(got["dx"], conv_cache)
        return dx, {f"w{suffix}": dw, f"gamma{suffix}": got["dgamma"], f"beta{suffix}": got["dbeta"]}

    def relu_back(dout, out):
        return join_backward(dout=dout.ravel(), out=out.ravel()).reshape(out.shape)

    # ReLU alone is the fused kernel with nothing to add.
    stem = layer(x, params, "_stem")
    stem = join_on_kernels(stem, np.zeros_like(stem))
    middle = layer(stem, block, "1", 2)
    middle = join_on_kernels(middle, np.zeros_like(middle))
    out = join_on_kernels(layer(middle, block, "2"), layer(stem, block, "_skip", 2))
    pooled, pool_cache = global_avg_pool_forward(out)
    logits, head_cache = affine_forward(pooled, params["w_head"], params["b_head"])
    loss, dlogits = cross_entropy(logits, labels)

    dx, dw, db = affine_backward(dlogits, head_cache)
    dsum = relu_back(np.ascontiguousarray(global_avg_pool_backward(dx, pool_cache)), out)
    dmiddle, grads2 = layer_backward(dsum, "2")
    dstem, grads1 = layer_backward(relu_back(dmiddle, middle), "1")
    dskip, grads_skip = layer_backward(dsum, "_skip")
    _, stem_grads = layer_backward(relu_back(dstem + dskip, stem), "_stem")
    grads = prefixed("block0_", grads1 | grads2 | grads_skip) | stem_grads
    return loss, grads | {"w_head": dw, "b_head": db}


def step_in_numpy(x, labels, params):
    logits, cache = resnet_forward(x, params)
    loss, dlogits = cross_entropy(logits, labels)
    return loss, resnet_backward(dlogits, cache)


def small_run(step, n_steps=60):
    params, state, losses = resnet_init(4, np.random.default_rng(0)), {}, []
    for i in range(n_steps):
        chosen = train[(32 * i + np.arange(32)) % len(train)]
        loss, grads = step(images[chosen], digits[chosen], params)
        params, state = adam_step(params, grads, state, 0.02)
        losses.append(loss)
    return np.array(losses)


numpy_losses, kernel_losses = small_run(step_in_numpy), small_run(step_on_kernels)
early_gap = float(np.abs(numpy_losses - kernel_losses)[:10].max())
print(f"loss at the first step {kernel_losses[0]:.3f}, mean of the last ten {kernel_losses[-10:].mean():.3f}")
print(f"in NumPy               {numpy_losses[0]:.3f}                       {numpy_losses[-10:].mean():.3f}")
print(f"the first ten losses differ by at most {early_gap:.1e}")

# %% [markdown]
# ## 5.10 What you have
#
# | forward | backward | the idea in a line |
# |---|---|---|
# | `gamma * (x - mean) / sqrt(var + eps) + beta` | take out the mean and the part along `x_hat`, then scale | the size of the input no longer matters |
# | `x + f(x)` | `dout + f_backward(dout)` | compute what to add; "do nothing" is easy |
# | `relu(branch + skip)` | one gradient, handed to both | the block |
#
# PyTorch calls them `nn.BatchNorm2d` and `x + f(x)`; the block is torchvision's `BasicBlock`:
#
# ```python
# identity = x if self.downsample is None else self.downsample(x)
# out = self.relu(self.bn1(self.conv1(x)))
# out = self.bn2(self.conv2(out))
# out = self.relu(out + identity)
# model.eval()   # every batch norm now uses its running values
# ```
#
# Keep the picture of the stream in mind. A transformer is a residual stream as well: two blocks
# per layer that read from it and add to it, up to a hundred layers deep.
#
# **A last question.** Every layer so far mixes what is close together: a convolution sees 3 by 3 squares.
# How would you build a layer that lets any position look at any other, and choose which?
#
# <details><summary>Answer</summary>
#
# Let each position ask a question and compare it with what every other position offers. That is
# attention, and stage 6.
#
# </details>
