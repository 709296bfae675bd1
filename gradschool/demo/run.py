"""Make the demo class, have it graded as any class is, and compare with what was expected."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradschool.demo.cast import CAST, Actor, Work
from gradschool.demo.expectation import headline, judge
from gradschool.demo.material import Material, gather
from gradschool.errors import UsageError
from gradschool.grading.options import GradeOptions
from gradschool.grading.records import SubmissionRecord
from gradschool.pack import Pack, Stage
from gradschool.report import write_class

MARKER = ".gradschool-demo"
TITLE = "The demo class"
# A right answer takes milliseconds; the class has loops that never end, and people wait.
CALL_TIMEOUT_S = 3.0


@dataclass(frozen=True)
class Part:
    """One student's submission to one stage."""

    actor: Actor
    stage: str
    work: Work


@dataclass(frozen=True)
class Row:
    """What became of one submission.

    Attributes:
        wrong: How the grade differs from what was expected; empty means as expected.
        judged: Whether it could be judged at all: an attack needs a full sandbox.
    """

    student: str
    stage: str
    did: str
    record: SubmissionRecord | None
    feedback: str
    wrong: list[str] = field(default_factory=list)
    judged: bool = True


@dataclass(frozen=True)
class DemoResult:
    """The graded demo class."""

    rows: list[Row]
    report: Path
    seconds: float

    @property
    def n_wrong(self) -> int:
        """How many submissions did not get what was expected."""
        return sum(bool(row.wrong) for row in self.rows)


def cast_parts(materials: Sequence[Material], actors: Sequence[Actor] = CAST) -> list[Part]:
    """Hand out the parts: who hands in what to which of the stages."""
    parts = []
    for actor in actors:
        chosen = {"every": materials, "first": materials[:1], "last": materials[-1:]}[actor.where]
        for material in chosen:
            work = actor.play(material)
            if work is not None:
                parts.append(Part(actor, material.stage.id, work))
    return parts


def prepare_folder(folder: Path, *, keep: bool) -> None:
    """Make an empty demo folder; with `keep`, leave the results of an earlier demo.

    Raises:
        UsageError: The folder holds something that no demo made.
    """
    if folder.exists() and (
        not folder.is_dir() or (any(folder.iterdir()) and not (folder / MARKER).exists())
    ):
        raise UsageError(
            f"{folder} is there already and no demo made it.", help="Name another folder with --out."
        )
    shutil.rmtree(folder / "submissions", ignore_errors=True)
    if not keep:
        shutil.rmtree(folder / "results", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).write_text("Made by `gradschool demo`, which may delete it.\n", encoding="utf-8")


def write_submissions(parts: Sequence[Part], folder: Path) -> None:
    """Write every submission to `folder/<student>/<stage>/`."""
    for part in parts:
        for name, data in part.work.files.items():
            path = folder / part.actor.name / part.stage / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def demo_options(device: str = "auto", jobs: int | None = None) -> GradeOptions:
    """Return how the demo class is graded.

    Its submissions are ours and harmless, so it runs on platforms that cannot isolate as well.
    """
    return GradeOptions(
        device=device,
        call_timeout_s=CALL_TIMEOUT_S,
        n_slots=jobs or min(os.cpu_count() or 1, 8),
        allow_weak_sandbox=True,
    )


def run_demo(
    pack: Pack,
    stages: Sequence[Stage],
    folder: Path,
    options: GradeOptions,
    *,
    keep: bool = False,
    on_total: Callable[[int], None] = lambda n: None,
    on_record: Callable[[SubmissionRecord, bool], None] = lambda record, kept: None,
) -> DemoResult:
    """Make the class in `folder/submissions`, grade it into `folder/results`, and judge it.

    Raises:
        UsageError: `folder` holds something that no demo made.
        PackError: A stage's files are inconsistent.
    """
    grade_class = _grade_class()
    started = time.monotonic()
    parts = cast_parts([gather(stage) for stage in stages])
    prepare_folder(folder, keep=keep)
    write_submissions(parts, folder / "submissions")
    results = folder / "results"
    graded = grade_class(
        folder / "submissions", results, options, pack=pack, on_total=on_total, on_record=on_record
    )
    write_class(graded.records, results, TITLE)
    rows = judge_parts(parts, graded.records)
    return DemoResult(rows, results / "index.html", time.monotonic() - started)


def _grade_class() -> Callable[..., Any]:
    """The function behind `gradschool grade`, imported when it is needed."""
    from gradschool.grading.coordinator import grade_class

    return grade_class


def judge_parts(parts: Sequence[Part], records: Sequence[SubmissionRecord]) -> list[Row]:
    """Compare every submission's record with what was expected of it."""
    found = {(record.student, record.stage): record for record in records}
    return [_judge(part, found.get((part.actor.name, part.stage))) for part in parts]


def _judge(part: Part, record: SubmissionRecord | None) -> Row:
    if record is None:
        return Row(part.actor.name, part.stage, part.work.did, None, "", ["It was not graded."])
    isolated = record.sandbox.level == "full"
    judged = isolated or not part.actor.attacks
    return Row(
        student=part.actor.name,
        stage=part.stage,
        did=part.work.did,
        record=record,
        feedback=headline(part.work.expectation, record),
        wrong=judge(part.work.expectation, record) if judged else [],
        judged=judged,
    )
