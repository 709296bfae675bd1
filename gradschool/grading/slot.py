"""A slot: a process that grades one submission after another.

It reads one task per line on stdin and writes one answer per line on stdout, both JSON.
It is trusted, holds hidden tests and references, and never runs a learner's code itself.
It ends when stdin closes, at once when that happens in the middle of a submission: whoever
would have read the answer is gone.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import msgspec

from gradschool.errors import GradschoolError
from gradschool.grading.records import SubmissionRecord, lost_functions
from gradschool.grading.session import GradingSession
from gradschool.grading.slot_messages import SlotAnswer, SlotStart, SlotTask
from gradschool.grading.submission_files import read_submission
from gradschool.grading.version import exercise_versions
from gradschool.pack import Pack, Stage


def main() -> int:
    """Serve tasks until stdin closes."""
    orders = _Orders(sys.stdin, sys.stdout)
    # Anything a library prints must not land between the answers.
    sys.stdout = sys.stderr
    first = next(orders, "")
    if not first:
        return 0
    start = msgspec.json.decode(first, type=SlotStart)
    try:
        with GradingSession(Pack(Path(start.pack)), options=start.options) as session:
            orders.answer(SlotAnswer())
            for line in orders:
                orders.answer(_serve(session, msgspec.json.decode(line, type=SlotTask)))
    except GradschoolError as error:
        orders.answer(SlotAnswer(error=str(error)))
        return 1
    return 0


class _Orders:
    """Lines of a stream, read ahead by a thread that notices when it closes.

    Args:
        stream: Where orders come from.
        answers: Where their answers go.
    """

    def __init__(self, stream: TextIO, answers: TextIO) -> None:
        self._answers = answers
        self._lines: queue.Queue[str] = queue.Queue()
        self._n_open = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream: TextIO) -> None:
        for line in stream:
            with self._lock:
                self._n_open += 1
            self._lines.put(line)
        with self._lock:
            if self._n_open:
                # Sandboxed processes end with this one, whatever they are doing.
                os._exit(1)
        self._lines.put("")

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._lines.get()
        if not line:
            raise StopIteration
        return line

    def answer(self, answer: SlotAnswer) -> None:
        """Answer the oldest open order."""
        text = msgspec.json.encode(answer).decode() + "\n"
        with self._lock:
            self._n_open -= 1
        try:
            self._answers.write(text)
            self._answers.flush()
        except OSError:  # nobody reads any more, and nobody wants to hear of it
            os._exit(1)


def _serve(session: GradingSession, task: SlotTask) -> SlotAnswer:
    try:
        stage = session.pack.stage(task.stage)
        files = task.files or read_submission(Path(task.folder), stage)
        record = session.grade_files(task.student, stage, files, only=task.only, upstream=True)
        more = _concerned(record, task, stage)
        if more:
            # Judged with what came first, so that the whole part has one seed and one moment.
            only = (*task.only, *more)
            record = session.grade_files(task.student, stage, files, only=only, upstream=True)
        return SlotAnswer(_sign(record, stage))
    except GradschoolError as error:
        return SlotAnswer(error=str(error))
    except Exception as error:
        # A fault of ours costs this submission its grade, and the next one nothing.
        return SlotAnswer(error=f"{type(error).__name__} in the grader: {str(error)[:300]!r}.")


def _concerned(record: SubmissionRecord, task: SlotTask, stage: Stage) -> list[str]:
    """Functions after one that failed before and does not now, or the other way round.

    They were judged with the course's function in its place, and now it is the learner's, or the reverse.
    """
    if not task.only:
        return []
    names = [exercise.id for exercise in stage.exercises if exercise.kind == "numpy"]
    now = set(lost_functions(record))
    turned = [name for name in names if name in task.only and (name in now) != (name in task.lost)]
    later = names[names.index(turned[0]) + 1 :] if turned else []
    return [name for name in later if name not in task.only]


def _sign(record: SubmissionRecord, stage: Stage) -> SubmissionRecord:
    """Note on each exercise which grader judged it; another's change leaves it as it is."""
    versions = exercise_versions(stage)
    for exercise in record.exercises:
        exercise.grader_version = versions[exercise.id]
    return record


if __name__ == "__main__":
    raise SystemExit(main())
