"""What a submission of the demo class must get, and whether it got it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from gradschool.grading.records import ExerciseRecord, SubmissionRecord
from gradschool.report.text import first_line, points
from gradschool.report.view import next_steps

# `less` is for answers that may be right in part, such as NaN where an error was asked for;
# `any` for the backward of a wrong forward, which is called with what that forward left behind.
Level = Literal["full", "zero", "less", "any"]


@dataclass(frozen=True)
class Expectation:
    """What grading must say of one submission.

    Attributes:
        levels: Expected level of each exercise.
        named: The misconception each of these exercises must be told.
        problem: Whether something handed in is unusable, and must be said at the top.
        words: Text that must stand in the message of an exercise.
    """

    levels: Mapping[str, Level]
    named: Mapping[str, str] = field(default_factory=dict)
    problem: bool = False
    words: Mapping[str, str] = field(default_factory=dict)

    @property
    def about(self) -> list[str]:
        """The exercises the submission's story is about."""
        return [name for name, level in self.levels.items() if level in ("zero", "less")]


def expect(
    exercises: Iterable[str],
    *,
    full: Iterable[str] = (),
    zero: Iterable[str] = (),
    less: Iterable[str] = (),
    rest: Level = "full",
    named: Mapping[str, str] | None = None,
    problem: bool = False,
    words: Mapping[str, str] | None = None,
) -> Expectation:
    """Return an expectation for all `exercises`; those not mentioned are at level `rest`."""
    said: dict[str, Level] = {name: "full" for name in full}
    said |= {name: "zero" for name in zero}
    said |= {name: "less" for name in [*less, *(named or {})]}
    levels: dict[str, Level] = {name: said.get(name, rest) for name in exercises}
    for name, level in list(levels.items()):
        backward = name.replace("_forward", "_backward")
        if level != "full" and backward != name and levels.get(backward) == "full":
            levels[backward] = "any"
    return Expectation(levels, named or {}, problem, words or {})


def judge(expectation: Expectation, record: SubmissionRecord) -> list[str]:
    """Return a sentence for each way in which `record` is not as expected."""
    if record.status == "not-graded":
        return ["The grader failed: " + first_line(" ".join(record.problems))]
    found = {exercise.id: exercise for exercise in record.exercises}
    wrong = [
        sentence for name in expectation.levels for sentence in _judge(expectation, name, found.get(name))
    ]
    if expectation.problem and not record.problems:
        wrong.append("The submission's problem was not told.")
    return wrong


def _judge(expectation: Expectation, name: str, exercise: ExerciseRecord | None) -> list[str]:
    if exercise is None:
        return [f"{name} has no record."]
    level, named = expectation.levels[name], expectation.named.get(name)
    got = f"{name} got {points(exercise.score)} of {points(exercise.max_score)}"
    wrong = []
    if level == "full" and exercise.score != exercise.max_score:
        wrong.append(f"{got}, expected all: {first_line(exercise.message, 120)}")
    if level == "zero" and exercise.score != 0:
        wrong.append(f"{got}, expected none.")
    if level == "less" and exercise.score >= exercise.max_score:
        wrong.append(f"{got}, expected less.")
    if named and exercise.misconception != named:
        wrong.append(f"{name} was told {exercise.misconception or 'no misconception'}, expected {named}.")
    told = " ".join([exercise.message, *(test.message for test in exercise.tests)]).lower()
    word = expectation.words.get(name)
    if word and word not in told:
        wrong.append(f"{name}: the message does not say {word!r}: {first_line(exercise.message, 120)}")
    return wrong


def headline(expectation: Expectation, record: SubmissionRecord) -> str:
    """Return the line of feedback that tells this submission's story."""
    if record.problems:
        return first_line(record.problems[0])
    if record.max_score > 0 and record.score >= record.max_score:
        return "Everything passes."
    found = {exercise.id: exercise for exercise in record.exercises}
    for name in [*expectation.named, *expectation.words, *expectation.about]:
        if name in found and found[name].message:
            return _about(name, first_line(found[name].message))
    steps = next_steps(record, most=1)
    return _about(steps[0].exercise.id, steps[0].reason) if steps else ""


def _about(name: str, sentence: str) -> str:
    """Name the exercise, unless the sentence does so itself."""
    return sentence if name in sentence else f"{name}: {sentence}"
