"""What is installed and what is released hold nothing hidden."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from gradschool.pack import Pack, Stage
from gradschool.release import build_assignment, find_leaks

ROOT = Path(__file__).parents[2]
PACK = Pack(ROOT)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(folder),
        str(ROOT),
    ]
    subprocess.run(command, check=True)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_the_package_alone(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"gradschool"}
    assert "gradschool/grading/pytest.ini" in wheel.namelist()


def test_no_line_of_a_solution_is_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    files = {
        name: wheel.read(name)
        for name in wheel.namelist()
        if name.endswith((".py", ".md", ".json", ".toml", ".html", ".css"))
    }
    for stage in PACK.stages:
        long_lines = [(name, line) for name, line in find_leaks(stage, files) if len(line) > 60]
        assert long_lines == []


@pytest.mark.parametrize("stage", PACK.stages, ids=lambda stage: stage.id)
def test_no_line_of_a_solution_is_in_what_learners_get(stage: Stage) -> None:
    folder = stage.assignment
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix in (".ipynb", ".wgsl", ".py")
    }
    assert set(files) <= set(build_assignment(stage))
    assert find_leaks(stage, files) == []


@pytest.mark.parametrize("stage", PACK.stages, ids=lambda stage: stage.id)
def test_no_hidden_test_or_mistake_is_in_what_learners_get(stage: Stage) -> None:
    text = "\n".join(
        path.read_text(encoding="utf-8")
        for path in stage.assignment.glob("*")
        if path.suffix in (".ipynb", ".py")
    )
    for path in stage.graders.glob("test_*.py"):
        names = [
            line[4:].split("(")[0] for line in path.read_text().splitlines() if line.startswith("def test_")
        ]
        visible = {
            line[4:].split("(")[0]
            for check in stage.graders.glob("checks*.py")
            for line in check.read_text().splitlines()
            if line.startswith("def test_")
        }
        assert not [name for name in names if name in text and name not in visible]
