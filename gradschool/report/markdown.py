"""Feedback as Markdown: the same content for a terminal, a pull request or a mail."""

from __future__ import annotations

from gradschool.grading.records import SubmissionRecord
from gradschool.report.text import Block, blocks, clean, fenced, markdown, points, stage_title
from gradschool.report.view import ExerciseView, next_steps, parts


def feedback_markdown(record: SubmissionRecord) -> str:
    """Return the feedback on one submission."""
    lines = [f"# {markdown(stage_title(record.stage))}: {markdown(record.student)}", ""]
    if record.status == "not-graded":
        lines += [
            "**Not graded.** The grader itself failed; this is not about your work. Tell your instructor.",
            "",
        ]
    else:
        lines += [f"**{points(record.score)} of {points(record.max_score)} points**", ""]
    if record.problems:
        lines += ["## What could not be used", ""]
        for problem in record.problems:
            lines += _item(blocks(problem))
        lines.append("")
    lines += _next(record)
    for part in parts(record):
        lines += _table(part.kind, part.exercises, f"{part.score} of {part.max_score}")
    unfinished = [
        exercise for part in parts(record) for exercise in part.exercises if exercise.state != "full"
    ]
    for exercise in unfinished:
        lines += _exercise(exercise)
    return "\n".join([*lines, "---", "", *_footer(record)]) + "\n"


def _next(record: SubmissionRecord) -> list[str]:
    steps = next_steps(record)
    if not steps:
        return []
    lines = ["## What to do next", ""]
    for number, step in enumerate(steps, start=1):
        worth = f"{step.exercise.score} of {step.exercise.max_score} points"
        lines.append(f"{number}. {_code(step.exercise.id)} ({worth}): {markdown(step.reason)}")
    return [*lines, ""]


def _table(kind: str, exercises: list[ExerciseView], total: str) -> list[str]:
    heading = "NumPy functions" if kind == "NumPy" else "WGSL kernels"
    lines = [f"## {heading}: {total}", "", "| | exercise | points | tests passed |", "|---|---|---:|---:|"]
    for exercise in exercises:
        lines.append(
            f"| {exercise.mark} {exercise.word} | {_code(exercise.id)} "
            f"| {exercise.score} / {exercise.max_score} | {exercise.passed} of {len(exercise.tests)} |"
        )
    return [*lines, ""]


def _exercise(exercise: ExerciseView) -> list[str]:
    lines = [f"### {exercise.mark} {_code(exercise.id)}: {exercise.score} of {exercise.max_score}", ""]
    if exercise.help:
        lines += [f"> {line}" for line in _text(exercise.help)] + [""]
    if exercise.message:
        lines += [*_text(exercise.message), ""]
    for test in exercise.tests:
        lines.append(f"- {test.mark} {test.word}: {markdown(test.sentence)} ({test.score})")
        if test.message:
            lines += ["", *(f"  {line}" if line else "" for line in _text(test.message)), ""]
    return [*lines, ""]


def _item(message: list[Block]) -> list[str]:
    lines = _text(message)
    return [f"- {lines[0]}", *(f"  {line}" if line else "" for line in lines[1:])] if lines else []


def _text(message: list[Block]) -> list[str]:
    lines: list[str] = []
    for block in message:
        if lines:
            lines.append("")
        lines += fenced(block.text).split("\n") if block.kind == "code" else [markdown(block.text)]
    return lines


def _code(name: str) -> str:
    return f"`{clean(name, 120).replace('`', '').replace('|', '')}`"


def _footer(record: SubmissionRecord) -> list[str]:
    return [
        f"Device: {markdown(record.device.name)} ({record.device.kind}). Isolation: {record.sandbox.level}. "
        f"gradschool {markdown(record.grader_version)}, seed {record.seed}."
    ]
