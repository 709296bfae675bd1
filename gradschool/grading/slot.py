"""A slot: a process that grades one submission after another for the coordinator.

It reads one task per line on stdin and writes one answer per line on stdout, both JSON.
It is trusted, holds hidden tests and references, and never runs a learner's code itself.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TextIO

import msgspec

from gradschool.errors import GradschoolError
from gradschool.grading.options import GradeOptions
from gradschool.grading.records import SubmissionRecord
from gradschool.grading.session import GradingSession
from gradschool.pack import Pack


class SlotStart(msgspec.Struct):
    """The first line a slot reads."""

    pack: str
    options: GradeOptions


class SlotTask(msgspec.Struct):
    """One submission to grade."""

    student: str
    stage: str
    folder: str


class SlotAnswer(msgspec.Struct):
    """What became of a task; an empty error means success."""

    record: SubmissionRecord | None = None
    error: str = ""


def main() -> int:
    """Serve tasks until stdin closes."""
    # Anything a library prints must not land between the answers.
    answers = sys.stdout
    sys.stdout = sys.stderr
    start = msgspec.json.decode(sys.stdin.readline(), type=SlotStart)
    try:
        session = GradingSession(Pack(Path(start.pack)), options=start.options)
        with session:
            _send(answers, SlotAnswer())
            for line in sys.stdin:
                _send(answers, _serve(session, msgspec.json.decode(line, type=SlotTask)))
    except GradschoolError as error:
        _send(answers, SlotAnswer(error=str(error)))
        return 1
    return 0


def _serve(session: GradingSession, task: SlotTask) -> SlotAnswer:
    try:
        return SlotAnswer(session.grade(task.student, task.stage, Path(task.folder)))
    except GradschoolError as error:
        return SlotAnswer(error=str(error))


def _send(stream: TextIO, answer: SlotAnswer) -> None:
    stream.write(msgspec.json.encode(answer).decode() + "\n")
    stream.flush()


if __name__ == "__main__":
    raise SystemExit(main())
