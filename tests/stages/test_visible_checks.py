"""What learners run while they work agrees with the references: a right answer passes every visible check."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gradschool.grading.fill import fill_notebook, reference_functions, reference_kernels
from gradschool.pack import Stage, find_pack
from gradschool.release import build_assignment

STAGES = find_pack(Path(__file__)).stages


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All stages side by side, as released, with the references in: late stages launch kernels of early ones."""
    course = tmp_path_factory.mktemp("solved")
    for stage in STAGES:
        for name, content in build_assignment(stage).items():
            path = course / stage.id / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        notebook = course / stage.id / f"{stage.id}.ipynb"
        filled = fill_notebook(json.loads(notebook.read_text()), reference_functions(stage))
        notebook.write_text(json.dumps(filled))
        for name, source in reference_kernels(stage).items():
            (course / stage.id / name).write_text(source)
    return course


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.id)
def test_the_references_pass_the_visible_checks(stage: Stage, solved: Path) -> None:
    # A process of its own, as a learner's: checks of all stages have the same file names.
    command = [sys.executable, "-m", "gradschool", "check", "--folder", str(solved / stage.id), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    records = json.loads(done.stdout)
    assert {record["id"] for record in records} == {exercise.id for exercise in stage.exercises}
    failed = {
        record["id"]: [
            (test["name"], test.get("message")) for test in record["tests"] if test["outcome"] != "passed"
        ]
        for record in records
        if record["score"] < record["max_score"]
    }
    assert failed == {}
    assert done.returncode == 0
