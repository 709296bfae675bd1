"""A released stage on disk, and a cell's namespace."""

from __future__ import annotations

from pathlib import Path

import pytest

import gradschool.notebook
from gradschool.pack import Pack
from gradschool.release import build_assignment

TINY_PACK = Path(__file__).parents[1] / "release" / "tiny_pack"


@pytest.fixture
def stage_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: `00_tiny/`, as a learner has it."""
    folder = tmp_path / "00_tiny"
    for name, content in build_assignment(Pack(TINY_PACK).stages[0]).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(gradschool.notebook, "_started", None)
    monkeypatch.delenv("GRADSCHOOL_STAGE_FOLDER", raising=False)
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    return folder
