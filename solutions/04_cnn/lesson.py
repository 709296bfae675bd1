# %% [markdown]
# # 4. CNN: sharing weights over space
#
# You can read a 7 in the middle of a page, and you can read it in the corner. Nobody had to teach
# you sevens once for every place on the paper. The networks you have built so far do need that, and
# this stage first measures how badly.
#
# The cure is one idea: let the same few weights look at every place. That is a **convolution**. You
# will write it, its way back and the pooling that goes with it, in NumPy and as kernels. At the end
# a network of 6,218 numbers reads digits anywhere on the canvas, and an equally large MLP does not.
#
# You need the affine layer and the backward pass of stage 1, ReLU of stage 2 and Adam of stage 3.

# %% tags=["setup"]
import os

# The matrix products of this stage are small: several threads would mostly wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from jaxtyping import Float

import gradschool as gs

gs.start("04_cnn")

# %% [markdown]
# ## 4.1 The same digit, somewhere else
#
# The pictures of this stage are the 8 by 8 digits, each pasted at a random place on a canvas of 16 by 16.
# There are 81 places. An image has shape `(n, c, h, w)`: how many pictures, channels, rows,
# columns. Ours have one channel, the ink. A colour photo has three.

# %% tags=["demo"]
import matplotlib.pyplot as plt
from gradschool.data import split

BLUE, ORANGE, INK, GREY = "#1f6fb2", "#c05e00", "#1f2933", "#8a949e"
plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})


def canvases(seeds):
    """Join the canvases of several seeds: training and test digits stay apart, whatever the seed."""
    parts = [split(*gs.load_canvas_digits(seed)) for seed in seeds]
    x_train, y_train, x_test, y_test = (np.concatenate(part) for part in zip(*parts, strict=True))
    x_train, x_test = (x.reshape(-1, 1, 16, 16).astype(np.float32) for x in (x_train, x_test))
    return x_train, y_train, x_test, y_test


x_train, y_train, x_test, y_test = canvases(range(8))

fig, axes = plt.subplots(2, 8, figsize=(10, 2.8))
for row in range(2):
    for ax, i in zip(axes[row], np.flatnonzero(y_train == (7, 3)[row])[::90], strict=False):
        ax.imshow(x_train[i, 0], cmap="Greys")
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set(visible=True, color=GREY)
fig.tight_layout()
print(f"{len(x_train)} canvases to learn from, {len(x_test)} to be tested on, shape {x_train.shape[1:]}")

# %% [markdown]
# First the old way: an MLP with 24 hidden neurons, 6,418 numbers in all. These are your functions
# from the stages before, in short.


# %% tags=["demo"]
def affine(x, w, b):
    return x @ w + b


def affine_grads(dout, x, w):
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)


