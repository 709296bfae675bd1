"""What a page says about a record, worked out before any page is drawn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from gradschool.grading.records import ExerciseRecord, SubmissionRecord, TestRecord
from gradschool.report.text import Block, blocks, clean, first_line, percent, points, test_sentence

State = Literal["full", "some", "none", "ungraded"]

# Shape and word say what colour says: pages are read in greyscale and by people who see no red.
STATES: dict[State, tuple[str, str]] = {
    "full": ("✓", "complete"),
    "some": ("◐", "partly right"),
    "none": ("✗", "not yet"),
    "ungraded": ("-", "not graded"),
}
OUTCOMES = {
    "passed": ("✓", "passed"),
    "failed": ("✗", "wrong"),
    "error": ("!", "error"),
    "not-run": ("-", "not run"),
}


@dataclass(frozen=True)
class TestView:
    """One hidden test, as a sentence with its message."""

    sentence: str
    outcome: str
    mark: str
    word: str
    score: str
    message: list[Block] = field(default_factory=list)


@dataclass(frozen=True)
class ExerciseView:
    """One exercise, as a card."""

    id: str
    anchor: str
    kind: Literal["NumPy", "WGSL"]
    state: State
    score: str
    max_score: str
    percent: int
    help: list[Block]
    misconception: str
    message: list[Block]
    tests: list[TestView]

    @property
    def mark(self) -> str:
        """The state as a shape."""
        return STATES[self.state][0]

    @property
    def word(self) -> str:
        """The state as words."""
        return STATES[self.state][1]

    @property
    def passed(self) -> int:
        """How many tests passed."""
        return sum(test.outcome == "passed" for test in self.tests)


@dataclass(frozen=True)
class Step:
    """One thing to do next."""

    exercise: ExerciseView
    reason: str


@dataclass(frozen=True)
class Part:
    """The exercises of one kind, with their subtotal."""

    kind: str
    exercises: list[ExerciseView]
    score: str
    max_score: str


def state_of(exercise: ExerciseRecord, status: str = "graded") -> State:
    """Say how far an exercise is."""
    if exercise.max_score > 0 and exercise.score >= exercise.max_score:
        return "full"
    if exercise.score > 0:
        return "some"
    not_run = exercise.tests and all(test.outcome == "not-run" for test in exercise.tests)
    return "ungraded" if status == "not-graded" or (not_run and not exercise.message) else "none"


def is_unwritten(exercise: ExerciseRecord) -> bool:
    """Say whether the learner has not begun: the stub is still there, or nothing is."""
    told = " ".join([exercise.message, *(test.message for test in exercise.tests)]).lower()
    return exercise.score == 0 and any(
        word in told for word in ("not written", "notimplementederror", "is missing")
    )


def help_text(exercise: ExerciseRecord) -> str:
    """Return the misconception's sentence of help, or "" when none was recognised.

    The record names the misconception; its sentence is the exercise's message.
    """
    named = exercise.misconception
    if not named:
        return ""
    return named if " " in named.strip() else exercise.message


def exercise_view(exercise: ExerciseRecord, index: int, status: str = "graded") -> ExerciseView:
    """Return the card of one exercise; `index` makes its anchor unique."""
    helped, named = help_text(exercise), exercise.misconception or ""
    message = "" if exercise.message == helped else exercise.message
    said = {helped.strip(), message.strip()}
    state = state_of(exercise, status)
    return ExerciseView(
        id=clean(exercise.id, 120),
        anchor=f"exercise-{index}",
        kind="WGSL" if exercise.id.endswith(".wgsl") else "NumPy",
        state=state,
        score=points(exercise.score),
        max_score=points(exercise.max_score),
        percent=percent(exercise.score, exercise.max_score),
        help=blocks(helped),
        misconception="" if " " in named.strip() else clean(named, 80),
        message=[] if state == "full" else blocks(message),
        tests=[_test_view(test, said) for test in exercise.tests],
    )


def _test_view(test: TestRecord, said: set[str]) -> TestView:
    mark, word = OUTCOMES[test.outcome]
    told = test.message.strip()
    message = [] if test.outcome == "passed" else blocks(told)
    # What the card says at its top, or beside an earlier test, is not said again.
    if message and told in said:
        message = [Block("text", "As above.")]
    said.add(told)
    if test.stand_ins:
        names = ", ".join(f"`{clean(name, 120)}`" for name in test.stand_ins)
        message = blocks(f"With the course's own {names} in place of yours.")
    score = f"{points(test.score)}/{points(test.max_score)}"
    return TestView(test_sentence(test.name), test.outcome, mark, word, score, message)


def parts(record: SubmissionRecord) -> list[Part]:
    """Return the record's exercises by kind, in the lesson's order."""
    views = [exercise_view(item, index, record.status) for index, item in enumerate(record.exercises)]
    found = []
    for kind in ("NumPy", "WGSL"):
        pairs = [
            (view, item) for view, item in zip(views, record.exercises, strict=True) if view.kind == kind
        ]
        if pairs:
            score = sum(item.score for _, item in pairs)
            most = sum(item.max_score for _, item in pairs)
            found.append(Part(kind, [view for view, _ in pairs], points(score), points(most)))
    return found


def next_steps(record: SubmissionRecord, most: int = 3) -> list[Step]:
    """Return what to mend first, nearest first, and why.

    An exercise whose mistake has a name is minutes from done; one that is partly right is
    near; one that is wrong comes before one that is not begun. Ties go in the lesson's order.
    """
    if record.status == "not-graded":
        return []
    ranked = []
    for index, item in enumerate(record.exercises):
        view = exercise_view(item, index, record.status)
        if view.state in ("full", "ungraded") or item.max_score <= 0:
            continue
        rank, reason = _reason(item, view)
        ranked.append((rank, index, Step(view, reason)))
    return [step for _, _, step in sorted(ranked, key=lambda entry: entry[:2])[:most]]


def _reason(item: ExerciseRecord, view: ExerciseView) -> tuple[int, str]:
    failing = next((test.message for test in item.tests if test.outcome != "passed" and test.message), "")
    if view.help:
        return 0, first_line(help_text(item), 400)
    if item.score > 0:
        left = sum(test.outcome != "passed" for test in item.tests)
        start = (
            f"{left} of {len(item.tests)} tests still {'fails' if left == 1 else 'fail'}. " if left else ""
        )
        return 1, start + first_line(item.message or failing)
    if is_unwritten(item):
        return 3, "Not written yet."
    return 2, first_line(item.message or failing) or "No test passes yet."
