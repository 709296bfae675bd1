from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import nbformat
import pytest
from nbgrader.utils import determine_grade

from gradschool.grading import records
from gradschool.nbgrader.isolated import IsolatedGrading, NotGraded, score_output
from gradschool.pack import Pack
from gradschool.release import build_assignment

TINY_PACK = Path(__file__).parents[1] / "release" / "tiny_pack"


def graded_cell(exercise: records.ExerciseRecord, points: float) -> Any:
    meta = {"grade": True, "solution": False, "locked": True, "grade_id": "x", "points": points}
    cell = nbformat.v4.new_code_cell("gs.check('x')", metadata={"nbgrader": meta})
    cell.outputs = [score_output(exercise, points)]
    return cell


@pytest.mark.parametrize(
    ("score", "expected"),
    [(0.0, 0.0), (0.1 + 0.2, 0.3), (1 / 3, 0.333333), (3.0, 3.0), (-1.0, 0.0), (9.0, 3.0)],
)
def test_nbgrader_reads_the_score_that_was_meant(score: float, expected: float) -> None:
    exercise = records.ExerciseRecord(id="x", score=score, max_score=3.0)
    assert determine_grade(graded_cell(exercise, 3.0)) == (expected, 3.0)


def test_a_changed_maximum_keeps_the_share() -> None:
    exercise = records.ExerciseRecord(id="x", score=2.0, max_score=4.0)
    assert determine_grade(graded_cell(exercise, 3.0)) == (1.5, 3.0)


class OneRecord:
    """A session that gives back a prepared record."""

    def __init__(self, record: records.SubmissionRecord) -> None:
        self.record = record
        self.calls = 0

    def grade(self, student: str, stage_id: str, folder: Path) -> records.SubmissionRecord:
        self.calls += 1
        return self.record


def submission_record(**changes: Any) -> records.SubmissionRecord:
    exercises = [
        records.ExerciseRecord(id=name, score=1.0, max_score=points)
        for name, points in (("double", 3.0), ("halve", 2.0), ("scale_shift.wgsl", 3.0))
    ]
    record = records.SubmissionRecord(
        student="ada",
        stage="00_tiny",
        score=3.0,
        max_score=8.0,
        status="graded",
        exercises=exercises,
        device=records.DeviceRecord(name="none", kind="interpreter"),
        sandbox=records.SandboxRecord(level="full"),
        seed=0,
        grader_version="?",
        seconds=0.0,
    )
    return msgspec.structs.replace(record, **changes)


@pytest.fixture
def submitted(tmp_path: Path) -> Path:
    for name, content in build_assignment(Pack(TINY_PACK).stages[0]).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


def preprocess(folder: Path, session: OneRecord) -> Any:
    preprocessor: Any = IsolatedGrading()
    preprocessor.pack = str(TINY_PACK)
    preprocessor.records_directory = str(folder / "results")
    preprocessor._grading_session = session
    nb = nbformat.reads((folder / "00_tiny.ipynb").read_text(), as_version=4)
    where = {"student": "ada", "assignment": "00_tiny", "notebook": "00_tiny"}
    resources = {"nbgrader": where, "metadata": {"path": str(folder)}}
    return preprocessor.preprocess(nb, resources)[0]


def test_a_failure_of_the_grader_is_never_a_zero(submitted: Path) -> None:
    record = submission_record(status="not-graded", problems=["The GPU worker could not start."])
    with pytest.raises(NotGraded, match="GPU worker"):
        preprocess(submitted, OneRecord(record))


def test_an_exercise_the_graders_do_not_know_is_never_a_zero(submitted: Path) -> None:
    record = submission_record()
    record.exercises.pop()
    with pytest.raises(NotGraded, match="scale_shift_wgsl"):
        preprocess(submitted, OneRecord(record))


def test_a_record_of_gradschool_grade_is_used_while_it_is_true(submitted: Path) -> None:
    from gradschool.grading.submission_files import read_submission
    from gradschool.grading.version import grader_version

    stage = Pack(TINY_PACK).stages[0]
    record = submission_record(
        submission_digest=read_submission(submitted, stage).digest,
        grader_version=grader_version(stage),
        seed=4_000_000_000,
    )
    path = submitted / "results" / "ada" / "00_tiny.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(msgspec.json.encode(record))
    session = OneRecord(submission_record())
    preprocess(submitted, session)
    assert session.calls == 0
    (submitted / "scale_shift.wgsl").write_text("// handed in again")
    preprocess(submitted, session)
    assert session.calls == 1


def test_a_damaged_record_is_ignored(submitted: Path) -> None:
    path = submitted / "results" / "ada" / "00_tiny.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"student": "ada"')
    session = OneRecord(submission_record())
    nb = preprocess(submitted, session)
    assert session.calls == 1
    assert "gradschool_graded" in nb.metadata