def cross_entropy(logits, labels):
    """Return the mean loss and its gradient."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    dlogits = np.exp(log_probs)
    dlogits[np.arange(len(labels)), labels] -= 1
    return float(-log_probs[np.arange(len(labels)), labels].mean()), dlogits / np.float32(len(labels))


def he(rng, *shape, fan_in):
    return (rng.standard_normal(shape) * np.sqrt(2 / fan_in)).astype(np.float32)


def mlp_start(rng):
    return {
        "w0": he(rng, 256, 24, fan_in=256),
        "b0": np.zeros(24, np.float32),
        "w1": he(rng, 24, 10, fan_in=24),
        "b1": np.zeros(10, np.float32),
    }


def mlp_logits(params, x):
    return affine(
        np.maximum(affine(x.reshape(len(x), -1), params["w0"], params["b0"]), 0), params["w1"], params["b1"]
    )


def mlp_grads(params, x, labels):
    x = x.reshape(len(x), -1)
    before = affine(x, params["w0"], params["b0"])
    hidden = np.maximum(before, 0)
    loss, dlogits = cross_entropy(affine(hidden, params["w1"], params["b1"]), labels)
    dhidden, dw1, db1 = affine_grads(dlogits, hidden, params["w1"])
    _, dw0, db0 = affine_grads(dhidden * (before > 0), x, params["w0"])
    return loss, {"w0": dw0, "b0": db0, "w1": dw1, "b1": db1}


def train(grads_of, params, x, y, n_epochs, seed, lr=0.005, batch_size=64):
    """Adam with a rate that falls to a twentieth; return the parameters and every loss."""
    rng = np.random.default_rng(seed)
    mean = {name: np.zeros_like(value) for name, value in params.items()}
    square = {name: np.zeros_like(value) for name, value in params.items()}
    n_steps, losses = n_epochs * (len(x) // batch_size), []
    for _ in range(n_epochs):
        order = rng.permutation(len(x))
        for first in range(0, len(x) - batch_size + 1, batch_size):
            chosen = order[first : first + batch_size]
            loss, grads = grads_of(params, x[chosen], y[chosen])
            losses.append(loss)
            t, now = len(losses), lr * (1 - 0.95 * len(losses) / n_steps)
            new = {}
            for name, value in params.items():
                mean[name] = 0.9 * mean[name] + 0.1 * grads[name]
                square[name] = 0.999 * square[name] + 0.001 * grads[name] ** 2
                step = (mean[name] / (1 - 0.9**t)) / (np.sqrt(square[name] / (1 - 0.999**t)) + 1e-8)
                new[name] = (value - now * step).astype(np.float32)
            params = new
    return params, losses


def accuracy(logits_of, params, x, y):
    """Share of right answers, 512 pictures at a time."""
    right = [
        logits_of(params, x[i : i + 512]).argmax(axis=-1) == y[i : i + 512] for i in range(0, len(x), 512)
    ]
    return float(np.concatenate(right).mean())


def n_numbers(params):
    return sum(value.size for value in params.values())


mlp_params, _ = train(
    mlp_grads, mlp_start(np.random.default_rng(0)), x_train, y_train, n_epochs=8, seed=0, lr=0.01
)
mlp_accuracy = accuracy(mlp_logits, mlp_params, x_test, y_test)
print(f"MLP: {n_numbers(mlp_params)} numbers, accuracy on the test canvases {mlp_accuracy:.3f}")

# %% [markdown]
# Not even three in four, after 11,504 canvases. In stage 1 a single affine layer was right 96 times in
# 100 after 1,438 pictures, when every digit stood in the same place.
#
# **Question.** Train the same MLP only with digits near the middle: their upper left corner lies in
# rows 2 to 5 and columns 2 to 5, 16 of the 81 places. How well will it read digits there? How well
# elsewhere?

# %% tags=["demo"]
pictures, digits = gs.load_digits()
small_train, small_y, small_test, small_test_y = split(pictures, digits)


def paste(small, rows, columns):
    """Put each 8 by 8 picture on a canvas, its corner at (row, column)."""
    canvas = np.zeros((len(small), 1, 16, 16), np.float32)
    for i, (row, column) in enumerate(zip(rows, columns, strict=True)):
        canvas[i, 0, row : row + 8, column : column + 8] = small[i].reshape(8, 8)
    return canvas


def accuracy_by_place(logits_of, params, n_pictures=60):
    """Test the same pictures at each of the 81 places."""
    table = np.zeros((9, 9))
    for row, column in np.ndindex(9, 9):
        x = paste(small_test[:n_pictures], [row] * n_pictures, [column] * n_pictures)
        table[row, column] = accuracy(logits_of, params, x, small_test_y[:n_pictures])
    return table


def draw_places(ax, table, title):
    image = ax.imshow(table, cmap="viridis", vmin=0, vmax=1)
    ax.add_patch(plt.Rectangle((1.5, 1.5), 4, 4, fill=False, edgecolor=ORANGE, linewidth=3))
    ax.set(title=title, xlabel="column of the digit's corner", ylabel="row")
    return image


rng = np.random.default_rng(4)
middle_x = np.concatenate([paste(small_train, *rng.integers(2, 6, (2, len(small_train)))) for _ in range(4)])
middle_y = np.tile(small_y, 4)
middle_mlp, _ = train(mlp_grads, mlp_start(rng), middle_x, middle_y, n_epochs=8, seed=1, lr=0.01)
mlp_places = accuracy_by_place(mlp_logits, middle_mlp)

fig, ax = plt.subplots(figsize=(5, 4))
fig.colorbar(draw_places(ax, mlp_places, "MLP, trained inside the frame"), label="accuracy")
fig.tight_layout()
inside = np.zeros((9, 9), bool)
inside[2:6, 2:6] = True
print(f"inside the frame {mlp_places[inside].mean():.2f}, outside {mlp_places[~inside].mean():.2f}")

# %% [markdown]
# Outside the frame it falls to chance, one in ten, within a few squares. A weight of the first
# layer belongs to one square of the canvas. It learns from ink on that square and from nothing
# else. What was learned about a 7 in one corner is written in weights that the other corner never
# uses.
#
# So the MLP must learn every digit 81 times over, with 24 neurons to hold it all.
#
# ## 4.2 One small layer, every place
#
# **Question.** You may keep only nine weights, for a patch of 3 by 3 squares. How do you use them to
# look at a whole canvas?
#
# <details><summary>Answer</summary>
#
# Lay the patch on the first 3 by 3 squares, take the weighted vote of stage 1, and write the score
# down. Move the patch by one square, and vote again, *with the same weights*. Go on until every
# place has a score. The scores form a picture themselves.
#
# </details>
#
# The nine weights are a **filter**, the patch of picture under it is its **window**, and the
# picture of scores is a **feature map**:
#
# $$\text{out}_{r,s} = b + \sum_{i,j} x_{r+i,\;s+j}\; w_{i,j}$$
#
# ![A filter of 3 by 3 visits a picture of 4 by 5 and leaves 2 by 3 scores](figures/window.svg)
#
# Mathematicians call this a *cross-correlation*. Their convolution turns the filter upside down
# first. Networks never do: the weights are learned, so it does not matter, and the plain version is
# easier. Everybody says convolution anyway.
#
# Two numbers can be chosen.
#
# - **Padding** adds rows and columns of zeros around the picture, `padding` on each side. With a
#   3 by 3 filter and padding 1 the map is as large as the picture.
# - **Stride** is how far the window moves. With stride 2 it visits every second place, and the map
#   has half as many rows and columns.
#
# Both may be one number for both axes or a pair `(rows, columns)`.
#
# **Question.** A picture has 9 rows, the filter 4, the padding is 1 above and below, the stride
# is 3. How many rows has the map?
#
# <details><summary>Answer</summary>
#
# The padded picture has 11 rows. The window's first row can be 0, 3 or 6, and 9 is too far: the
# window would need rows 9 to 12. So 3 rows. In general the window can move $h + 2p - k$ rows from
# its first place, and makes one stop per stride:
#
# $$h_{\text{out}} = \left\lfloor \frac{h + 2p - k}{\text{stride}} \right\rfloor + 1$$
#
# Rows at the bottom that no window reaches are not seen. That is no error.
#
# </details>
#
# The next cell is given. Every exercise of the stage needs it.


# %%
def as_pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """Return (rows, columns): a single number counts for both."""
    rows, columns = (value, value) if np.ndim(value) == 0 else value
    return int(rows), int(columns)


def output_size(
    h: int,
    w: int,
    size: int | tuple[int, int],
    stride: int | tuple[int, int],
    padding: int | tuple[int, int] = 0,
) -> tuple[int, int]:
    """Return how many rows and columns of places a window of `size` has on a picture of h by w.

    Raises:
        ValueError: `size` or `stride` is below 1, `padding` is negative, or the window is
            larger than the padded picture.
    """
    sizes = []
    for length, k, step, pad in zip((h, w), as_pair(size), as_pair(stride), as_pair(padding), strict=True):
        if k < 1 or step < 1 or pad < 0:
            raise ValueError(f"size {k} and stride {step} must be at least 1, padding {pad} at least 0.")
        if k > length + 2 * pad:
            raise ValueError(f"A window of {k} does not fit into {length} with padding {pad}.")
        sizes.append((length + 2 * pad - k) // step + 1)
    return sizes[0], sizes[1]


# %% [markdown]
# ### All windows as one matrix
#
# Each place is a small affine layer with the same weights. You have a fast affine layer for many
# examples: one matrix product. So write the windows under each other, each as one row, and treat
# the *places* as the examples. This rearrangement is called `im2col`.
#
# ![Each window of the picture becomes one row of a matrix](figures/im2col.svg)
#
# One row holds a window of **all** channels: first channel 0 from left to right and top to bottom,
# then channel 1, and so on. The rows come in reading order too: picture by picture, in each picture
# row by row.
#
# **Question.** How many numbers does the matrix hold, for a 16 by 16 picture with 3 by 3 windows, padding
# 1 and stride 1? How many does the picture hold?
#
# <details><summary>Answer</summary>
#
# 256 rows of 9 numbers, 2,304 in all, against 256. Nearly every pixel is copied nine times. That is
# the price for one large matrix product, and on most machines it is worth paying.
#
# </details>
#
# A loop over all places in Python is slow. There are far fewer places *within the filter*. For one
# of them, (i, j), the pixels that meet it over all windows are a slice of the padded picture that
# starts at (i, j) and takes steps of the stride.


# %%
def im2col(
    x: Float[np.ndarray, "n c h w"],
    kh: int,
    kw: int,
    stride: int | tuple[int, int],
    padding: int | tuple[int, int],
) -> Float[np.ndarray, "n_places c_kh_kw"]:
    """Write every window of every picture as one row.

    out[(m, r, s), (c, i, j)] = x[m, c, r * stride_h + i - pad_h, s * stride_w + j - pad_w],
    where x counts as 0 outside the picture.

    Args:
        x: Pictures.
        kh: Rows of a window.
        kw: Columns of a window.
        stride: How far the window moves, a number or (rows, columns).
        padding: Zeros on each side, a number or (rows, columns).

    Returns:
        A matrix (n * h_out * w_out, c * kh * kw) of x's dtype, not a view of `x`. Rows are
        ordered by picture, row, column of the place; columns by channel, row, column in the window.

    Raises:
        ValueError: `x` does not have four axes, a size or stride is below 1, the padding is
            negative, or the window is larger than the padded picture.

    Source:
        Chellapilla, Puri & Simard 2006, "High performance convolutional neural
        networks for document processing".
    """
    ### BEGIN SOLUTION
    if x.ndim != 4:
        raise ValueError(f"x has shape {x.shape}; pictures have four axes (n, c, h, w).")
    n, c, h, w = x.shape
    h_out, w_out = output_size(h, w, (kh, kw), stride, padding)
    (stride_h, stride_w), (pad_h, pad_w) = as_pair(stride), as_pair(padding)
    padded = np.zeros((n, c, h + 2 * pad_h, w + 2 * pad_w), x.dtype)
    padded[:, :, pad_h : pad_h + h, pad_w : pad_w + w] = x
    windows = np.empty((n, h_out, w_out, c, kh, kw), x.dtype)
    for i in range(kh):
        for j in range(kw):
            # What meets filter place (i, j): one pixel of each window.
            met = padded[:, :, i : i + stride_h * h_out : stride_h, j : j + stride_w * w_out : stride_w]
            windows[..., i, j] = met.transpose(0, 2, 3, 1)
    return windows.reshape(n * h_out * w_out, c * kh * kw)
    ### END SOLUTION


# %% tags=["check"]
gs.check("im2col")

# %% [markdown]
# ### And back again
#
# On the way back a gradient arrives for every number of that matrix. Each number was a copy of a
# pixel. What is the gradient of the pixel?
#
# **Question.** A pixel in the middle of the picture was copied into nine windows. The nine copies
# have nine gradients. What is its own?
#
# <details><summary>Answer</summary>
#
# Their sum. If the pixel changes by a little, all nine copies change by as much, and the loss
# changes by the sum of what each copy does. *What was copied on the way forward is added up on the
# way back.* The weights that serve many examples obeyed this rule in stage 1. It will come again.
#
# </details>
#
# So `col2im` walks the same slices and adds instead of copying. Gradients that land on the padding
# are dropped: zeros that we invented need no gradient.


# %%
def col2im(
    cols: Float[np.ndarray, "n_places c_kh_kw"],
    x_shape: tuple[int, int, int, int],
    kh: int,
    kw: int,
    stride: int | tuple[int, int],
    padding: int | tuple[int, int],
) -> Float[np.ndarray, "n c h w"]:
    """Add every row back to the pixels its window covers: the transpose of `im2col`.

    out[m, c, y, z] = sum of cols[(m, r, s), (c, i, j)] over all r, s, i, j with
    r * stride_h + i - pad_h = y and s * stride_w + j - pad_w = z.

    Args:
        cols: One row per place, ordered as `im2col` orders them.
        x_shape: Shape (n, c, h, w) of the pictures.
        kh: Rows of a window.
        kw: Columns of a window.
        stride: How far the window moves, a number or (rows, columns).
        padding: Zeros on each side, a number or (rows, columns).

    Returns:
        Pictures of shape `x_shape` and the dtype of `cols`; 0 where no window reaches.

    Raises:
        ValueError: `cols` does not have the shape that `im2col` gives for these pictures.

    Source:
        Chellapilla, Puri & Simard 2006, "High performance convolutional neural
        networks for document processing".
    """
    ### BEGIN SOLUTION
    n, c, h, w = x_shape
    h_out, w_out = output_size(h, w, (kh, kw), stride, padding)
    if cols.shape != (n * h_out * w_out, c * kh * kw):
        raise ValueError(
            f"cols has shape {cols.shape}; these windows need {(n * h_out * w_out, c * kh * kw)}."
        )
    (stride_h, stride_w), (pad_h, pad_w) = as_pair(stride), as_pair(padding)
    windows = cols.reshape(n, h_out, w_out, c, kh, kw)
    padded = np.zeros((n, c, h + 2 * pad_h, w + 2 * pad_w), cols.dtype)
    for i in range(kh):
        for j in range(kw):
            met = padded[:, :, i : i + stride_h * h_out : stride_h, j : j + stride_w * w_out : stride_w]
            met += windows[..., i, j].transpose(0, 3, 1, 2)
    return padded[:, :, pad_h : pad_h + h, pad_w : pad_w + w].copy()
    ### END SOLUTION


# %% tags=["check"]
gs.check("col2im")

# %% [markdown]
# Send a picture of ones there and back. Each pixel then holds the number of windows that saw it.

# %% tags=["demo"]
ones = np.ones((1, 1, 9, 12))
fig, axes = plt.subplots(1, 3, figsize=(10, 2.8))
for ax, (stride, padding) in zip(axes, ((1, 0), (2, 0), ((3, 2), 1)), strict=True):
    seen = col2im(im2col(ones, 3, 3, stride, padding), ones.shape, 3, 3, stride, padding)[0, 0]
    ax.imshow(seen, cmap="Blues", vmin=0, vmax=12)
    for (row, column), times in np.ndenumerate(seen):
        ax.text(column, row, f"{times:.0f}", ha="center", va="center", fontsize=9)
    ax.set_title(f"stride {stride}, padding {padding}", fontsize=11)
    ax.axis("off")
fig.suptitle("How many windows of 3 by 3 see each pixel")
fig.tight_layout()

# %% [markdown]
# Without padding a corner is seen once and the middle nine times. With stride 2 a last column can
# go unseen.
#
# ## 4.3 The convolution
#
# One filter finds one kind of thing. So a layer has `c_out` filters and makes `c_out` maps. A filter
# looks at *all* channels of its window at once. The weights have shape `(c_out, c_in, kh, kw)`:
#
# $$\text{out}_{m,o,r,s} = b_o + \sum_{c,i,j} x_{m,c,\;r\cdot\text{stride}+i-p,\;s\cdot\text{stride}+j-p}\;w_{o,c,i,j}$$
#
# With `im2col` this is the affine layer of stage 1. The windows are the examples, and each filter,
# written as one row of $c_{in} \cdot kh \cdot kw$ numbers, is a neuron:
#
# $$\text{rows} = \text{cols} \cdot \text{filters}^\top + b$$
#
# **Question.** `rows` has shape (n · h_out · w_out, c_out). The result must be (n, c_out, h_out,
# w_out). Is one `reshape` enough?
#
# <details><summary>Answer</summary>
#
# No. `reshape` never moves a number in memory. The channels lie side by side in each row, and in
# the result they are far apart. First reshape to (n, h_out, w_out, c_out), then move the last axis
# to second place: `transpose(0, 3, 1, 2)`.
#
# </details>


# %%
def conv2d_forward(
    x: Float[np.ndarray, "n c_in h w"],
    w: Float[np.ndarray, "c_out c_in kh kw"],
    b: Float[np.ndarray, " c_out"],
    stride: int | tuple[int, int],
    padding: int | tuple[int, int],
) -> tuple[Float[np.ndarray, "n c_out h_out w_out"], tuple]:
    """Let c_out filters vote at every place of every picture, with the same weights everywhere.

    out[m, o, r, s] = b[o] + sum_{c, i, j}
        x[m, c, r * stride_h + i - pad_h, s * stride_w + j - pad_w] * w[o, c, i, j]

    The filter is not flipped, and x counts as 0 outside the picture.
    h_out = floor((h + 2 * pad_h - kh) / stride_h) + 1, and w_out alike.

    Args:
        x: Pictures.
        w: Filters, each over all channels.
        b: Biases, one per filter.
        stride: How far the window moves, a number or (rows, columns).
        padding: Zeros on each side, a number or (rows, columns).

    Returns:
        out: One map per picture and filter, in the dtype of `x`.
        cache: What `conv2d_backward` needs.

    Raises:
        ValueError: `x` or `w` does not have four axes, they disagree on c_in, `b` does not
            have shape (c_out,), a stride is below 1, the padding is negative, or the
            filter is larger than the padded picture.

    Source:
        LeCun et al. 1989, "Backpropagation applied to handwritten zip code recognition".
    """
    ### BEGIN SOLUTION
    if x.ndim != 4 or w.ndim != 4 or x.shape[1] != w.shape[1]:
        raise ValueError(f"x has shape {x.shape} and w {w.shape}; they need four axes and the same c_in.")
    if b.shape != w.shape[:1]:
        raise ValueError(f"b has shape {b.shape}; {len(w)} filters need ({len(w)},).")
    c_out, _, kh, kw = w.shape
    h_out, w_out = output_size(x.shape[2], x.shape[3], (kh, kw), stride, padding)
    cols = im2col(x, kh, kw, stride, padding)
    rows = cols @ w.reshape(c_out, -1).T + b
    out = rows.reshape(len(x), h_out, w_out, c_out).transpose(0, 3, 1, 2)
    return out.copy(), (x.shape, w, cols, as_pair(stride), as_pair(padding))
    ### END SOLUTION


# %% tags=["check"]
gs.check("conv2d_forward")

# %% [markdown]
# What can nine weights see? Three filters made by hand, on one digit. Their maps are large where
# the picture looks like the filter.

# %% tags=["demo"]
edges = np.array(
    [
        [[[1, 2, 1], [0, 0, 0], [-1, -2, -1]]],
        [[[1, 0, -1], [2, 0, -2], [1, 0, -1]]],
        [[[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]],
    ],
    np.float32,
)
five = x_train[np.flatnonzero(y_train == 5)[3]][None]
maps, _ = conv2d_forward(five, edges, np.zeros(3, np.float32), 1, 1)

fig, axes = plt.subplots(1, 4, figsize=(10, 2.9))
axes[0].imshow(five[0, 0], cmap="Greys")
axes[0].set_title("picture")
for ax, feature_map, name in zip(
    axes[1:], maps[0], ("ink ends below", "ink ends at the right", "more ink than around"), strict=True
):
    limit = np.abs(feature_map).max()
    ax.imshow(feature_map, cmap="PuOr_r", vmin=-limit, vmax=limit)
    ax.set_title(name)
for ax in axes:
    ax.set(xticks=[], yticks=[])
fig.tight_layout()

# %% [markdown]
# **Question.** Move the digit three squares to the right. What happens to the maps? Guess, then
# measure.

# %% tags=["demo"]
rng = np.random.default_rng(0)
image = np.zeros((1, 1, 16, 16))
image[0, 0, 4:12, 2:10] = small_test[0].reshape(8, 8)
moved = np.roll(image, 3, axis=3)
filters, no_bias = rng.standard_normal((4, 1, 3, 3)), np.zeros(4)
before, after = (conv2d_forward(picture, filters, no_bias, 1, 1)[0] for picture in (image, moved))
conv_gap = float(np.abs(np.roll(before, 3, axis=3) - after).max())

w = rng.standard_normal((256, 1024))
dense_before, dense_after = (
    (picture.reshape(1, 256) @ w).reshape(1, 4, 16, 16) for picture in (image, moved)
)
dense_gap = float(np.abs(np.roll(dense_before, 3, axis=3) - dense_after).max())
print(f"convolution:  moved map of the picture minus map of the moved picture: {conv_gap:.1e}")
print(f"affine layer: the same difference: {dense_gap:.1f}")

# %% [markdown]
# Exactly nothing is lost: the map of the moved picture is the moved map. This is called
# **equivariance**, and the affine layer does not have it. Whatever the filter learns in one corner,
# it knows in all of them.
#
# ### The kernel `conv2d_forward.wgsl`
#
# The matrix of `im2col` is not needed on the GPU. One invocation makes one number of `out`. It
# walks over its window, through all channels, and multiplies as it goes. The launch has three axes:
# `global_id.x` is the column, `global_id.y` the row, and `global_id.z` counts the maps of all
# pictures, `n * c_out` of them. Division and remainder by `c_out` give the picture and the filter.
#
# The host works out `h_out` and `w_out` and passes them in. Workgroups have three axes as well, 8 by 4
# by 2 here, and what overhangs on any of them must return: three guards, not one.
#
# **Question.** The pixel's row is `row * stride_h + i - pad_h`. For `row = 0`, `i = 0` and
# `pad_h = 1` it should be $-1$, and all sizes are `u32`. What does the GPU compute?
#
# <details><summary>Answer</summary>
#
# 4,294,967,295. Unsigned numbers wrap around. It happens to be outside the picture too, so a single
# comparison `y < h_in` would still say no. But it is kinder to the reader to ask first whether the
# row lies in the padding above, and to subtract afterwards, or to compute with `i32`.
#
# </details>

# %% tags=["demo"]
gs.show_kernel("conv2d_forward.wgsl")

# %% tags=["check"]
gs.check("conv2d_forward.wgsl")

# %% [markdown]
# ## 4.4 The way back
#
# You know all the parts. The convolution is `im2col`, then an affine layer, then moved axes. So the
# way back is: move the axes back, go back through the affine layer, then `col2im`.
#
# - `dout` comes as (n, c_out, h_out, w_out). Turn it into rows again, one per place.
# - The affine layer gives `dw` from the rows and `cols`, `db` by a sum over the rows, and `dcols`.
# - `col2im` adds `dcols` up to `dx`.
#
# **Question.** One weight of a filter on a 16 by 16 picture, stride 1, padding 1, a batch of 64. From
# how many products is its gradient added up? How many would there be for one weight of an MLP?
#
# <details><summary>Answer</summary>
#
# 64 · 256 = 16,384, because the weight was used at every place. A weight of an MLP is used once per
# picture: 64. A shared weight learns from every place at once. That is what sharing buys.
#
# </details>


# %%
def conv2d_backward(
    dout: Float[np.ndarray, "n c_out h_out w_out"], cache: tuple
) -> tuple[
    Float[np.ndarray, "n c_in h w"], Float[np.ndarray, "c_out c_in kh kw"], Float[np.ndarray, " c_out"]
]:
    """Send the gradient of the maps back to the pictures, the filters and the biases.

    dw[o, c, i, j] = sum_{m, r, s} x[m, c, r * stride_h + i - pad_h, s * stride_w + j - pad_w] * dout[m, o, r, s]
    db[o] = sum_{m, r, s} dout[m, o, r, s]
    dx[m, c, y, z] = sum of dout[m, o, r, s] * w[o, c, i, j] over all o, i, j, r, s with
        r * stride_h + i - pad_h = y and s * stride_w + j - pad_w = z

    Args:
        dout: Gradient of the loss with respect to the maps.
        cache: What `conv2d_forward` returned.

    Returns:
        dx, dw, db: Gradients in the shapes of `x`, `w` and `b`.

    Raises:
        ValueError: `dout` does not have the shape of the forward's result.

    Source:
        LeCun et al. 1989, "Backpropagation applied to handwritten zip code recognition".
    """
    ### BEGIN SOLUTION
    x_shape, w, cols, stride, padding = cache
    c_out, _, kh, kw = w.shape
    h_out, w_out = output_size(x_shape[2], x_shape[3], (kh, kw), stride, padding)
    if dout.shape != (x_shape[0], c_out, h_out, w_out):
        raise ValueError(f"dout has shape {dout.shape}; the maps have {(x_shape[0], c_out, h_out, w_out)}.")
    drows = dout.transpose(0, 2, 3, 1).reshape(-1, c_out)
    dw = (drows.T @ cols).reshape(w.shape)
    db = drows.sum(axis=0)
    dx = col2im(drows @ w.reshape(c_out, -1), x_shape, kh, kw, stride, padding)
    return dx, dw, db
    ### END SOLUTION


# %% tags=["check"]
gs.check("conv2d_backward")

# %% [markdown]
# ### The kernel `conv2d_backward_input.wgsl`
#
# `col2im` scatters: each window adds to its pixels. On a GPU many windows would add to one pixel at
# the same time, and that is a race. So turn the question round. One invocation owns one pixel and
# asks: *which windows hold me, and at which place of the filter?*
#
# **Question.** The pixel's row in the padded picture is $y + p$. It meets row $i$ of the filter in
# the window whose first row is $y + p - i$. When does such a window exist?
#
# <details><summary>Answer</summary>
#
# Three things must hold. The first row is not negative: $i \le y + p$. It is a stop of the window:
# $y + p - i$ is a multiple of the stride. And the window is not past the last one:
# $(y + p - i)/\text{stride} < h_{\text{out}}$. With stride 1 the middle one always holds, which is
# why forgetting it goes unnoticed for so long.
#
# </details>
#
# A pixel that no window sees still needs its 0: the output arrives undefined.

# %% tags=["demo"]
gs.show_kernel("conv2d_backward_input.wgsl")

# %% tags=["check"]
gs.check("conv2d_backward_input.wgsl")

# %% [markdown]
# ### The kernel `conv2d_backward_weight.wgsl`
#
# Here there are few results and long sums: 9 weights per filter and channel, and 16,384 terms for
# each. One invocation per weight would leave most of the GPU idle. So each weight gets a whole
# **workgroup**. Its invocations share the places, as the columns of a row were shared in
# `row_sum`, and a tree adds what they found.
#
# `group_id` is (column in the filter, row in the filter, filter · c_in + channel). A place is one
# number from 0 to n · h_out · w_out - 1, and division and remainder take it apart.

# %% tags=["demo"]
gs.show_kernel("conv2d_backward_weight.wgsl")

# %% tags=["check"]
gs.check("conv2d_backward_weight.wgsl")

# %% [markdown]
# ## 4.5 Nothing new under the sun
#
# A convolution adds up weighted pixels. So does an affine layer. Then a convolution must *be* an
# affine layer, with a large matrix in which most entries are 0 and the others repeat. Build that
# matrix.
#
# **Question.** A layer of 8 filters of 3 by 3 on a 16 by 16 picture, padding 1. How many weights has the
# convolution? How many has the equivalent affine layer?
#
# <details><summary>Answer</summary>
#
# The convolution has 8 · 9 = 72. The affine layer connects 256 pixels with 8 · 256 outputs:
# 524,288.
#
# </details>
#
# Flatten pictures and maps in reading order, so that `x.reshape(n, -1) @ matrix` equals
# `out.reshape(n, -1)` for a convolution without bias. Column (o, r, s) of the matrix then shows one
# filter laid on the picture at place (r, s).


# %%
def conv_as_affine(
    w: Float[np.ndarray, "c_out c_in kh kw"],
    h: int,
    w_in: int,
    stride: int | tuple[int, int],
    padding: int | tuple[int, int],
) -> Float[np.ndarray, "d_in d_out"]:
    """Write a convolution as the matrix of a fully connected layer.

    x.reshape(n, -1) @ matrix = conv2d(x, w, no bias).reshape(n, -1)

    Args:
        w: Filters.
        h: Rows of the pictures.
        w_in: Columns of the pictures.
        stride: How far the window moves, a number or (rows, columns).
        padding: Zeros on each side, a number or (rows, columns).

    Returns:
        A matrix (c_in * h * w_in, c_out * h_out * w_out) in the dtype of `w`.

    Raises:
        ValueError: `w` does not have four axes, a stride is below 1, the padding is negative,
            or the filter is larger than the padded picture.

    Source:
        Goodfellow, Bengio & Courville 2016, "Deep Learning", section 9.1.
    """
    ### BEGIN SOLUTION
    if w.ndim != 4:
        raise ValueError(f"w has shape {w.shape}; filters have four axes (c_out, c_in, kh, kw).")
    c_out, c_in, kh, kw = w.shape
    h_out, w_out = output_size(h, w_in, (kh, kw), stride, padding)
    (stride_h, stride_w), (pad_h, pad_w) = as_pair(stride), as_pair(padding)
    padded = np.zeros((c_in, h + 2 * pad_h, w_in + 2 * pad_w, c_out, h_out, w_out), w.dtype)
    for r in range(h_out):
        for s in range(w_out):
            top, left = r * stride_h, s * stride_w
            padded[:, top : top + kh, left : left + kw, :, r, s] = w.transpose(1, 2, 3, 0)
    matrix = padded[:, pad_h : pad_h + h, pad_w : pad_w + w_in]
    return matrix.reshape(c_in * h * w_in, c_out * h_out * w_out)
    ### END SOLUTION


# %% tags=["check"]
gs.check("conv_as_affine")

# %% tags=["demo"]
first = np.arange(1.0, 10).reshape(1, 1, 3, 3)
fig, axes = plt.subplots(1, 2, figsize=(10, 4.4))
for ax, (stride, padding) in zip(axes, ((1, 0), (2, 1)), strict=True):
    matrix = conv_as_affine(first, 6, 6, stride, padding)
    ax.imshow(np.where(matrix == 0, np.nan, matrix), cmap="viridis", vmin=0)
    ax.set(title=f"stride {stride}, padding {padding}", xlabel="output", ylabel="pixel")
fig.suptitle(
    "A 3 by 3 filter on a 6 by 6 picture, as an affine layer: white is 0, equal colours are one weight"
)
fig.tight_layout()

matrix = conv_as_affine(he(np.random.default_rng(0), 8, 1, 3, 3, fan_in=9), 16, 16, 1, 1)
n_free, n_dense = 8 * 9, matrix.size
print(f"the first layer of our network: {n_free} weights; as an affine layer {n_dense}")
print(
    f"of those {np.count_nonzero(matrix)} are not 0, and they hold {len(np.unique(matrix[matrix != 0]))} different numbers"
)

# %% [markdown]
# So an affine layer could do all that a convolution does. It would have to find out by itself that
# 97 of 100 weights should be 0, and that the rest should repeat. The convolution is told both:
#
# - **near things belong together**: a score looks at a small window,
# - **a thing is the same thing everywhere**: the weights repeat.
#
# That is knowledge about pictures, put into the shape of the layer. A network with the right
# knowledge built in needs fewer examples. With the wrong one it cannot learn at all: nobody would
# share weights over the columns of a table of blood values.
#
# ## 4.6 Pooling: where it was does not matter so much
#
# The maps still say at which square an edge was found. To read a digit, "somewhere here" is enough.
# **Max pooling** cuts a map into windows and keeps only the largest number of each. With windows of
# 2 by 2 and stride 2 a quarter of the numbers is left, and a shift by one square changes little.
#
# There is no padding here. Windows that do not fit entirely are left out. Windows may overlap, if
# the stride is smaller than the size.
#
# **Question.** The output is the largest of four numbers. A gradient arrives. Which of the four
# gets it, and how much do the others get?
#
# <details><summary>Answer</summary>
#
# The winner gets all of it. If one of the others changes a little, it is still not the largest, and
# the output stays the same. So the cache must know who won.
#
# If two are equally large, any rule is as good as another, and ours is: the first in reading order.
# On a canvas this happens all the time, because most windows hold nothing but zeros.
#
# </details>


# %%
def max_pool_forward(
    x: Float[np.ndarray, "n c h w"], size: int | tuple[int, int], stride: int | tuple[int, int]
) -> tuple[Float[np.ndarray, "n c h_out w_out"], tuple]:
    """Keep the largest number of each window.

    out[m, c, r, s] = max_{i, j} x[m, c, r * stride_h + i, s * stride_w + j]

    h_out = floor((h - size_h) / stride_h) + 1, and w_out alike; there is no padding.

    Args:
        x: Pictures or maps.
        size: Size of the windows, a number or (rows, columns).
        stride: How far the window moves, a number or (rows, columns).

    Returns:
        out: The largest number of each window.
        cache: What `max_pool_backward` needs; of equal maxima the first in reading order wins.

    Raises:
        ValueError: `x` does not have four axes, a size or stride is below 1, or the window is
            larger than the picture.

    Source:
        Riesenhuber & Poggio 1999, "Hierarchical models of object recognition in cortex".
    """
    ### BEGIN SOLUTION
    if x.ndim != 4:
        raise ValueError(f"x has shape {x.shape}; pictures have four axes (n, c, h, w).")
    h_out, w_out = output_size(x.shape[2], x.shape[3], size, stride)
    (size_h, size_w), (stride_h, stride_w) = as_pair(size), as_pair(stride)
    met = [
        x[:, :, i : i + stride_h * h_out : stride_h, j : j + stride_w * w_out : stride_w]
        for i in range(size_h)
        for j in range(size_w)
    ]
    windows = np.stack(met, axis=-1)
    winner = windows.argmax(axis=-1)  # of equal ones argmax takes the first
    return windows.max(axis=-1), (winner, x.shape, as_pair(size), as_pair(stride))
    ### END SOLUTION


# %% tags=["check"]
gs.check("max_pool_forward")


# %%
def max_pool_backward(
    dout: Float[np.ndarray, "n c h_out w_out"], cache: tuple
) -> Float[np.ndarray, "n c h w"]:
    """Send each gradient to the pixel that won its window.

    A pixel that won several overlapping windows gets the sum; of equal maxima the first in
    reading order gets all; everything else gets 0.

    Args:
        dout: Gradient of the loss with respect to the output.
        cache: What `max_pool_forward` returned.

    Returns:
        dx: Gradient in the shape of `x`.

    Raises:
        ValueError: `dout` does not have the shape of the forward's result.

    Source:
        Riesenhuber & Poggio 1999, "Hierarchical models of object recognition in cortex".
    """
    ### BEGIN SOLUTION
    winner, x_shape, (size_h, size_w), (stride_h, stride_w) = cache
    if dout.shape != winner.shape:
        raise ValueError(f"dout has shape {dout.shape}; the forward's result has {winner.shape}.")
    h_out, w_out = dout.shape[2:]
    dx = np.zeros(x_shape, dout.dtype)
    for i in range(size_h):
        for j in range(size_w):
            met = dx[:, :, i : i + stride_h * h_out : stride_h, j : j + stride_w * w_out : stride_w]
            met += np.where(winner == i * size_w + j, dout, 0)
    return dx
    ### END SOLUTION


# %% tags=["check"]
gs.check("max_pool_backward")

# %% [markdown]
# ### The kernels `max_pool_forward.wgsl` and `max_pool_backward.wgsl`
#
# The forward kernel has two outputs: the maximum, and the place where it stood, `row * w_in +
# column` within its channel. The backward kernel must not scatter, for the reason you know. One
# invocation owns one pixel, visits the windows that hold it, and asks each: did I win?
#
# **Question.** Why not start the search with `best = 0`?
#
# <details><summary>Answer</summary>
#
# A window of negative numbers would have maximum 0, a number it does not hold. Start with the first
# number of the window.
#
# </details>

# %% tags=["demo"]
gs.show_kernel("max_pool_forward.wgsl")

# %% tags=["check"]
gs.check("max_pool_forward.wgsl")

# %% tags=["demo"]
gs.show_kernel("max_pool_backward.wgsl")

# %% tags=["check"]
gs.check("max_pool_backward.wgsl")

# %% [markdown]
# ### The average instead
#
# **Average pooling** takes the mean of the window. No one wins, so on the way back everyone in the
# window gets the same share. Again a pixel in two windows gets two shares.


# %%
def avg_pool_forward(
    x: Float[np.ndarray, "n c h w"], size: int | tuple[int, int], stride: int | tuple[int, int]
) -> tuple[Float[np.ndarray, "n c h_out w_out"], tuple]:
    """Take the mean of each window.

    out[m, c, r, s] = sum_{i, j} x[m, c, r * stride_h + i, s * stride_w + j] / (size_h * size_w)

    Args:
        x: Pictures or maps.
        size: Size of the windows, a number or (rows, columns).
        stride: How far the window moves, a number or (rows, columns).

    Returns:
        out: The mean of each window; windows that do not fit entirely are left out.
        cache: What `avg_pool_backward` needs.

    Raises:
        ValueError: `x` does not have four axes, a size or stride is below 1, or the window is
            larger than the picture.

    Source:
        LeCun et al. 1998, "Gradient-based learning applied to document recognition", section II.B.
    """
    ### BEGIN SOLUTION
    if x.ndim != 4:
        raise ValueError(f"x has shape {x.shape}; pictures have four axes (n, c, h, w).")
    h_out, w_out = output_size(x.shape[2], x.shape[3], size, stride)
    (size_h, size_w), (stride_h, stride_w) = as_pair(size), as_pair(stride)
    out = np.zeros((*x.shape[:2], h_out, w_out), x.dtype)
    for i in range(size_h):
        for j in range(size_w):
            out += x[:, :, i : i + stride_h * h_out : stride_h, j : j + stride_w * w_out : stride_w]
    return out / (size_h * size_w), (x.shape, as_pair(size), as_pair(stride))
    ### END SOLUTION


# %% tags=["check"]
gs.check("avg_pool_forward")


# %%
def avg_pool_backward(
    dout: Float[np.ndarray, "n c h_out w_out"], cache: tuple
) -> Float[np.ndarray, "n c h w"]:
    """Share each gradient equally among the pixels of its window.

    dx[m, c, y, z] = sum of dout[m, c, r, s] / (size_h * size_w) over the windows (r, s) that hold (y, z)

    Args:
        dout: Gradient of the loss with respect to the output.
        cache: What `avg_pool_forward` returned.

    Returns:
        dx: Gradient in the shape of `x`.

    Raises:
        ValueError: `dout` does not have the shape of the forward's result.

    Source:
        LeCun et al. 1998, "Gradient-based learning applied to document recognition", section II.B.
    """
    ### BEGIN SOLUTION
    x_shape, (size_h, size_w), (stride_h, stride_w) = cache
    h_out, w_out = output_size(x_shape[2], x_shape[3], (size_h, size_w), (stride_h, stride_w))
    if dout.shape != (*x_shape[:2], h_out, w_out):
        raise ValueError(f"dout has shape {dout.shape}; the result has {(*x_shape[:2], h_out, w_out)}.")
    share = dout / (size_h * size_w)
    dx = np.zeros(x_shape, dout.dtype)
    for i in range(size_h):
        for j in range(size_w):
            dx[:, :, i : i + stride_h * h_out : stride_h, j : j + stride_w * w_out : stride_w] += share
    return dx
    ### END SOLUTION


# %% tags=["check"]
gs.check("avg_pool_backward")

# %% [markdown]
# ### The kernel `avg_pool_forward.wgsl`
#
# One invocation per window, as in `max_pool_forward.wgsl`, with a sum in place of a search.

# %% tags=["demo"]
gs.show_kernel("avg_pool_forward.wgsl")

# %% tags=["check"]
gs.check("avg_pool_forward.wgsl")

# %% [markdown]
# ### One number per map
#
# At the very end of many networks, the map of each filter is pooled into one number: its mean over
# all places. That is **global average pooling**. It asks how much of a thing there is, and no
# longer where. It has no weights, and it takes maps of any size.


# %%
def global_avg_pool_forward(
    x: Float[np.ndarray, "n c h w"],
) -> tuple[Float[np.ndarray, "n c"], tuple]:
    """Take the mean of each map.

    out[m, c] = sum_{y, z} x[m, c, y, z] / (h * w)

    Args:
        x: Maps.

    Returns:
        out: One number per picture and channel.
        cache: What `global_avg_pool_backward` needs.

    Raises:
        ValueError: `x` does not have four axes, or its maps are empty.

    Source:
        Lin, Chen & Yan 2013, "Network in network", section 3.2.
    """
    ### BEGIN SOLUTION
    if x.ndim != 4 or x.shape[2] * x.shape[3] == 0:
        raise ValueError(f"x has shape {x.shape}; maps have four axes (n, c, h, w), none of them empty.")
    return x.mean(axis=(2, 3)), x.shape
    ### END SOLUTION


# %% tags=["check"]
gs.check("global_avg_pool_forward")


# %%
def global_avg_pool_backward(dout: Float[np.ndarray, "n c"], cache: tuple) -> Float[np.ndarray, "n c h w"]:
    """Share each gradient equally among all places of its map.

    dx[m, c, y, z] = dout[m, c] / (h * w)

    Args:
        dout: Gradient of the loss with respect to the means.
        cache: What `global_avg_pool_forward` returned.

    Returns:
        dx: Gradient in the shape of `x`.

    Raises:
        ValueError: `dout` does not have shape (n, c).

    Source:
        Lin, Chen & Yan 2013, "Network in network", section 3.2.
    """
    ### BEGIN SOLUTION
    n, c, h, w = cache
    if dout.shape != (n, c):
        raise ValueError(f"dout has shape {dout.shape}; the means have {(n, c)}.")
    return np.broadcast_to(dout[:, :, None, None] / (h * w), (n, c, h, w)).copy()
    ### END SOLUTION


# %% tags=["check"]
gs.check("global_avg_pool_backward")

# %% [markdown]
# ## 4.7 The run
#
# The network is three convolutions of 3 by 3 with 8, 16 and 32 filters. Each is followed by a ReLU,
# the first two by max pooling. Then the largest number of each map, which is max pooling with a
# window as large as the map, and one affine layer to ten scores:
#
# | part | shape of its output | numbers |
# |---|---|---|
# | picture | 1 by 16 by 16 | |
# | convolution, ReLU, max pool 2 | 8 by 8 by 8 | 80 |
# | convolution, ReLU, max pool 2 | 16 by 4 by 4 | 1,168 |
# | convolution, ReLU | 32 by 4 by 4 | 4,640 |
# | max pool 4 | 32 | |
# | affine | 10 | 330 |
#
# **Question.** A number of the last maps is made from a 3 by 3 window of the maps before. How large is
# the patch of the *canvas* that can change it?
#
# <details><summary>Answer</summary>
#
# Go backwards. 3 by 3 squares after the second pooling are 6 by 6 before it. The second convolution makes
# this 8 by 8. Before the first pooling it is 16 by 16, and the first convolution adds one on each side:
# 18 by 18. Three small filters and two poolings see the whole canvas. This is the **receptive field**.
#
# </details>


# %% tags=["demo"]
def cnn_start(rng):
    params = {}
    for k, (c_in, c_out) in enumerate(((1, 8), (8, 16), (16, 32))):
        params[f"w{k}"] = he(rng, c_out, c_in, 3, 3, fan_in=9 * c_in)
        params[f"b{k}"] = np.zeros(c_out, np.float32)
    params["w3"], params["b3"] = he(rng, 32, 10, fan_in=32), np.zeros(10, np.float32)
    return params


NUMPY = (conv2d_forward, conv2d_backward, max_pool_forward, max_pool_backward)


def cnn_forward(params, x, ops=None, mean=False):
    conv, _, pool, _ = ops or NUMPY
    caches = []
    for k in range(3):
        x, conv_cache = conv(x, params[f"w{k}"], params[f"b{k}"], 1, 1)
        alive = x > 0
        x, pool_cache = pool(x * alive, 2, 2) if k < 2 else (x * alive, None)
        caches.append((conv_cache, alive, pool_cache))
    maps, last_cache = global_avg_pool_forward(x) if mean else pool(x, 4, 1)
    features = maps.reshape(len(x), 32)
    return affine(features, params["w3"], params["b3"]), (caches, last_cache, features)


def cnn_logits(params, x):
    return cnn_forward(params, x)[0]


def cnn_grads(params, x, labels, ops=None, mean=False):
    _, conv_back, _, pool_back = ops or NUMPY
    logits, (caches, last_cache, features) = cnn_forward(params, x, ops, mean)
    loss, dlogits = cross_entropy(logits, labels)
    grads = {}
    dfeatures, grads["w3"], grads["b3"] = affine_grads(dlogits, features, params["w3"])
    if mean:
        dx = global_avg_pool_backward(dfeatures, last_cache)
    else:
        dx = pool_back(dfeatures.reshape(len(x), 32, 1, 1), last_cache)
    for k in (2, 1, 0):
        conv_cache, alive, pool_cache = caches[k]
        dx = dx if pool_cache is None else pool_back(dx, pool_cache)
        dx, grads[f"w{k}"], grads[f"b{k}"] = conv_back(dx * alive, conv_cache)
    return loss, grads


SEEDS = (0, 1, 2)
cnn_accuracies, mlp_accuracies, curves = [], [], {"CNN": [], "MLP": []}
for seed in SEEDS:
    params, losses = train(cnn_grads, cnn_start(np.random.default_rng(seed)), x_train, y_train, 6, seed)
    cnn_accuracies.append(accuracy(cnn_logits, params, x_test, y_test))
    curves["CNN"].append(losses)
    mlp, losses = train(mlp_grads, mlp_start(np.random.default_rng(seed)), x_train, y_train, 6, seed, lr=0.01)
    mlp_accuracies.append(accuracy(mlp_logits, mlp, x_test, y_test))
    curves["MLP"].append(losses)
    print(f"seed {seed}: CNN {cnn_accuracies[-1]:.3f}, MLP {mlp_accuracies[-1]:.3f}")
n_cnn, n_mlp = n_numbers(params), n_numbers(mlp)

fig, ax = plt.subplots(figsize=(7, 3.6))
for (name, runs), colour in zip(curves.items(), (BLUE, ORANGE), strict=True):
    for losses in runs:
        ax.plot(np.convolve(losses, np.ones(30) / 30, mode="valid"), color=colour, linewidth=1)
    ax.plot([], [], color=colour, label=name)
ax.axhline(np.log(10), color=GREY, linestyle="--", linewidth=1)
ax.annotate("ln 10: knows nothing", (600, np.log(10) - 0.16), color=INK)
ax.set(xlabel="step", ylabel="loss [nats]", ylim=(0, 2.5), title=f"{n_cnn} and {n_mlp} numbers, three seeds")
ax.legend(frameon=False)
fig.tight_layout()

# %% [markdown]
# The same number of parameters, the same pictures, the same optimiser. The MLP reads about
# seven in ten, at the rate that suits it best. The CNN is right more than nineteen times in twenty.
#
# ### Mean or maximum?
#
# The last step could also be your `global_avg_pool_forward`. Most large networks end with it.
#
# **Question.** A digit covers about a quarter of the canvas, the rest is empty. Which of the two do
# you expect to serve better here?

# %% tags=["demo"]
params_mean, _ = train(
    lambda params, x, labels: cnn_grads(params, x, labels, mean=True),
    cnn_start(np.random.default_rng(0)),
    x_train,
    y_train,
    n_epochs=6,
    seed=0,
)
mean_accuracy = accuracy(lambda params, x: cnn_forward(params, x, mean=True)[0], params_mean, x_test, y_test)
print(f"seed 0: with the maximum {cnn_accuracies[0]:.3f}, with the mean {mean_accuracy:.3f}")

# %% [markdown]
# Both read digits. The maximum asks "is there such a stroke anywhere?", and the empty squares have
# no say. In the mean every empty square counts, and so does what the padding does at the edges. On
# photos, where the thing fills the picture, the mean does well, and all its pixels learn at each
# step.
#
# ### The places it never saw
#
# Now the experiment of 4.1 again: train inside the frame only, and test everywhere.

# %% tags=["demo"]
middle_cnn, _ = train(cnn_grads, cnn_start(np.random.default_rng(0)), middle_x, middle_y, 8, seed=1)
cnn_places = accuracy_by_place(cnn_logits, middle_cnn)

fig, axes = plt.subplots(1, 2, figsize=(9.5, 4))
draw_places(axes[0], mlp_places, "MLP, trained inside the frame")
image = draw_places(axes[1], cnn_places, "CNN, trained inside the frame")
fig.colorbar(image, ax=axes, label="accuracy")
for name, table in (("MLP", mlp_places), ("CNN", cnn_places)):
    print(f"{name}: inside the frame {table[inside].mean():.2f}, outside {table[~inside].mean():.2f}")

# %% [markdown]
# The CNN reads digits where it has never seen one. Nobody taught it those places. There was little
# left to teach: the weights are the same.
#
# It is not perfect at the rim. A digit there touches the padding, and zeros beside the ink are a
# sight that the middle never offered. The pooling leaves a trace, too: its windows have fixed
# places, so only shifts by a multiple of four squares pass through both poolings exactly.
#
# **Question.** Is there a task on these canvases that this CNN can hardly learn, and the MLP can?
#
# <details><summary>Answer</summary>
#
# "Is the digit in the left or in the right half?" After the last pooling the place is gone, except
# for what leaks in at the edges. Shared weights help when the place does not matter, and hurt when
# it does.
#
# </details>
#
# ### What the filters became

# %% tags=["demo"]
fig, axes = plt.subplots(2, 9, figsize=(10, 2.8))
maps = np.maximum(conv2d_forward(five, params["w0"], params["b0"], 1, 1)[0], 0)
limit = np.abs(params["w0"]).max()
axes[0, 0].axis("off")
axes[1, 0].imshow(five[0, 0], cmap="Greys")
for k in range(8):
    axes[0, k + 1].imshow(params["w0"][k, 0], cmap="PuOr_r", vmin=-limit, vmax=limit)
    axes[1, k + 1].imshow(maps[0, k], cmap="Blues")
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
fig.suptitle("The eight filters of the first layer, and what each finds in a 5")
fig.tight_layout()

# %% [markdown]
# Most of them are edges and corners of some direction, like the ones we made by hand. Nobody asked
# for edges. They are what helps.
#
# ## 4.8 The same step on your own kernels
#
# First each kernel against its twin, on odd sizes: pictures that are not square, filters that are
# not square, strides that do not divide.


# %% tags=["demo"]
def kernel_sizes(h, w, size, stride, padding=None):
    """What a shape does not tell: the params of a launch that the host works out."""
    h_out, w_out = output_size(h, w, size, stride, padding or 0)
    sizes = {"h_out": h_out, "w_out": w_out}
    sizes["stride_h"], sizes["stride_w"] = as_pair(stride)
    if padding is not None:
        sizes["pad_h"], sizes["pad_w"] = as_pair(padding)
    return sizes


def kernel_conv_forward(x, w, b, stride, padding):
    sizes = kernel_sizes(*x.shape[2:], w.shape[2:], stride, padding)
    return gs.kernel("conv2d_forward.wgsl")(x=x, w=w, b=b, **sizes), (x, w, sizes)


def kernel_conv_backward(dout, cache):
    x, w, sizes = cache
    dx = gs.kernel("conv2d_backward_input.wgsl")(dout=dout, w=w, h_in=x.shape[2], w_in=x.shape[3], **sizes)
    dw = gs.kernel("conv2d_backward_weight.wgsl")(x=x, dout=dout, kh=w.shape[2], kw=w.shape[3], **sizes)
    return dx, dw, dout.sum(axis=(0, 2, 3))


def kernel_pool_forward(x, size, stride):
    sizes = kernel_sizes(*x.shape[2:], size, stride)
    sizes["size_h"], sizes["size_w"] = as_pair(size)
    result = gs.kernel("max_pool_forward.wgsl")(x=x, **sizes)
    return result["out"], (result["winner"], x.shape, sizes)


def kernel_pool_backward(dout, cache):
    winner, (_, _, h, w), sizes = cache
    return gs.kernel("max_pool_backward.wgsl")(dout=dout, winner=winner, h_in=h, w_in=w, **sizes)


KERNELS = (kernel_conv_forward, kernel_conv_backward, kernel_pool_forward, kernel_pool_backward)

rng = np.random.default_rng(7)
x, w, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((2, 3, 9, 13), (5, 3, 3, 2), (5,)))
(out, cache), (kernel_out, kernel_cache) = (conv(x, w, b, (2, 1), (1, 0)) for conv in (NUMPY[0], KERNELS[0]))
dout = rng.standard_normal(out.shape).astype(np.float32)
pairs = dict(
    zip(
        ("dx", "dw", "db"),
        zip(conv2d_backward(dout, cache), kernel_conv_backward(dout, kernel_cache), strict=True),
        strict=True,
    )
)
pairs["out"] = out, kernel_out
(out, cache), (kernel_out, kernel_cache) = (pool(x, (3, 2), 2) for pool in (NUMPY[2], KERNELS[2]))
dout = rng.standard_normal(out.shape).astype(np.float32)
pairs["max pool"] = out, kernel_out
pairs["max pool, dx"] = max_pool_backward(dout, cache), kernel_pool_backward(dout, kernel_cache)
sizes = {"size_h": 3, "size_w": 2, **kernel_sizes(9, 13, (3, 2), 2)}
pairs["average pool"] = avg_pool_forward(x, (3, 2), 2)[0], gs.kernel("avg_pool_forward.wgsl")(x=x, **sizes)
kernel_gaps = {name: float(np.abs(mine - twin).max()) for name, (mine, twin) in pairs.items()}
for name, gap in kernel_gaps.items():
    print(f"{name:13} differs from its twin by at most {gap:.1e}")

# %% [markdown]
# Then a training run in which every convolution and every pooling, forward and backward, is one of
# your kernels. The rest of the step (ReLU, affine layer, loss, Adam) stays in NumPy, because this
# stage is not about it. Where there is no graphics driver the kernels run in an interpreter; then
# three steps must do.

# %% tags=["demo"]
from gradschool.gpu import device_info

n_kernel_steps = 3 if device_info().kind == "interpreter" else 60
few = slice(0, 16 * n_kernel_steps)
runs = {}
for name, ops in (("NumPy", NUMPY), ("kernels", KERNELS)):

    def grads_of(params, x, labels, ops=ops):
        return cnn_grads(params, x, labels, ops)

    start = cnn_start(np.random.default_rng(0))
    runs[name] = train(grads_of, start, x_train[few], y_train[few], 1, seed=0, batch_size=16)[1]
loss_gap = float(np.abs(np.array(runs["NumPy"]) - np.array(runs["kernels"])).max())
print(f"{n_kernel_steps} steps; the losses of the two runs differ by at most {loss_gap:.1e} nats")

# %% [markdown]
# ## 4.9 What you have, and what is missing
#
# | forward | backward | the idea in a line |
# |---|---|---|
# | `im2col`: copy windows | `col2im`: add them up | what was copied is added up |
# | `cols @ filters.T + b` | the affine layer's | places are examples |
# | max of a window | to the winner only | the others changed nothing |
# | mean of a window, or of a map | equal shares | everyone took part |
#
# In PyTorch:
#
# ```python
# network = nn.Sequential(
#     nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
#     nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
#     nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
#     nn.MaxPool2d(4), nn.Flatten(), nn.Linear(32, 10),
# )
# ```
#
# **A last question.** Three layers found edges, then corners and curves, then digits. Would thirty
# layers find more?
#
# <details><summary>Answer</summary>
#
# They could. But try, and the loss hardly moves, although a network of three layers is hidden in
# the one of thirty: let the other 27 hand on their input. Why the optimiser cannot find that, and
# the small change that lets it, is stage 5.
#
# </details>
