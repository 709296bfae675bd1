# %% [markdown]
# # 0. Tiny: a stage for the tests of this project
#
# It has one of everything. Formula: $y = 2x$.
#
# ![a picture](figures/double.svg)

# %% tags=["setup"]
import numpy as np

import gradschool as gs

gs.start("00_tiny")


# %%
def as_float(x):
    """Given to the learner; both exercises may use it."""
    return np.asarray(x, dtype=float)


# %%
# A constant before the function, as some exercises need.
FACTOR = 2.0


def double(x):
    """Return x times two.

    Raises:
        ValueError: `x` is empty.
    """
    ### BEGIN SOLUTION
    if np.size(x) == 0:
        raise ValueError("x is empty, and nothing cannot be doubled")
    return as_float(x) * FACTOR
    ### END SOLUTION


# %% tags=["check"]
gs.check("double")


# %%
def halve(x):
    """Return half of x."""
    ### BEGIN SOLUTION
    half_of_everything = as_float(x) / 2.0
    return half_of_everything
    ### END SOLUTION


# %% tags=["check"]
gs.check("halve")

# %% [markdown]
# ## The kernel

# %% tags=["demo"]
gs.show_kernel("scale_shift.wgsl")

# %% tags=["check"]
gs.check("scale_shift.wgsl")

# %% tags=["demo"]
scale_shift = gs.kernel("scale_shift.wgsl")
print(scale_shift(x=np.arange(5, dtype=np.float32), alpha=2.0, beta=1.0))
