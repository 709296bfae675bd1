"""The instructor's page and tables for a whole class."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from gradschool.grading.records import SubmissionRecord
from gradschool.report.files import write_atomic
from gradschool.report.pages import render
from gradschool.report.statistics import class_view
from gradschool.report.text import csv_cell, first_line, percent
from gradschool.report.view import STATES, state_of

GRADE_COLUMNS = ("student", "stage", "score", "max_score", "percent", "status", "problems", "graded_at")
EXERCISE_COLUMNS = (
    "student",
    "stage",
    "exercise",
    "kind",
    "score",
    "max_score",
    "state",
    "misconception",
    "message",
)


def write_class(records: Sequence[SubmissionRecord], folder: Path, title: str) -> list[Path]:
    """Write `index.html`, `grades.csv` and `exercises.csv` into `folder`, and return their paths."""
    records = sorted(records, key=lambda record: (record.student.casefold(), record.student, record.stage))
    pages = {
        "index.html": render("class.html", title=title, page=class_view(records)),
        "grades.csv": grades_csv(records),
        "exercises.csv": exercises_csv(records),
    }
    for name, data in pages.items():
        write_atomic(folder / name, data)
    return [folder / name for name in pages]


def grades_csv(records: Iterable[SubmissionRecord]) -> bytes:
    """Return one row per student and stage."""
    rows = [
        (
            record.student,
            record.stage,
            _number(record.score),
            _number(record.max_score),
            percent(record.score, record.max_score),
            record.status,
            "; ".join(first_line(problem) for problem in record.problems),
            record.graded_at,
        )
        for record in records
    ]
    return _csv(GRADE_COLUMNS, rows)


def exercises_csv(records: Iterable[SubmissionRecord]) -> bytes:
    """Return one row per student, stage and exercise."""
    rows = [
        (
            record.student,
            record.stage,
            exercise.id,
            "wgsl" if exercise.id.endswith(".wgsl") else "numpy",
            _number(exercise.score),
            _number(exercise.max_score),
            STATES[state_of(exercise, record.status)][1],
            exercise.misconception or "",
            first_line(exercise.message),
        )
        for record in records
        for exercise in record.exercises
    ]
    return _csv(EXERCISE_COLUMNS, rows)


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([csv_cell(value) for value in row] for row in rows)
    return text.getvalue().encode("utf-8", "replace")


def _number(value: float) -> float | int:
    """Whole points read as `3`, not `3.0`; others keep four digits."""
    return int(value) if value == int(value) else round(value, 4)
