# %% [markdown]
# # 3. Initialization: signals that survive depth
#
# In stage 2 a bend between two affine layers was enough to fit any curve. More layers should do
# more. So take thirty layers and train them. What could go wrong?
#
# Almost everything. With weights of the wrong size, thirty layers learn *nothing*: not badly, not
# slowly, nothing. With weights of the right size the same network, with the same data and the same
# steps, reads digits. The right size is one formula, and you will find it yourself, with a variance
# and a square root.
#
# Then come the other three things that every deep network since has been trained with: steps that
# remember (momentum and Adam), random numbers made on a GPU, and dropout.
#
# You need stages 1 and 2: affine layers, ReLU, gradients.

# %% tags=["setup"]
import numpy as np
from jaxtyping import Float

import gradschool as gs

gs.start("03_initialization")

# %% [markdown]
# **How to work.** As before: fill in a function, run its check, go on. Inputs are never changed,
# `float32` in gives `float32` out, and what cannot be right is refused with a `ValueError` and a
# sentence.
#
# One thing is new: randomness. A function that needs random numbers gets a `numpy.random.Generator`
# named `rng` and draws from it, never from anywhere else. Then the same seed gives the same weights,
# today and next year. `np.random.rand()` draws from a state that the whole program shares, and a
# result that depends on it cannot be repeated.

# %% [markdown]
# ## 3.1 How long does a signal live?
#
# Build thirty layers of 100 neurons: multiply by a matrix, bend with ReLU, repeat. Where do the
# weights come from before anything is learned? They cannot be zero. Then all neurons of a layer
# would compute the same, get the same gradient and stay the same for ever. So draw them at random,
# normally distributed. Only their size is open.
#
# **Question.** The inputs are about 1 in size. With weights of about 1, how large are the numbers
# after thirty layers? And with weights of about 0.01? Guess a power of ten for each.

# %% tags=["demo"]
from itertools import pairwise

import matplotlib.pyplot as plt

BLUE, ORANGE, GREEN, RED, INK, GREY = "#1f6fb2", "#c05e00", "#2b7a3d", "#b42318", "#1f2933", "#8a949e"
COLOURS = {"unit": RED, "tiny": BLUE, "xavier": ORANGE, "he": GREEN}
plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})

rng = np.random.default_rng(0)
for size in (1.0, 0.01):
    a = rng.standard_normal((200, 100))
    for _ in range(30):
        a = np.maximum(a @ (size * rng.standard_normal((100, 100))), 0)
    print(f"weights of size {size:<4}: numbers of size {np.sqrt(np.mean(a**2)):.0e} after 30 layers")

# %% [markdown]
# One of them is a number with 25 zeros, the other begins after 34 zeros behind the point. `float32`
# ends near $10^{38}$ and begins near $10^{-38}$: fifteen layers more, and both are gone. Somewhere
# between 0.01 and 1 there must be a size at which a signal stays what it is. Where?
#
# ### One layer
#
# Look at one neuron. It adds up $d$ products of an input and a weight:
#
# $$z = x_1 w_1 + x_2 w_2 + \dots + x_d w_d$$
#
# The weights are independent with mean 0 and variance $\sigma^2$. A product of independent numbers,
# one of which has mean 0, has mean 0 and variance $E[x_i^2]\,\sigma^2$. Variances of independent
# terms add up:
#
# $$\text{var}(z) = d\,\sigma^2\,E[x^2]$$
#
# ![One layer multiplies the variance by d sigma squared, and thirty layers do it thirty times](figures/variance.svg)
#
# So one layer *multiplies* the size of the signal squared by $d\,\sigma^2$. Thirty layers multiply
# it by $(d\,\sigma^2)^{30}$. A factor of 2 per layer is a billion after thirty. Only one factor
# survives depth: **1**.
#
# **Question.** What is $\sigma^2$ then, without any bend between the layers?
#
# <details><summary>Answer</summary>
#
# $\sigma^2 = 1/d$. A neuron with more inputs needs smaller weights.
#
# </details>

# %% [markdown]
# ## 3.2 Xavier: forwards and backwards at once
#
# There is a catch. Gradients travel the other way: `dx = dz @ w.T`. There each number is a sum over
# the *outputs* of the layer, so backwards the factor is $d_{out}\,\sigma^2$, and forwards it is
# $d_{in}\,\sigma^2$. A layer with 64 inputs and 10 outputs cannot have both at 1.
#
# Xavier Glorot and Yoshua Bengio took the middle in 2010:
#
# $$\sigma^2 = \frac{2}{d_{in} + d_{out}}$$
#
# They drew the weights uniformly from an interval $[-a, a)$.
#
# **Question.** Which $a$ gives that variance? A uniform distribution on $[-a, a)$ has the variance
# $a^2/3$.
#
# <details><summary>Answer</summary>
#
# $a^2/3 = 2/(d_{in}+d_{out})$, so $a = \sqrt{6/(d_{in}+d_{out})}$. That is where the 6 comes from.
#
# </details>


# %%
def xavier_uniform(d_in: int, d_out: int, rng: np.random.Generator) -> Float[np.ndarray, "d_in d_out"]:
    """Draw the weights of a layer that neither bends much nor has a preferred direction.

    w ~ uniform on [-a, a) with a = sqrt(6 / (d_in + d_out)), so that var(w) = 2 / (d_in + d_out).

    Args:
        d_in: Inputs of the layer, at least 1.
        d_out: Outputs of the layer, at least 1.
        rng: Where the numbers are drawn from; the same state gives the same weights.

    Returns:
        Independent weights in float64.

    Raises:
        ValueError: `d_in` or `d_out` is below 1.

    Source:
        Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural
        networks", eq. 16.
    """
    ### BEGIN SOLUTION
    if d_in < 1 or d_out < 1:
        raise ValueError(f"A layer has at least one input and one output; got {d_in} and {d_out}.")
    limit = np.sqrt(6 / (d_in + d_out))
    return rng.uniform(-limit, limit, (d_in, d_out))
    ### END SOLUTION


# %% tags=["check"]
gs.check("xavier_uniform")

