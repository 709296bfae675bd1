"""What is to be done about each submission: keep its record, grade it, or judge a part of it again."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from gradschool.errors import UsageError
from gradschool.grading.options import GradeOptions
from gradschool.grading.records import ExerciseRecord, RegradeRecord, SubmissionRecord
from gradschool.grading.slot_messages import SlotTask
from gradschool.grading.submission_files import read_submission
from gradschool.grading.version import exercise_versions, grader_version
from gradschool.pack import Pack, Stage

_LEVELS = ("none", "partial", "full")


@dataclass(frozen=True)
class Decision:
    """What to do about one submission.

    Attributes:
        what: `keep` its record, `grade` it, or `leave` it to a run without filters.
        only: Exercises to judge again and merge into the record; all of a new record when empty.
    """

    what: Literal["keep", "grade", "leave"]
    only: tuple[str, ...] = ()


def find_submissions(submissions: Path, pack: Pack, options: GradeOptions) -> list[SlotTask]:
    """Return a task for each `SUBMISSIONS/<student>/<NN_stage>/` that `options` name, sorted.

    Raises:
        UsageError: The folder is missing, holds no submission of a stage that exists, or no stage has
            an exercise that was named.
    """
    if not submissions.is_dir():
        raise UsageError(
            f"{submissions} is not a folder.", help="Name the folder that holds one folder per student."
        )
    wanted = _wanted_stages(pack, options)
    tasks = []
    for student in sorted(submissions.iterdir()):
        # A linked folder could be another student's.
        if student.is_symlink() or not student.is_dir() or student.name.startswith("."):
            continue
        if options.students and student.name not in options.students:
            continue
        _require_name(student)
        tasks += [SlotTask(student.name, stage.name, str(stage)) for stage in _stages_in(student, wanted)]
    if not tasks:
        raise UsageError(
            f"{submissions} holds no submission that was asked for.",
            help=f"Expected {submissions}/<student>/<stage>/ with a stage such as {min(wanted)}.",
        )
    return tasks


def _stages_in(student: Path, wanted: set[str]) -> list[Path]:
    try:
        return [
            stage.resolve()
            for stage in sorted(student.iterdir())
            if stage.name in wanted and stage.is_dir() and not stage.is_symlink()
        ]
    except OSError as error:
        raise UsageError(
            f"{student} cannot be read: {error.strerror}.", help="Make it readable, then grade again."
        ) from None


def _require_name(folder: Path) -> None:
    """A name with bytes that are no text could be in no record, one with a backslash be no file elsewhere."""
    try:
        folder.name.encode()
        problem = "a backslash in its name" if "\\" in folder.name else ""
    except UnicodeEncodeError:
        problem = "a name that is not UTF-8"
    if problem:
        raise UsageError(f"The folder {folder.name!r} has {problem}.", help="Rename it, then grade again.")


def _wanted_stages(pack: Pack, options: GradeOptions) -> set[str]:
    stages = [pack.stage(name) for name in options.stages] or pack.stages
    if not options.exercises:
        return {stage.id for stage in stages}
    known = {exercise.id: stage.id for stage in stages for exercise in stage.exercises}
    for name in options.exercises:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            raise UsageError(
                f"There is no exercise {name!r}.", help=f"Did you mean {close[0]}?" if close else ""
            )
    return {stage.id for stage in stages if _named(stage, options)}


def _named(stage: Stage, options: GradeOptions) -> tuple[str, ...]:
    return tuple(exercise.id for exercise in stage.exercises if exercise.id in options.exercises)


def decide(task: SlotTask, record: SubmissionRecord | None, options: GradeOptions, stage: Stage) -> Decision:
    """Decide about one submission.

    Args:
        task: The submission.
        record: Its record from an earlier run, if there is one.
        options: Options of this run.
        stage: Its stage.
    """
    only_old = bool(options.exercises) or options.changed
    if record is None or record.status == "not-graded":
        return Decision("leave" if only_old else "grade")
    if options.force and not only_old:
        return Decision("grade")
    if options.changed and record.grader_version == grader_version(stage):
        return Decision("keep")
    same = record.submission_digest == read_submission(Path(task.folder), stage).digest
    if not same or tuple(record.hint_costs) != options.hint_costs:
        # There is nothing that a part could be merged into.
        return Decision("leave" if options.exercises else "grade")
    stale = _stale(record, stage)
    if options.exercises:
        named = _named(stage, options)
        fresh = [
            name for name in named if options.force or name in stale or not _has_seed(record, name, options)
        ]
        return Decision("grade", tuple(fresh)) if fresh else Decision("keep")
    if not stale and record.grader_version == grader_version(stage):
        return Decision("keep")
    return Decision("grade", stale if len(stale) < len(stage.exercises) else ())


def _stale(record: SubmissionRecord, stage: Stage) -> tuple[str, ...]:
    """Exercises of the stage that another grader has judged, or none."""
    judged = {exercise.id: exercise.grader_version for exercise in record.exercises}
    return tuple(name for name, version in exercise_versions(stage).items() if judged.get(name) != version)


def _has_seed(record: SubmissionRecord, name: str, options: GradeOptions) -> bool:
    """Whether an exercise was judged with this run's seed: then the run was ended and starts again."""
    return any(
        (exercise.regraded.seed if exercise.regraded else record.seed) == options.seed
        for exercise in record.exercises
        if exercise.id == name
    )


def merge(old: SubmissionRecord, new: SubmissionRecord, stage: Stage) -> SubmissionRecord:
    """Return the record `old` with the exercises of `new` in the place of its own.

    Each says with which seed, device and grader it was judged. The record's own version becomes the
    current one when all of its exercises are judged by current graders.

    Args:
        old: The record of the whole submission.
        new: A record of the same submission, of some exercises.
        stage: Their stage.
    """
    how = RegradeRecord(seed=new.seed, device=new.device, seconds=new.seconds, graded_at=new.graded_at)
    found = {exercise.id: exercise for exercise in old.exercises}
    found |= {item.id: msgspec.structs.replace(item, regraded=how) for item in new.exercises}
    exercises: Sequence[ExerciseRecord] = [found[item.id] for item in stage.exercises if item.id in found]
    merged = msgspec.structs.replace(
        old,
        exercises=list(exercises),
        score=sum(item.score for item in exercises),
        max_score=sum(item.max_score for item in exercises),
        status="partial" if "partial" in (old.status, new.status) else "graded",
        sandbox=min(old.sandbox, new.sandbox, key=lambda record: _LEVELS.index(record.level)),
        problems=list(dict.fromkeys([*old.problems, *new.problems])),
    )
    if not _stale(merged, stage):
        merged.grader_version = grader_version(stage)
    return merged
