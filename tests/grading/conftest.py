"""A pack of one small stage, and submissions to it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from gradschool.grading.fill import fill_notebook, reference_functions, reference_kernels
from gradschool.pack import Pack, Stage
from gradschool.release import build_assignment

TINY_PACK = Path(__file__).parents[1] / "release" / "tiny_pack"

MISCONCEPTIONS = """
[[misconception]]
id = "doubles-twice"
exercise = "double"
help = "You double twice."
old = "* FACTOR"
new = "* FACTOR * FACTOR"

[[misconception]]
id = "empty-accepted"
exercise = "double"
help = "An empty array is doubled without a word."
old = "np.size(x) == 0"
new = "False"

[[misconception]]
id = "no-guard"
exercise = "scale_shift.wgsl"
help = "There is no guard."
old = "if (i >= params.n) {"
new = "if (false) {"

[[misconception]]
id = "no-shift"
exercise = "scale_shift.wgsl"
help = "The shift is missing."
old = " + params.beta"
new = ""
"""

Submit = Callable[..., Path]


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    root = tmp_path / "pack"
    shutil.copytree(TINY_PACK, root, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "graders/00_tiny/misconceptions.toml").write_text(MISCONCEPTIONS)
    (root / "assignments").mkdir()
    return Pack(root)


@pytest.fixture
def stage(pack: Pack) -> Stage:
    return pack.stages[0]


@pytest.fixture
def submit(stage: Stage, tmp_path: Path) -> Submit:
    """Write `submissions/<student>/00_tiny/`: the reference with some answers replaced."""

    def write(student: str, functions: dict[str, str] | None = None, kernel: str | None = None) -> Path:
        folder = tmp_path / "submissions" / student / stage.id
        folder.mkdir(parents=True, exist_ok=True)
        released = build_assignment(stage)
        notebook = msgspec.json.decode(released[f"{stage.id}.ipynb"])
        filled = fill_notebook(notebook, {**reference_functions(stage), **(functions or {})})
        (folder / f"{stage.id}.ipynb").write_bytes(msgspec.json.encode(filled))
        text = kernel if kernel is not None else reference_kernels(stage)["scale_shift.wgsl"]
        (folder / "scale_shift.wgsl").write_text(text)
        return folder

    return write