# %% [markdown]
# ## 3.3 He: what the bend costs
#
# Xavier's derivation has no bend in it. It is right for `tanh` near 0, where tanh is almost a
# straight line. ReLU is not: it sets every negative number to 0.
#
# **Question.** $z$ is symmetric around 0. How much of $E[z^2]$ is left after ReLU?
#
# <details><summary>Answer</summary>
#
# Half of it. The negative half of the numbers becomes 0, the positive half stays as it is, and by
# symmetry each half held one half of $E[z^2]$.
#
# </details>
#
# So with ReLU a layer multiplies $E[a^2]$ by $d_{in}\,\sigma^2/2$, and the weights must make up for
# the half that is lost:
#
# $$\sigma^2 = \frac{2}{d_{in}}$$
#
# That is the whole difference between Xavier and He in a square layer: a factor of 2. It looks
# harmless. Thirty layers make $2^{30}$ of it.


# %%
def he_normal(d_in: int, d_out: int, rng: np.random.Generator) -> Float[np.ndarray, "d_in d_out"]:
    """Draw the weights of a layer whose inputs come out of a ReLU, or go into one.

    w ~ normal with mean 0 and variance 2 / d_in.

    Args:
        d_in: Inputs of the layer, at least 1.
        d_out: Outputs of the layer, at least 1.
        rng: Where the numbers are drawn from; the same state gives the same weights.

    Returns:
        Independent weights in float64.

    Raises:
        ValueError: `d_in` or `d_out` is below 1.

    Source:
        He et al. 2015, "Delving Deep into Rectifiers", eq. 10.
    """
    ### BEGIN SOLUTION
    if d_in < 1 or d_out < 1:
        raise ValueError(f"A layer has at least one input and one output; got {d_in} and {d_out}.")
    return rng.standard_normal((d_in, d_out)) * np.sqrt(2 / d_in)
    ### END SOLUTION


# %% tags=["check"]
gs.check("he_normal")

# %% [markdown]
# ## 3.4 Measure the signal
#
# A derivation is a promise. Measure whether it is kept.
#
# The next cell is given: it draws a batch of examples, and the weights of a square layer in four
# sizes. It does not use your functions, so a slip there cannot follow you here.

# %%
N_EXAMPLES = 200


def draw_examples(width: int, rng: np.random.Generator) -> Float[np.ndarray, "n width"]:
    """Draw a batch of examples: independent standard normal numbers."""
    return rng.standard_normal((N_EXAMPLES, width))


def draw_weights(width: int, init: str, rng: np.random.Generator) -> Float[np.ndarray, "width width"]:
    """Draw the weights of one square layer.

    Normal with mean 0 and a standard deviation of 1 for "unit", 0.01 for "tiny",
    sqrt(1 / width) for "xavier" and sqrt(2 / width) for "he".
    """
    stds = {"unit": 1.0, "tiny": 0.01, "xavier": np.sqrt(1 / width), "he": np.sqrt(2 / width)}
    if init not in stds:
        raise ValueError(f"init is one of {', '.join(stds)}; got {init!r}.")
    return rng.standard_normal((width, width)) * stds[init]


# %% [markdown]
# **Your turn.** Draw the examples, then go through the layers. Each layer draws its own weights,
# multiplies, bends, and you note the variance of what comes out.
#
# The order of the draws is part of the exercise: first the examples, then the layers from first to
# last. Then everybody who starts with seed 7 gets the same numbers.


# %%
def activation_variances(
    depth: int, width: int, init: str, rng: np.random.Generator, activation: str = "relu"
) -> Float[np.ndarray, " depth"]:
    """Send a batch through a stack of square layers and measure the variance after each.

    a_0 = draw_examples(width, rng); a_l = f(a_{l-1} @ w_l), w_l = draw_weights(width, init, rng),
    for l = 1 ... depth, drawn in this order. There are no biases.

    Args:
        depth: Number of layers, at least 1.
        width: Neurons per layer, at least 1.
        init: Size of the weights: "unit", "tiny", "xavier" or "he", as in `draw_weights`. "he" is
            made for "relu" and "xavier" for "tanh"; any pair can be measured.
        rng: Where examples and weights are drawn from.
        activation: The bend f, "relu" or "tanh".

    Returns:
        The variance of all numbers in a_1, ..., a_depth: mean square minus squared mean, over
        examples and neurons together.

    Raises:
        ValueError: `depth` or `width` is below 1, or `init` or `activation` is none of the above.

    Source:
        Glorot & Bengio 2010, section 4.2; He et al. 2015, section 2.2.
    """
    ### BEGIN SOLUTION
    if depth < 1 or width < 1:
        raise ValueError(f"depth and width are at least 1; got {depth} and {width}.")
    if activation not in ("relu", "tanh"):
        raise ValueError(f'activation is "relu" or "tanh"; got {activation!r}.')
    a = draw_examples(width, rng)
    variances = []
    for _ in range(depth):
        z = a @ draw_weights(width, init, rng)
        a = np.maximum(z, 0) if activation == "relu" else np.tanh(z)
        variances.append(a.var())
    return np.array(variances)
    ### END SOLUTION


# %% tags=["check"]
gs.check("activation_variances")

# %% [markdown]
# Thirty layers of 100 neurons, the four sizes, both bends. The scale is logarithmic: a straight line
# is one factor per layer. Which lines will be flat?

# %% tags=["demo"]
fig, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
variances = {}
for ax, activation in zip(axes, ("relu", "tanh"), strict=True):
    for init, colour in COLOURS.items():
        values = activation_variances(30, 100, init, np.random.default_rng(1), activation)
        variances[activation, init] = values
        ax.semilogy(np.arange(1, 31), values, color=colour, linewidth=2, label=init)
    ax.set(xlabel="layer", title=activation, ylim=(1e-14, 1e14))
axes[0].set_ylabel("variance of the activations")
axes[1].legend(frameon=False, title="weights", loc="upper right")
fig.tight_layout()
for (activation, init), values in variances.items():
    print(f"{activation}, {init:6}: {values[0]:8.1e} after layer 1, {values[-1]:8.1e} after layer 30")

# %% [markdown]
# With ReLU only He is flat. Xavier loses a factor of 2 in every layer, as predicted. The lines are
# not quite straight, because a network is one draw and not an average. The wider the layers, the
# straighter they get.
#
# With tanh *unit* looks flat too. Do not trust it: all its numbers sit at $-1$ or $+1$, where tanh
# is level and lets no gradient through. A variance is not everything. What learning needs is the
# gradient.

