"""The course's own stages: released, fresh, and without a word of their solutions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gradschool.pack import Pack
from gradschool.release import build_assignment, compare, find_leaks
from gradschool.release.stubs import is_unwritten_kernel

ROOT = Path(__file__).parents[2]
PACK = Pack(ROOT)
STAGES = [stage.id for stage in PACK.stages]


@pytest.mark.parametrize("stage_id", STAGES)
def test_assignments_are_fresh(stage_id: str) -> None:
    stage = PACK.stage(stage_id)
    state = compare(stage, build_assignment(stage))
    assert (state.stale, state.stray) == ([], []), f"run: gradschool release {stage_id}"


@pytest.mark.parametrize("stage_id", STAGES)
def test_every_stub_kernel_is_empty(stage_id: str) -> None:
    stage = PACK.stage(stage_id)
    files = build_assignment(stage)
    begun = [path.name for path in stage.kernels if not is_unwritten_kernel(files[path.name].decode())]
    assert begun == []


@pytest.mark.parametrize("stage_id", STAGES)
def test_no_solution_is_released(stage_id: str) -> None:
    stage = PACK.stage(stage_id)
    files = build_assignment(stage)
    assert find_leaks(stage, files) == []
    for name, content in files.items():
        assert b"BEGIN SOLUTION" not in content, name
        assert b"END SOLUTION" not in content, name


@pytest.mark.parametrize("stage_id", STAGES)
def test_pictures_that_the_text_shows_are_there(stage_id: str) -> None:
    stage = PACK.stage(stage_id)
    files = build_assignment(stage)
    text = "\n".join(cell.source for cell in stage.cells if cell.role == "markdown")
    shown = set(re.findall(r"\]\((figures/[^)\s]+)\)", text)) | set(
        re.findall(r'src="(figures/[^"]+)"', text)
    )
    assert shown <= set(files)
