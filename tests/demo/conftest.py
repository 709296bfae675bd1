"""A small synthetic pack: one stage, two functions, one kernel."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gradschool.pack import Pack, Stage

LESSON = '''\
# %% [markdown]
# # 0. Tiny
# %% tags=["setup"]
import numpy as np
import gradschool as gs
gs.start("00_tiny")
# %%
def double(x):
    """Return twice `x`."""
    ### BEGIN SOLUTION
    return x * 2
    ### END SOLUTION
# %% tags=["check"]
gs.check("double")
# %%
LIMIT = 3

def clip(x):
    """Return `x`, at most 3."""
    ### BEGIN SOLUTION
    return np.minimum(x, LIMIT)
    ### END SOLUTION
# %% tags=["check"]
gs.check("clip")
# %% tags=["check"]
gs.check("double.wgsl")
'''

KERNEL = """\
// double: out[i] = 2 * x[i]
//
// Stage     00_tiny
// Source    arithmetic
// Shapes    x, out: (n) f32
// Bindings  0 params uniform | 1 x read | 2 out read_write
// Dispatch  invocations = (n, 1, 1)
// Guard     out may be longer than n
// Numerics  exact

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u) {
  // BEGIN SOLUTION
  if (global_id.x >= params.n) {
    return;
  }
  out[global_id.x] = 2.0 * x[global_id.x];
  // END SOLUTION
}
"""

GRADERS = """\
import pytest

@pytest.mark.exercise("double")
@pytest.mark.points(2)
def test_double(submission): ...

@pytest.mark.exercise("clip")
@pytest.mark.points(1)
def test_clip(submission): ...

@pytest.mark.exercise("double.wgsl")
@pytest.mark.points(3)
def test_double_kernel(kernel): ...
"""

MISCONCEPTIONS = """\
[[misconception]]
id = "triple"
exercise = "double"
help = "You tripled the numbers. Multiply by two."
old = "x * 2"
new = "x * 3"

[[misconception]]
id = "no-guard"
exercise = "double.wgsl"
help = "There is no guard. Return when the index is past n."
old = "if (global_id.x >= params.n) {"
new = "if (false) {"
"""

ANSWERS = '''\
"""Differently written."""
from __future__ import annotations

import numpy as np

TWO = 2


def double(x):
    return np.multiply(x, TWO)
'''


@pytest.fixture
def tiny_pack(tmp_path: Path) -> Pack:
    """Write the synthetic pack and return it."""
    root = tmp_path / "pack"
    write(root / "solutions/00_tiny/lesson.py", LESSON)
    write(root / "shaders/00_tiny/double.wgsl", KERNEL)
    write(root / "graders/00_tiny/test_tiny.py", GRADERS)
    write(root / "graders/00_tiny/checks.py", "")
    write(root / "graders/00_tiny/misconceptions.toml", MISCONCEPTIONS)
    write(root / "graders/00_tiny/alternatives/plain/answers.py", ANSWERS)
    write(root / "graders/00_tiny/alternatives/plain/double.wgsl", KERNEL.replace("(64)", "(1)"))
    return Pack(root)


@pytest.fixture
def tiny_stage(tiny_pack: Pack) -> Stage:
    """The synthetic pack's only stage, with its assignment built by hand."""
    stage = tiny_pack.stage("00_tiny")
    write(stage.assignment / "00_tiny.ipynb", json.dumps(stub_notebook(stage)))
    stub = KERNEL.split("  // BEGIN SOLUTION")[0] + "  // YOUR CODE HERE\n}\n"
    write(stage.assignment / "double.wgsl", stub)
    write(stage.assignment / "checks.py", "")
    return stage


def write(path: Path, text: str) -> None:
    """Write `text`, making the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def stub_notebook(stage: Stage) -> dict:
    """The released notebook of the synthetic stage."""
    cells = []
    for cell in stage.cells:
        source = cell.source
        if cell.role == "solution":
            head = source.split("    ### BEGIN SOLUTION")[0]
            source = head + '    raise NotImplementedError("your code here")'
        kind = "markdown" if cell.role == "markdown" else "code"
        cells.append({"cell_type": kind, "id": f"c{cell.index}", "metadata": {}, "source": source})
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