# %% [markdown]
# ## 3.5 Measure the gradient
#
# Learning works from the end: the loss says to the last layer how to change, the last layer tells
# the one before, and so on. Each layer multiplies the message by its weights, and by the slope of
# its bend. What arrives at the first layer?
#
# **Question.** ReLU has the slope 1 where $z > 0$ and 0 elsewhere. By which factor does one layer
# change the squared length of the gradient, on average?
#
# <details><summary>Answer</summary>
#
# Half of the entries are stopped, then each number is a sum over `width` products with weights of
# variance $\sigma^2$. The factor is $d\,\sigma^2/2$, the same as forwards. With He it is 1.
#
# </details>
#
# **Your turn.** Forward as before, and keep what the backward needs. Then start at the output with a
# random gradient of length 1 and walk back. After each layer note the length of the gradient: the
# root of the sum of all squares.


# %%
def gradient_norms(
    depth: int, width: int, init: str, rng: np.random.Generator, activation: str = "relu"
) -> Float[np.ndarray, " depth"]:
    """Send a gradient of length 1 back through a stack and measure what arrives at each layer.

    Forward as in `activation_variances`: a_l = f(a_{l-1} @ w_l). Then da_depth = g / |g| with
    g = draw_examples(width, rng), drawn last, and for l = depth ... 1
    da_{l-1} = (da_l * f'(z_l)) @ w_l.T.

    Args:
        depth: Number of layers, at least 1.
        width: Neurons per layer, at least 1.
        init: Size of the weights: "unit", "tiny", "xavier" or "he", as in `draw_weights`.
        rng: Where examples, weights and g are drawn from, in this order.
        activation: The bend f, "relu" (slope 0 at 0) or "tanh".

    Returns:
        |da_0|, |da_1|, ..., |da_{depth-1}|: element l is the length of the gradient at the input of
        layer l + 1, the root of the sum of squares over examples and neurons. The first element
        belongs to the input of the network, and has come the longest way.

    Raises:
        ValueError: `depth` or `width` is below 1, or `init` or `activation` is none of the above.

    Source:
        Hochreiter 1991, "Untersuchungen zu dynamischen neuronalen Netzen";
        Glorot & Bengio 2010, section 4.2.
    """
    ### BEGIN SOLUTION
    if depth < 1 or width < 1:
        raise ValueError(f"depth and width are at least 1; got {depth} and {width}.")
    if activation not in ("relu", "tanh"):
        raise ValueError(f'activation is "relu" or "tanh"; got {activation!r}.')
    a = draw_examples(width, rng)
    layers = []
    for _ in range(depth):
        w = draw_weights(width, init, rng)
        z = a @ w
        a = np.maximum(z, 0) if activation == "relu" else np.tanh(z)
        # Both slopes can be told from the output: 1 where ReLU let something through, 1 - tanh^2.
        slope = np.where(a > 0, 1.0, 0.0) if activation == "relu" else 1 - a**2
        layers.append((w, slope))
    da = draw_examples(width, rng)
    da = da / np.linalg.norm(da)
    norms = []
    for w, slope in reversed(layers):
        da = (da * slope) @ w.T
        norms.append(np.linalg.norm(da))
    return np.array(norms[::-1])
    ### END SOLUTION


# %% tags=["check"]
gs.check("gradient_norms")

# %% tags=["demo"]
fig, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
norms = {}
for ax, activation in zip(axes, ("relu", "tanh"), strict=True):
    for init, colour in COLOURS.items():
        values = gradient_norms(30, 100, init, np.random.default_rng(1), activation)
        norms[activation, init] = values
        ax.semilogy(np.arange(1, 31), values, color=colour, linewidth=2, label=init)
    ax.set(xlabel="layer", title=activation, ylim=(1e-14, 1e14))
axes[0].set_ylabel("length of the gradient")
axes[0].legend(frameon=False, title="weights", loc="upper left")
axes[1].annotate("", (3, 1e-12), (28, 1e-12), arrowprops={"arrowstyle": "->", "color": INK})
axes[1].text(15.5, 3e-12, "the way back", ha="center", color=INK)
fig.tight_layout()
for (activation, init), values in norms.items():
    print(f"{activation}, {init:6}: {values[-1]:8.1e} at the last layer, {values[0]:8.1e} at the first")

# %% [markdown]
# Read the lines from right to left. The gradient of tiny weights **vanishes**: the first layers hear
# nothing. The gradient of unit weights **explodes**: the first layers are thrown about. Under tanh,
# unit weights explode as well. The few neurons that are not saturated pass on far too much.
#
# He with ReLU, and Xavier with tanh, keep the message alive over all thirty layers. You see both
# lines bend a little. They are nearly right, and nearly right is enough for thirty layers. For
# three hundred it is not; stages 5 and 8 have better answers.

# %% [markdown]
# ## 3.6 Steps that remember: momentum
#
# Weights of the right size make training possible. Two better step rules make it fast.
#
# Plain SGD looks at one gradient and forgets it. Picture a long narrow valley: steep walls, a gentle
# slope along the floor. The gradient points at the wall, mostly. SGD jumps from wall to wall and
# hardly moves along.
#
# **Question.** Suppose you averaged the last ten gradients. What happens to the part that points at
# the walls? And to the part along the floor?
#
# <details><summary>Answer</summary>
#
# The walls take turns, left and right, so that part cancels. The slope along the floor always points
# the same way, so that part adds up.
#
# </details>
#
# Boris Polyak's **momentum** (1964) is a ball that rolls: it has a velocity $v$, which keeps a share
# $\mu$ of itself and gets the new gradient on top.
#
# $$v \leftarrow \mu v + g \qquad w \leftarrow w - \eta\, v$$
#
# When all gradients are equal, $v$ grows to $g + \mu g + \mu^2 g + \dots = g/(1-\mu)$. With
# $\mu = 0.9$ that is ten steps in one.
#
# The velocity must live from step to step. We keep functions pure, so it goes in and comes out: the
# **state**. Before the first step it is the empty dict, and a velocity that is not there yet is 0.


