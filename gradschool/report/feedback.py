"""Feedback for one student on one stage, as a page and as Markdown."""

from __future__ import annotations

from pathlib import Path

from gradschool.grading.records import SubmissionRecord
from gradschool.report.files import write_atomic
from gradschool.report.load import page_path
from gradschool.report.markdown import feedback_markdown
from gradschool.report.pages import render
from gradschool.report.text import blocks, percent
from gradschool.report.view import next_steps, parts

DEVICE_WORDS = {
    "gpu": "a GPU",
    "software": "a software driver",
    "interpreter": "the built-in interpreter",
}


def write_feedback(record: SubmissionRecord, folder: Path) -> list[Path]:
    """Write `folder/<student>/<stage>.html` and `.md`, and return their paths.

    Raises:
        UsageError: The student's name is no plain file name.
    """
    pages = {".html": feedback_html(record), ".md": feedback_markdown(record).encode("utf-8", "replace")}
    written = []
    for suffix, data in pages.items():
        path = page_path(folder, record, suffix)
        write_atomic(path, data)
        written.append(path)
    return written


def feedback_html(record: SubmissionRecord) -> bytes:
    """Return the feedback page: one file, no scripts, nothing fetched."""
    shown = parts(record)
    exercises = [exercise for part in shown for exercise in part.exercises]
    finished = [exercise for exercise in exercises if exercise.state == "full"]
    return render(
        "feedback.html",
        record=record,
        share=percent(record.score, record.max_score),
        summary=summary(record),
        problems=[blocks(problem) for problem in record.problems],
        complete=is_complete(record),
        steps=next_steps(record),
        parts=shown,
        unfinished=[exercise for exercise in exercises if exercise.state != "full"],
        finished=finished,
        device_words=DEVICE_WORDS[record.device.kind],
        sandbox_words=sandbox_words(record),
    )


def is_complete(record: SubmissionRecord) -> bool:
    """Say whether every point was earned."""
    return record.status != "not-graded" and record.max_score > 0 and record.score >= record.max_score


def summary(record: SubmissionRecord) -> str:
    """Return one line: how many exercises are complete, partly right and not yet."""
    if record.status == "not-graded":
        return "No points were given or taken."
    states = [exercise.state for part in parts(record) for exercise in part.exercises]
    full, some = states.count("full"), states.count("some")
    line = f"{full} of {len(states)} exercises complete"
    return f"{line}, {some} partly right." if some else f"{line}."


def sandbox_words(record: SubmissionRecord) -> str:
    """Return one sentence about how the submission was isolated."""
    if record.sandbox.level == "full":
        return "The submission ran fully isolated."
    missing = f" ({'; '.join(record.sandbox.missing)})" if record.sandbox.missing else ""
    return (
        f"The submission ran with {'no' if record.sandbox.level == 'none' else 'partial'} isolation{missing}."
    )
