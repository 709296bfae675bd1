"""A small nbgrader course with a class of nine, graded once by a session that only counts.

The session here knows nothing of sandboxes: it says what the submitted files hold. What is
tested is the way of a record into nbgrader's gradebook. `test_real_course.py` uses the real one.
"""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde, GenerateAssignment, GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from traitlets.config.loader import Config, PyFileConfigLoader

import gradschool.grading
from gradschool.grading import records
from gradschool.grading.fill import fill_notebook, reference_functions, reference_kernels
from gradschool.grading.submission_files import read_submission
from gradschool.grading.version import grader_version
from gradschool.pack import Pack
from gradschool.release.course import write_course

TINY_PACK = Path(__file__).parents[1] / "release" / "tiny_pack"
STAGE = "00_tiny"


class CountingSession:
    """Stands in for `GradingSession`: half marks for double, the rest by what the files hold."""

    def __init__(self, pack: Pack, stages: Any = (), options: Any = None) -> None:
        self.pack = pack
        self.graded: list[str] = []

    def __enter__(self) -> CountingSession:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def grade(self, student: str, stage_id: str, folder: Path) -> records.SubmissionRecord:
        """Return a record for the files in `folder`."""
        self.graded.append(student)
        stage = self.pack.stage(stage_id)
        files = read_submission(folder, stage)
        if student == "unlucky":
            raise RuntimeError("the grader itself failed")
        sources = "\n".join(cell.source for cell in files.cells or [])
        shares = {
            "double": 0.5 if "* FACTOR" in sources else 0.0,
            "halve": 1.0 if "half_of_everything" in sources else 0.0,
            "scale_shift.wgsl": 1.0 if "params.alpha" in files.kernels.get("scale_shift.wgsl", "") else 0.0,
        }
        found = [
            records.ExerciseRecord(
                id=exercise.id,
                score=exercise.points * shares[exercise.id],
                max_score=exercise.points,
                message="" if shares[exercise.id] == 1 else f"Look at {exercise.id} <again>.",
            )
            for exercise in stage.exercises
        ]
        return records.SubmissionRecord(
            student=student,
            stage=stage_id,
            score=sum(item.score for item in found),
            max_score=stage.max_score,
            status="graded",
            exercises=found,
            device=records.DeviceRecord(name="none", kind="interpreter"),
            sandbox=records.SandboxRecord(level="full"),
            seed=0,
            grader_version=grader_version(stage),
            seconds=0.0,
            problems=list(files.problems),
            submission_digest=files.digest,
        )


class Course:
    """An nbgrader course on disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        write_course(Pack(TINY_PACK), Pack(TINY_PACK).stages, root)

    def run(self, converter: type, student: str = "*") -> None:
        """Run one of nbgrader's converters with the course's own config."""
        config: Config = PyFileConfigLoader("nbgrader_config.py", path=str(self.root)).load_config()
        coursedir = CourseDirectory(config=config)
        coursedir.assignment_id = STAGE
        coursedir.student_id = student
        made = converter(coursedir=coursedir, config=config)
        made.log.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nbgrader's own
            made.start()

    def submit(self, student: str, notebook: Any, kernels: dict[str, str]) -> Path:
        """Hand in a notebook, as JSON or as text, and kernels."""
        folder = self.root / "submitted" / student / STAGE
        shutil.copytree(self.root / "release" / STAGE, folder)
        text = notebook if isinstance(notebook, str) else json.dumps(notebook)
        (folder / f"{STAGE}.ipynb").write_text(text)
        for name, source in kernels.items():
            (folder / name).write_text(source)
        return folder

    def released(self) -> dict[str, Any]:
        """The notebook nbgrader released."""
        return json.loads((self.root / "release" / STAGE / f"{STAGE}.ipynb").read_text())

    def autograded(self, student: str) -> dict[str, Any]:
        """The autograded notebook of a student."""
        path = self.root / "autograded" / student / STAGE / f"{STAGE}.ipynb"
        return json.loads(path.read_text())

    def scores(self, student: str) -> dict[str, float]:
        """The student's scores in nbgrader's gradebook."""
        with Gradebook(f"sqlite:///{self.root / 'gradebook.db'}") as gradebook:
            notebook = gradebook.find_submission_notebook(STAGE, STAGE, student)
            return {grade.name: grade.score for grade in notebook.grades}


def hand_in_class(course: Course) -> None:
    """Nine submissions, most of them damaged in a way that nbgrader alone does not survive."""
    stage = Pack(TINY_PACK).stages[0]
    functions, kernels = reference_functions(stage), reference_kernels(stage)
    full = fill_notebook(course.released(), functions)

    def changed(keep: Any = lambda cell: True, change: Any = lambda cell: cell) -> dict[str, Any]:
        copied = json.loads(json.dumps(full))
        copied["cells"] = [change(cell) for cell in copied["cells"] if keep(cell)]
        return copied

    def grade_meta(cell: dict[str, Any]) -> dict[str, Any]:
        return cell["metadata"].get("nbgrader", {})

    def corrupt(cell: dict[str, Any]) -> dict[str, Any]:
        if "nbgrader" in cell["metadata"]:
            cell["metadata"]["nbgrader"] |= {"grade_id": "a.b", "points": 1000, "schema_version": 99}
        return cell

    course.submit("full", full, kernels)
    course.submit("stub", course.released(), {})
    course.submit("not-json", '{"cells": [', kernels)
    course.submit("binary", "\x00\x01", kernels)
    course.submit("no-checks", changed(lambda cell: not grade_meta(cell).get("grade")), kernels)
    course.submit("nothing-kept", changed(lambda cell: "nbgrader" not in cell["metadata"]), kernels)
    twice = changed()
    twice["cells"] = [cell for cell in twice["cells"] for _ in range(2)]
    course.submit("copied", twice, kernels)
    course.submit("corrupt", changed(change=corrupt), kernels)
    odd = changed()
    odd["cells"] += [
        7,
        {"cell_type": "video"},
        {"cell_type": "code", "source": ["x = 1\n"], "metadata": None},
    ]
    course.submit("odd-cells", odd, kernels)
    (course.root / "submitted" / "binary" / STAGE / f"{STAGE}.ipynb").write_bytes(b"\xff\xfe\x00\x01")


@pytest.fixture(scope="session")
def new_course() -> type[Course]:
    """Makes a course in an empty folder."""
    return Course


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    """The course, released, handed in and autograded once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gradschool.grading, "GradingSession", CountingSession, raising=False)
        made = Course(tmp_path_factory.mktemp("course"))
        made.run(GenerateAssignment)
        hand_in_class(made)
        made.run(Autograde)
        made.run(GenerateFeedback, student="full")
        yield made
