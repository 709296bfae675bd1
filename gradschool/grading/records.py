"""The record of one graded submission, and its JSON Schema.

The record is the only output of grading; feedback pages, grade tables and exports are
made from it. Its format is versioned by `SCHEMA_VERSION`.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

SCHEMA_VERSION = 1

Outcome = Literal["passed", "failed", "error", "not-run"]
Status = Literal["graded", "partial", "not-graded"]


class TestRecord(msgspec.Struct, kw_only=True):
    """One hidden test: its points are earned only if every case passed.

    `stand_ins` are earlier exercises that had failed: the test passes with the course's functions in
    their place.
    """

    __test__: ClassVar[bool] = False  # pytest: a record, not a class of tests

    name: str
    score: float
    max_score: float
    outcome: Outcome
    message: str = ""
    stand_ins: list[str] = []


class DeviceRecord(msgspec.Struct, kw_only=True):
    """The device that kernels ran on."""

    name: str
    kind: Literal["gpu", "software", "interpreter"]
    driver: str = ""


class RegradeRecord(msgspec.Struct, kw_only=True):
    """How one exercise was judged again, alone, after the rest of its record."""

    seed: int
    device: DeviceRecord
    seconds: float
    graded_at: str


class ExerciseRecord(msgspec.Struct, kw_only=True):
    """One exercise: a function (`softmax_forward`) or a kernel (`softmax_forward.wgsl`).

    `score` is the sum of the tests' scores less `hint_cost`; `hints` is the highest level opened.
    `grader_version` is that of what judges this exercise. `regraded` says how it was judged when
    that was not with the rest of the record.
    """

    id: str
    score: float
    max_score: float
    message: str = ""
    misconception: str | None = None
    hints: int = 0
    hint_cost: float = 0.0
    tests: list[TestRecord] = []
    grader_version: str = ""
    regraded: RegradeRecord | None = None


class SandboxRecord(msgspec.Struct, kw_only=True):
    """How well the submission was isolated, and what was missing."""

    level: Literal["full", "partial", "none"]
    missing: list[str] = []


class SubmissionRecord(msgspec.Struct, kw_only=True):
    """Everything known about one student's work on one stage.

    `status` is `graded` when every exercise could be judged, `partial` when some part of
    the submission was unusable (see `problems`) and the rest was graded, and `not-graded`
    when the grader itself failed, which is never the student's fault.
    """

    student: str
    stage: str
    score: float
    max_score: float
    status: Status
    exercises: list[ExerciseRecord]
    device: DeviceRecord
    sandbox: SandboxRecord
    seed: int
    grader_version: str
    seconds: float
    problems: list[str] = []
    hint_costs: list[float] = []
    submission_digest: str = ""
    graded_at: str = ""
    schema_version: int = SCHEMA_VERSION


def lost_functions(record: SubmissionRecord) -> list[str]:
    """Return the functions that failed a hidden test before the course's stood in for others."""
    return [
        exercise.id
        for exercise in record.exercises
        if not exercise.id.endswith(".wgsl")
        if any(test.outcome != "passed" or test.stand_ins for test in exercise.tests)
    ]


def record_schema() -> dict:
    """Return the JSON Schema of `SubmissionRecord`."""
    return msgspec.json.schema(SubmissionRecord)
