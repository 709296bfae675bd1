"""A stage with one of everything, so that these tests do not follow the course's own text."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gradschool.pack import Pack, Stage

TINY_PACK = Path(__file__).parent / "tiny_pack"
collect_ignore = ["tiny_pack"]


@pytest.fixture
def tiny_pack(tmp_path: Path) -> Pack:
    root = tmp_path / "pack"
    shutil.copytree(TINY_PACK, root, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "assignments").mkdir()
    return Pack(root)


@pytest.fixture
def tiny(tiny_pack: Pack) -> Stage:
    return tiny_pack.stages[0]
