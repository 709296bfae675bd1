"""The folders hold what they must, and nothing that is hidden reaches a learner."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

from gradschool.contract import parse_contract
from gradschool.pack import CONTENT_FOLDERS, STAGE_ID, Pack, Stage

ROOT = Path(__file__).parents[2]
PACK = Pack(ROOT)
STAGE_FILES = {
    "solutions": ("lesson.py", "twin.py"),
    "graders": ("checks.py", "misconceptions.toml"),
}


def stage_ids(folder: str) -> set[str]:
    return {path.name for path in (ROOT / folder).iterdir() if path.is_dir() and path.name != "__pycache__"}


@pytest.mark.parametrize("folder", ["assignments", "shaders", "graders"])
def test_the_same_stages_are_in_all_four_folders(folder: str) -> None:
    assert stage_ids(folder) == stage_ids("solutions")


def test_stage_names_are_a_number_and_words() -> None:
    assert all(STAGE_ID.fullmatch(name) for name in stage_ids("solutions"))


def test_the_top_level_holds_what_the_house_names() -> None:
    allowed = {
        "README.md", "pyproject.toml", "assignments", "solutions", "graders", "shaders", "tests", "gradschool",
        "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE",
    }  # fmt: skip
    tracked = {path.split("/")[0] for path in tracked_files()}
    assert {name for name in tracked if not name.startswith(".")} <= allowed


def test_content_folders_are_no_packages() -> None:
    found = [
        path for folder in (*CONTENT_FOLDERS, "assignments") for path in (ROOT / folder).rglob("__init__.py")
    ]
    assert found == []


@pytest.mark.parametrize("stage", PACK.stages, ids=lambda stage: stage.id)
def test_a_stage_has_all_its_files(stage: Stage) -> None:
    for folder, names in STAGE_FILES.items():
        for name in names:
            assert (ROOT / folder / stage.id / name).is_file(), f"{folder}/{stage.id}/{name}"
    assert list(stage.graders.glob("test_*.py"))


@pytest.mark.parametrize("stage", PACK.stages, ids=lambda stage: stage.id)
def test_every_exercise_has_points_and_exactly_one_check_cell(stage: Stage) -> None:
    checked = [cell.exercise for cell in stage.cells if cell.role == "check"]
    assert sorted(map(str, checked)) == sorted(exercise.id for exercise in stage.exercises)
    assert all(exercise.points > 0 for exercise in stage.exercises)


@pytest.mark.parametrize("stage", PACK.stages, ids=lambda stage: stage.id)
def test_a_kernels_header_is_the_same_in_stub_and_reference(stage: Stage) -> None:
    for name, contract in stage.contracts.items():
        stub = parse_contract((stage.assignment / name).read_text(encoding="utf-8"), name)
        assert stub == contract, name
        assert contract.stage == stage.id, name


@pytest.mark.parametrize("stage", PACK.stages, ids=lambda stage: stage.id)
def test_every_hidden_test_is_marked_and_every_grader_file_is_used(stage: Stage) -> None:
    known = {"checks", "test_", "misconceptions", "equivalent_mutants", "hints", "imprecise"}
    for path in stage.graders.iterdir():
        if path.name in ("alternatives", "__pycache__"):
            continue
        assert any(path.name.startswith(prefix) for prefix in known), f"{path.name} is registered nowhere"
    assert sum(exercise.points for exercise in stage.exercises) == stage.max_score


def test_the_package_never_imports_torch() -> None:
    for path in (ROOT / "gradschool").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "torch" for name in names), path


def tracked_files() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return listed.stdout.splitlines()