# %%
def momentum_step(
    params: dict[str, np.ndarray],
    grads: dict[str, np.ndarray],
    state: dict[str, np.ndarray],
    lr: float,
    momentum: float = 0.9,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Take one step of SGD with momentum, the classical (not Nesterov's) form.

    For each parameter: v <- momentum * v + g, then w <- w - lr * v with the new v.

    Args:
        params: Arrays by name; not changed.
        grads: The gradient of each, under the same names.
        state: What the last step returned, the velocity by name; `{}` before the first step, when
            every velocity is 0. Not changed.
        lr: Learning rate.
        momentum: Share of the velocity that is kept, in [0, 1).

    Returns:
        params: New arrays under the same names, each with the dtype of its parameter.
        state: What the next step is to be given.

    Raises:
        ValueError: The names of `grads` are not those of `params`, a gradient has another shape than
            its parameter, or `momentum` is outside [0, 1).

    Source:
        Polyak 1964, "Some methods of speeding up the convergence of iteration methods";
        Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning".
    """
    ### BEGIN SOLUTION
    if params.keys() != grads.keys():
        raise ValueError(f"params has {sorted(params)} and grads has {sorted(grads)}; they must be equal.")
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum is at least 0 and below 1; got {momentum}.")
    new_params, new_state = {}, {}
    for name, value in params.items():
        grad = grads[name]
        if grad.shape != value.shape:
            raise ValueError(f"The gradient of {name} has shape {grad.shape}; {name} has {value.shape}.")
        velocity = float(momentum) * state.get(name, np.zeros_like(value)) + grad
        new_params[name] = value - float(lr) * velocity
        new_state[name] = velocity
    return new_params, new_state
    ### END SOLUTION


# %% tags=["check"]
gs.check("momentum_step")

# %% [markdown]
# ## 3.7 Steps of one size: Adam
#
# Momentum has one learning rate for all weights. But gradients differ in size from layer to layer,
# as you measured. A rate that is right for one layer is too small for another.
#
# **Question.** Suppose you divide each gradient by its own typical size. What does the size of a
# step then depend on?
#
# <details><summary>Answer</summary>
#
# On the learning rate alone: each weight moves by about `lr` per step, whether its gradients are
# large or small. Multiply the loss by 1000 and nothing changes.
#
# </details>
#
# Diederik Kingma and Jimmy Ba's **Adam** (2015) keeps two running averages per weight, one of the
# gradient and one of its square:
#
# $$m \leftarrow \beta_1 m + (1-\beta_1)\, g \qquad v \leftarrow \beta_2 v + (1-\beta_2)\, g^2$$
#
# and steps by the one divided by the root of the other, with $\beta_1 = 0.9$, $\beta_2 = 0.999$ and
# a small $\varepsilon$ against division by zero:
#
# $$w \leftarrow w - \eta\, \frac{\hat m}{\sqrt{\hat v} + \varepsilon}$$
#
# The hats mend a flaw. Both averages start at 0, so they are too small at first. After one step
# $m = 0.1\,g$, and $v = 0.001\,g^2$.
#
# **Question.** Without the hats, how long is the first step?
#
# <details><summary>Answer</summary>
#
# $0.1\,g / \sqrt{0.001\,g^2} \approx 3.2$ times the learning rate. The average of the squares needs
# a thousand steps to fill and the other only ten, so many early steps would be too long.
#
# </details>
#
# After $t$ steps of a constant gradient $m = (1 - \beta_1^t)\, g$. So divide by exactly that:
#
# $$\hat m = \frac{m}{1-\beta_1^t} \qquad \hat v = \frac{v}{1-\beta_2^t}$$
#
# Here $t$ counts the steps and is 1 in the first. With the hats the first step is `lr` long, to the
# side that the gradient's sign says.


# %%
def adam_step(
    params: dict[str, np.ndarray],
    grads: dict[str, np.ndarray],
    state: dict,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> tuple[dict[str, np.ndarray], dict]:
    """Take one step of Adam.

    m <- beta1 m + (1 - beta1) g, v <- beta2 v + (1 - beta2) g^2, then with t = 1 in the first step
    w <- w - lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps).

    Args:
        params: Arrays by name; not changed.
        grads: The gradient of each, under the same names.
        state: What the last step returned; `{}` before the first step, when all averages are 0. The
            reference keeps `{"t": steps so far, "m": {name: array}, "v": {name: array}}`. Not changed.
        lr: Learning rate.
        betas: beta1 and beta2, each in [0, 1).
        eps: Added to the root, not under it.

    Returns:
        params: New arrays under the same names, each with the dtype of its parameter.
        state: What the next step is to be given.

    Raises:
        ValueError: The names of `grads` are not those of `params`, a gradient has another shape than
            its parameter, or a beta is outside [0, 1).

    Source:
        Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization", algorithm 1.
    """
    ### BEGIN SOLUTION
    if params.keys() != grads.keys():
        raise ValueError(f"params has {sorted(params)} and grads has {sorted(grads)}; they must be equal.")
    beta1, beta2 = map(float, betas)  # Python numbers widen no float32
    if not (0 <= beta1 < 1 and 0 <= beta2 < 1):
        raise ValueError(f"The betas are at least 0 and below 1; got {betas}.")
    t = state.get("t", 0) + 1
    old_m, old_v = state.get("m", {}), state.get("v", {})
    new_params, new_m, new_v = {}, {}, {}
    for name, value in params.items():
        grad = grads[name]
        if grad.shape != value.shape:
            raise ValueError(f"The gradient of {name} has shape {grad.shape}; {name} has {value.shape}.")
        m = beta1 * old_m.get(name, np.zeros_like(value)) + (1 - beta1) * grad
        v = beta2 * old_v.get(name, np.zeros_like(value)) + (1 - beta2) * grad**2
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        new_params[name] = value - float(lr) * m_hat / (np.sqrt(v_hat) + float(eps))
        new_m[name], new_v[name] = m, v
    return new_params, {"t": t, "m": new_m, "v": new_v}
    ### END SOLUTION


# %% tags=["check"]
gs.check("adam_step")

# %% [markdown]
# Here is the narrow valley: the floor slopes gently to the right, the walls are thirty times as
# steep. Forty steps of each rule, from the same start.


# %% tags=["demo"]
def roll(step, n_steps=40):
    """Return the points that `step` visits in the valley w[0]**2 / 2 + 15 * w[1]**2."""
    params, state, path = {"w": np.array([-4.0, 0.9])}, {}, []
    for _ in range(n_steps):
        path.append(params["w"])
        grads = {"w": params["w"] * np.array([1.0, 30.0])}
        params, state = step(params, grads, state)
    return np.array(path)


paths = {
    "SGD, rate 0.06": roll(lambda p, g, s: momentum_step(p, g, s, 0.06, 0.0)),
    "momentum, rate 0.02": roll(lambda p, g, s: momentum_step(p, g, s, 0.02, 0.8)),
    "Adam, rate 0.3": roll(lambda p, g, s: adam_step(p, g, s, 0.3)),
}
across, up = np.meshgrid(np.linspace(-4.6, 2, 200), np.linspace(-1.4, 1.4, 100))
fig, axes = plt.subplots(1, 3, figsize=(11, 3.2), sharey=True)
for ax, (name, path), colour in zip(axes, paths.items(), (RED, ORANGE, GREEN), strict=True):
    ax.contour(across, up, across**2 / 2 + 15 * up**2, levels=np.geomspace(0.1, 40, 9), colors="#d5dbe0")
    ax.plot(*path.T, color=colour, marker="o", markersize=3, linewidth=1.2)
    ax.plot(0, 0, marker="*", markersize=12, color=INK)
    left = np.linalg.norm(path[-1])
    ax.set(title=f"{name}\nstill {left:.2f} away", xlabel="along the floor")
axes[0].set_ylabel("across")
fig.tight_layout()

# %% [markdown]
# SGD cannot take larger steps: at a rate of 1/15 the walls would throw it out. Momentum rolls through.
# Adam walks along the diagonal, as if the valley were round: it divides each direction by its own
# steepness. Its price is visible, too. It overshoots and comes back, for it cannot tell a small
# gradient near the bottom from a small gradient far away.
#
# ### The kernel `adam_step.wgsl`
#
# One invocation per weight. Three arrays are updated in place: `w`, `m` and `v`. Read the contract
# for the two corrections. They arrive as numbers, because the GPU would spoil them.
#
# **Question.** In `float32`, what is left of $1 - 0.999^t$ at $t = 1$?
#
# <details><summary>Answer</summary>
#
# Numbers just below 1 lie $6 \cdot 10^{-8}$ apart. The difference is $0.001$, so it is known to
# $6 \cdot 10^{-5}$ of itself: four digits of seven. The caller has `float64` and computes it once
# for all weights.
#
# </details>

# %% tags=["demo"]
gs.show_kernel("adam_step.wgsl")

# %% tags=["check"]
gs.check("adam_step.wgsl")

# %% [markdown]
# ## 3.8 Random numbers on a GPU
#
# Weights come from random numbers, and so will dropout. A generator such as NumPy's has a state: each
# number is made from the one before. A GPU has ten thousand invocations that do not wait for each
# other.
#
# **Question.** Invocation 5000 needs number 5000, and no state can be shared. What could it compute
# its number from?
#
# <details><summary>Answer</summary>
#
# From the only thing that it has to itself: its index. And from the seed, which all have.
#
# </details>
#
# So we need a function of a counter that *looks* random: a **hash**. Change one bit of what goes in,
# and about half of the bits that come out must flip. Mark Jarzynski and Marc Olano compared dozens of
# hashes in 2020 and found this one, from Melissa O'Neill's PCG family, both good and cheap. All
# numbers are unsigned 32-bit integers, and what overflows is cut off:
#
# - `state = x * 747796405 + 2891336453`: one step of a linear generator. Its high bits are good, its
#   low bits are poor.
# - `word = ((state >> ((state >> 28) + 4)) ^ state) * 277803737`: the four highest bits choose how
#   far the rest is shifted, and what is shifted is mixed in.
# - `result = (word >> 22) ^ word`: the high bits are mixed into the low ones.
#
# The next cell has it in NumPy, where `uint32` wraps as well. These are given. Your kernels must
# return the very same bits, on every device, for ever. That is the beauty of a hash: integers do not
# round.


# %%
def pcg_hash(x: np.ndarray) -> np.ndarray:
    """Hash each element of a uint32 array to another uint32."""
    state = x * np.uint32(747796405) + np.uint32(2891336453)
    word = ((state >> ((state >> np.uint32(28)) + np.uint32(4))) ^ state) * np.uint32(277803737)
    return (word >> np.uint32(22)) ^ word


def random_uniform(n: int, seed: int) -> np.ndarray:
    """Return `n` float32 numbers, uniform in [0, 1): number i is the hash of i + hash(seed)."""
    start = pcg_hash(np.array([seed], np.uint32))
    bits = pcg_hash(np.arange(n, dtype=np.uint32) + start)
    return (bits >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)


def random_normal(n: int, seed: int) -> np.ndarray:
    """Return `n` standard normal numbers from pairs of uniform ones (Box-Muller), computed in float64."""
    u = random_uniform(n + n % 2, seed).astype(np.float64)
    r, theta = np.sqrt(-2 * np.log(1 - u[0::2])), 2 * np.pi * (u[1::2] - 0.5)
    return np.stack([r * np.cos(theta), r * np.sin(theta)], axis=1).reshape(-1)[:n]


# %% [markdown]
# Two small things deserve a look.
#
# **Why is the seed hashed as well?** With `pcg_hash(i + seed)`, seed 8 would give the numbers of seed
# 7, shifted by one. Whoever uses the seeds 0, 1, 2, ... for step 0, 1, 2, ... gets the same mask in
# every step, only moved. The inner hash sends neighbouring seeds to places far apart.
#
# **Why throw 8 bits away?** A `float32` holds 24 bits. All 32 would have to be rounded, and the
# largest would round up to 1.0. Code that takes `log(1 - u)` would meet `log(0)` once in
# thirty million draws: seldom enough to pass every test, often enough to ruin a night.
#
# ### The kernel `random_uniform.wgsl`
#
# It has no input but the seed. In WGSL, `u32` arithmetic wraps by itself. Write the hash as a
# function of its own, above `main`; you will need it twice more.

# %% tags=["demo"]
gs.show_kernel("random_uniform.wgsl")

# %% tags=["check"]
gs.check("random_uniform.wgsl")

# %% [markdown]
# ### The kernel `random_normal.wgsl`
#
# Weights want normal numbers. George Box and Mervin Muller saw in 1958 that *two* independent normal
# numbers are easier than one. Seen as a point in the plane, they have no preferred direction, so the
# angle is uniform. And half of their squared distance from 0 has an exponential distribution, which a
# logarithm makes from a uniform number:
#
# $$r = \sqrt{-2 \ln(1-u_1)} \qquad \theta = 2\pi\,(u_2 - \tfrac12) \qquad z_1 = r\cos\theta \qquad z_2 = r\sin\theta$$
#
# **Question.** Why $1 - u_1$, which is uniform just as $u_1$ is?
#
# <details><summary>Answer</summary>
#
# $u_1$ can be exactly 0, and $1 - u_1$ cannot. It can be 1, and $\ln 1 = 0$ does no harm.
#
# </details>
#
# One invocation makes a pair, from the uniform numbers $2k$ and $2k+1$, and stores both. When `n` is
# odd, the last pair has one number too many.

# %% tags=["demo"]
gs.show_kernel("random_normal.wgsl")

# %% tags=["check"]
gs.check("random_normal.wgsl")

# %% tags=["demo"]
uniform_numbers = gs.kernel("random_uniform.wgsl")(n=20000, seed=2020)
normal_numbers = gs.kernel("random_normal.wgsl")(n=20000, seed=1958)
bits_equal = bool(np.array_equal(uniform_numbers, random_uniform(20000, 2020)))
normal_gap = float(np.abs(normal_numbers - random_normal(20000, 1958)).max())

fig, axes = plt.subplots(1, 3, figsize=(11, 3.4))
axes[0].hist(uniform_numbers, bins=40, color=BLUE)
axes[0].set(title="random_uniform", xlabel="number", ylabel="how many of 20000")
axes[1].scatter(*uniform_numbers[:4000].reshape(-1, 2).T, s=2, color=BLUE)
axes[1].set(title="each with the next", xlabel="number 2k", ylabel="number 2k + 1", aspect="equal")
axes[2].hist(normal_numbers, bins=60, color=ORANGE)
bell = np.linspace(-4, 4, 200)
axes[2].plot(
    bell, 20000 * np.ptp(normal_numbers) / 60 * np.exp(-(bell**2) / 2) / np.sqrt(2 * np.pi), color=INK
)
axes[2].set(title="random_normal", xlabel="number")
fig.tight_layout()
print(f"uniform: same bits as NumPy: {bits_equal}; mean {uniform_numbers.mean():.4f}")
print(
    f"normal: off by at most {normal_gap:.0e}; mean {normal_numbers.mean():.3f}, std {normal_numbers.std():.3f}"
)

# %% [markdown]
# ## 3.9 Dropout: never lean on one neuron
#
# A large network with few examples learns them by heart. Each neuron finds partners that only work
# together, on these examples. Nitish Srivastava and others had a brutal idea in 2014: in every
# training step, switch off a random part of the neurons. A neuron that cannot count on its partners
# must be useful by itself.
#
# Each element is dropped with probability `rate`, independently. That changes the sum that the next
# layer sees.
#
# **Question.** Half of the elements are gone. How large is the next layer's sum, compared with
# testing time, when nothing is dropped? How do you make up for it?
#
# <details><summary>Answer</summary>
#
# Half as large on average. Either halve everything at testing time, or double the survivors now.
# Doubling now is called **inverted dropout**: divide by $1 - rate$ while training, and do nothing at
# all when testing. Everybody does it this way, for testing is what happens most.
#
# </details>


# %%
def dropout_forward(
    x: Float[np.ndarray, "*shape"], rate: float, rng: np.random.Generator, training: bool
) -> tuple[Float[np.ndarray, "*shape"], object]:
    """Switch elements off at random and scale up the others (inverted dropout).

    Training: out = x / (1 - rate) with probability 1 - rate, else 0, for each element independently.
    Testing: out = x.

    Args:
        x: Activations of any shape.
        rate: Probability that an element is dropped, in [0, 1]; at 1 all of them are.
        rng: Where the mask is drawn from; the same state gives the same mask.
        training: False passes everything through unchanged.

    Returns:
        out: A new array with the shape and dtype of `x`.
        cache: What the backward needs.

    Raises:
        ValueError: `rate` is outside [0, 1].

    Source:
        Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting".
    """
    ### BEGIN SOLUTION
    if not 0 <= rate <= 1:
        raise ValueError(f"rate is a probability in [0, 1]; got {rate}.")
    if not training:
        return x.copy(), None
    keep = rng.random(x.shape) >= rate
    survivor = 1 / (1 - rate) if rate < 1 else 0.0
    scale = np.where(keep, survivor, 0.0).astype(x.dtype)
    return x * scale, scale
    ### END SOLUTION


# %% tags=["check"]
gs.check("dropout_forward")

# %% [markdown]
# Backwards, a dropped element had no influence, so its gradient is 0. A surviving one was multiplied
# by a constant. The mask must be the one of the forward: drawing again would punish neurons that were
# not even there.


# %%
def dropout_backward(dout: Float[np.ndarray, "*shape"], cache: object) -> Float[np.ndarray, "*shape"]:
    """Return the gradient of dropout's input.

    dx = dout / (1 - rate) where the forward kept the element, 0 where it dropped it; dx = dout when
    the forward was not training.

    Args:
        dout: Gradient of the loss with respect to `out`; not changed.
        cache: From `dropout_forward`.

    Returns:
        dx: A new array with the shape and dtype of `dout`.

    Raises:
        ValueError: `dout` does not have the shape of the forward's output. Checked after a forward
            in training; without training nothing is cached to compare with.
    """
    ### BEGIN SOLUTION
    scale = cache
    if scale is None:
        return dout.copy()
    if dout.shape != scale.shape:
        raise ValueError(f"dout has shape {dout.shape}; the forward's output had {scale.shape}.")
    return dout * scale
    ### END SOLUTION


# %% tags=["check"]
gs.check("dropout_backward")

# %% [markdown]
# ### The kernel `dropout_forward.wgsl`
#
# The NumPy version stores a mask for the backward. For a large network that is a lot of memory.
#
# **Question.** The kernel gets a seed and makes its mask from the hash. What must be stored for the
# backward, and which kernel computes it?
#
# <details><summary>Answer</summary>
#
# Only the seed. The backward multiplies by the same mask and the same factor, so it is the *same
# kernel*, run on `dout` with the same seed.
#
# </details>

# %% tags=["demo"]
gs.show_kernel("dropout_forward.wgsl")

# %% tags=["check"]
gs.check("dropout_forward.wgsl")

# %% [markdown]
# ## 3.10 The run: thirty layers read digits
#
# Now the question of the beginning. A network of thirty layers, 64 neurons each, with ReLU between
# them, on the handwritten digits. Four sizes of weights, three seeds each, Adam with a rate of 0.001,
# twelve epochs. Everything else is the same.
#
# The next cell is stage 2's network, in a few lines. The pixels are shifted and scaled to mean 0 and
# variance 1, because that is what the derivation assumed of its inputs.


# %% tags=["demo"]
pixels, digits = gs.load_digits()
order = np.random.default_rng(0).permutation(len(pixels))
pixels, digits = pixels[order], digits[order]
pixels = ((pixels - pixels[:1438].mean()) / pixels[:1438].std()).astype(np.float32)
x_train, y_train, x_test, y_test = pixels[:1438], digits[:1438], pixels[1438:], digits[1438:]


def start_params(sizes, init, rng):
    """Draw the weights of each layer; all biases are 0."""
    draws = {
        "unit": lambda d_in, d_out: rng.standard_normal((d_in, d_out)),
        "tiny": lambda d_in, d_out: 0.01 * rng.standard_normal((d_in, d_out)),
        "xavier": lambda d_in, d_out: xavier_uniform(d_in, d_out, rng),
        "he": lambda d_in, d_out: he_normal(d_in, d_out, rng),
    }
    params = {}
    for i, (d_in, d_out) in enumerate(pairwise(sizes)):
        params[f"w{i}"] = draws[init](d_in, d_out).astype(np.float32)
        params[f"b{i}"] = np.zeros(d_out, np.float32)
    return params


def loss_and_grads(params, x, labels, rate=0.0, rng=None):
    """Return loss, logits and gradients of an MLP; hidden layers have dropout when `rng` is given."""
    n_layers = len(params) // 2
    inputs, dropped = [x], []
    for i in range(n_layers):
        z = inputs[-1] @ params[f"w{i}"] + params[f"b{i}"]
        if i < n_layers - 1:
            z, cache = dropout_forward(np.maximum(z, 0), rate, rng, training=rng is not None)
            dropped.append(cache)
        inputs.append(z)
    logits = inputs.pop()
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    rows = np.arange(len(x))
    dz = np.exp(log_probs)
    dz[rows, labels] -= 1
    dz /= np.float32(len(x))
    grads = {}
    for i in reversed(range(n_layers)):
        grads[f"w{i}"], grads[f"b{i}"] = inputs[i].T @ dz, dz.sum(axis=0)
        if i:
            dz = dropout_backward(dz @ params[f"w{i}"].T, dropped[i - 1]) * (inputs[i] > 0)
    return -log_probs[rows, labels].mean(), logits, grads


def batches(n_examples, n_epochs, seed, batch_size=64):
    rng = np.random.default_rng(seed)
    for _ in range(n_epochs):
        shuffled = rng.permutation(n_examples)
        for first in range(0, n_examples, batch_size):
            yield shuffled[first : first + batch_size]


def accuracy_of(params, x, labels):
    return float(np.mean(loss_and_grads(params, x, labels)[1].argmax(axis=1) == labels))


def train(params, seed, n_epochs, lr=0.001):
    """Train with Adam; return the losses and the parameters."""
    state, losses = {}, []
    for chosen in batches(len(x_train), n_epochs, seed):
        loss, _, grads = loss_and_grads(params, x_train[chosen], y_train[chosen])
        params, state = adam_step(params, grads, state, lr)
        losses.append(float(loss))
    return np.array(losses), params


SIZES = [64] * 30 + [10]
curves, accuracies = {}, {}
with np.errstate(over="ignore", invalid="ignore"):  # unit weights overflow; that is the point
    for init in COLOURS:
        runs = [train(start_params(SIZES, init, np.random.default_rng(s)), s, n_epochs=12) for s in range(3)]
        curves[init] = [losses for losses, _ in runs]
        accuracies[init] = [accuracy_of(trained, x_test, y_test) for _, trained in runs]

fig, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4), width_ratios=(1.6, 1))
for i, (init, colour) in enumerate(COLOURS.items()):
    for j, losses in enumerate(curves[init]):
        smooth = np.convolve(losses, np.ones(15) / 15, mode="valid")
        label = f"{init} (loss {losses[0]:.0e})" if init == "unit" else init
        left.plot(np.minimum(smooth, 3.2), color=colour, linewidth=1.4, label=label if j == 0 else None)
    right.scatter(accuracies[init], [i] * 3, color=colour, s=45)
left.axhline(np.log(10), color=GREY, linestyle="--", linewidth=1)
left.set(xlabel="step", ylabel="loss [nats]", ylim=(0, 3.3), title="30 layers, three seeds each")
left.annotate("ln 10: knows nothing", (60, 2.38), color=INK)
left.legend(frameon=False, loc="upper right", bbox_to_anchor=(1, 0.97), ncols=2)
right.axvline(0.1, color=GREY, linestyle="--", linewidth=1)
right.set(xlim=(0, 1), yticks=range(4), yticklabels=list(COLOURS), xlabel="accuracy on test digits")
right.invert_yaxis()
fig.tight_layout()
for init, values in accuracies.items():
    print(f"{init:6}: test accuracy {', '.join(f'{value:.3f}' for value in values)}")

# %% [markdown]
# Unit weights start at a loss with more than twenty zeros and never come down. Tiny weights stay
# at $\ln 10$: ten equal guesses, whatever the picture. Not one of the first layers ever hears that
# something is wrong. With Xavier the signal is only $2^{-15}$ of what it was. Adam, which divides
# by the size of a gradient, can still dig it out, but slowly. He learns from the first steps.
#
# What separates the last two is a factor of 2 under a square root, thirty times.
#
# ## 3.11 The same run on your own kernels
#
# This time the weights are born on the device, from `random_normal.wgsl`, and every step is one
# launch of `adam_step.wgsl`. All weights of all layers lie in one long array, for Adam does not care
# which layer a number belongs to. The NumPy run starts from the same weights, to compare.


# %% tags=["demo"]
def views(flat):
    """Cut one long array into the weights and biases of the thirty layers."""
    params, first = {}, 0
    for i, (d_in, d_out) in enumerate(pairwise(SIZES)):
        for name, shape in ((f"w{i}", (d_in, d_out)), (f"b{i}", (d_out,))):
            params[name] = flat[first : first + int(np.prod(shape))].reshape(shape)
            first += params[name].size
    return params


n_weights = sum(d_in * d_out + d_out for d_in, d_out in pairwise(SIZES))
born = gs.kernel("random_normal.wgsl")(n=n_weights, seed=30)
for name, value in views(born).items():
    value *= np.float32(np.sqrt(2 / value.shape[0]) if name[0] == "w" else 0.0)  # He, and no bias

adam_kernel = gs.kernel("adam_step.wgsl")
weights = gs.to_device(born)
mean, square = gs.to_device(np.zeros_like(born)), gs.to_device(np.zeros_like(born))
kernel_losses = []
for t, chosen in enumerate(batches(len(x_train), 12, seed=30), start=1):
    loss, _, grads = loss_and_grads(views(weights.numpy()), x_train[chosen], y_train[chosen])
    flat = np.concatenate([grads[name].reshape(-1) for name in views(born)])
    corrections = {"m_correction": 1 - 0.9**t, "v_correction": 1 - 0.999**t}
    adam_kernel(
        w=weights, m=mean, v=square, grad=flat, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8, **corrections
    )
    kernel_losses.append(float(loss))

numpy_losses, numpy_params = train(views(born.copy()), seed=30, n_epochs=12)
kernel_accuracy = accuracy_of(views(weights.numpy()), x_test, y_test)
numpy_accuracy = accuracy_of(numpy_params, x_test, y_test)
early_gap = float(np.abs(np.array(kernel_losses) - numpy_losses)[:10].max())

fig, ax = plt.subplots(figsize=(7, 3.4))
ax.plot(numpy_losses, color=GREY, linewidth=3, label="NumPy")
ax.plot(kernel_losses, color=GREEN, linewidth=1, label="your kernels")
ax.set(xlabel="step", ylabel="loss [nats]", title=f"{n_weights} weights, one launch per step")
ax.legend(frameon=False)
fig.tight_layout()
print(f"the losses of the first ten steps differ by at most {early_gap:.0e} nats")
print(f"accuracy on the test digits: kernels {kernel_accuracy:.3f}, NumPy {numpy_accuracy:.3f}")

# %% [markdown]
# The two runs agree to rounding at first and then part a little. Thirty layers multiply the last
# digit of a weight many times over, and Adam divides by small numbers. Neither run is more right than
# the other. They end no further apart than two seeds do.
#
# ## 3.12 What dropout buys
#
# Learning by heart hurts most when what is learned is wrong. So spoil the training labels: three in
# ten are replaced by a random digit. The test labels stay right. Two hidden layers of 128 neurons
# have enough room to learn every one of the wrong labels by heart. Train with and without dropout,
# three seeds each. What do you expect?

# %% tags=["demo"]
spoil = np.random.default_rng(5)
wrong = spoil.random(len(y_train)) < 0.3
noisy_y = np.where(wrong, spoil.integers(0, 10, len(y_train)), y_train)
dropout_accuracy = {0.0: [], 0.5: []}
for rate, values in dropout_accuracy.items():
    for seed in range(3):
        params = start_params([64, 128, 128, 10], "he", np.random.default_rng(seed))
        state, mask_rng = {}, np.random.default_rng(100 + seed)
        for chosen in batches(len(x_train), 30, seed):
            _, _, grads = loss_and_grads(params, x_train[chosen], noisy_y[chosen], rate, mask_rng)
            params, state = adam_step(params, grads, state, 0.001)
        values.append(accuracy_of(params, x_test, y_test))
    learned = accuracy_of(params, x_train[wrong], noisy_y[wrong])
    print(f"rate {rate}: test accuracy {', '.join(f'{value:.3f}' for value in values)}; ", end="")
    print(f"of the spoiled labels {learned:.2f} are repeated")

x = np.random.default_rng(3).standard_normal(1000).astype(np.float32)
drop = gs.kernel("dropout_forward.wgsl")
dropped, mask_gradient = drop(x=x, rate=0.5, seed=9), drop(x=np.ones_like(x), rate=0.5, seed=9)
same_mask = bool(np.array_equal(dropped != 0, mask_gradient != 0))
print(f"the kernel run on a gradient with the same seed finds the same mask: {same_mask}")

# %% [markdown]
# Without dropout the network repeats four in ten of the spoiled labels. With dropout it repeats one in
# ten, as many as chance would. It has not learned them at all, and it reads the test digits about
# four points better. With clean labels there is almost nothing to gain on these digits: try it.
# Dropout is a medicine, not food.
#
# ## 3.13 What you have, and what is missing
#
# | idea | formula | without it |
# |---|---|---|
# | Xavier | var(w) = 2 / (d_in + d_out) | tanh nets saturate or fade |
# | He | var(w) = 2 / d_in | ReLU nets lose a factor of 2 per layer |
# | momentum | v = μv + g | zigzag in narrow valleys |
# | Adam | m / (√v + ε), both corrected | one rate for all layers |
# | counter hash | hash(i + hash(seed)) | no two devices agree |
# | dropout | x · mask / (1 - rate) | large nets learn by heart |
#
# PyTorch has them as `nn.init.xavier_uniform_`, `nn.init.kaiming_normal_`, `optim.SGD(momentum=0.9)`,
# `optim.Adam` and `nn.Dropout`. Its counter-based generator on the GPU is called Philox; the idea is
# the one you wrote.
#
# **A last question.** Shift a digit by two pixels. What does your thirty-layer network say?
#
# <details><summary>Answer</summary>
#
# Something else, mostly. Each weight is tied to one pixel, so a digit in another place is another
# picture, and everything about it must be learned again there. Depth does not help. What helps is to
# use the same weights in every place. That is stage 4.
#
# </details>
