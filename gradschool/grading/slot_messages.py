"""What travels between those who give out work and the slots that do it."""

from __future__ import annotations

import msgspec

from gradschool.grading.options import GradeOptions
from gradschool.grading.records import SubmissionRecord
from gradschool.grading.submission_files import SubmissionFiles


class SlotStart(msgspec.Struct):
    """The first line a slot reads."""

    pack: str
    options: GradeOptions


class SlotTask(msgspec.Struct, frozen=True):
    """One submission to grade.

    Attributes:
        folder: Where it lies; unused when `files` is given.
        only: Exercises to judge; all when empty.
        lost: With `only`: functions that had failed when the whole was judged. The course's own stood in
            for them in what comes later.
        files: The submission itself, for a slot that cannot see the folder.
    """

    student: str
    stage: str
    folder: str = ""
    only: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    files: SubmissionFiles | None = None


class SlotAnswer(msgspec.Struct):
    """What became of a task; an empty error means success."""

    record: SubmissionRecord | None = None
    error: str = ""
