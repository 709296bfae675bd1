"""Judge one exercise: run its hidden tests, look a second time where others are to blame, name what is wrong."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gradschool.grading.bench import StageBench
from gradschool.grading.calls import Evidence
from gradschool.grading.host import CaseResult
from gradschool.grading.records import ExerciseRecord, TestRecord
from gradschool.hints import cost_of

_UNWRITTEN = frozenset({"NotWritten", "MissingFunction"})
_REFUSES = "It raises for every input, so it raises for bad input as well: this earns nothing yet."
_ENDED = frozenset({"CallTimeout", "WorkerDied"})


@dataclass
class Judgement:
    """What the hidden tests of one exercise found.

    Attributes:
        worst: The first failure of each test, or None where every case passed.
        helped: Tests that pass once the course's functions answer for earlier exercises that failed.
        stand_ins: Those functions.
        failed: What each failed case saw.
        passed: What each passed case saw.
    """

    exercise: str
    worst: dict[str, CaseResult | None] = field(default_factory=dict)
    helped: set[str] = field(default_factory=set)
    stand_ins: tuple[str, ...] = ()
    failed: list[Evidence] = field(default_factory=list)
    passed: list[Evidence] = field(default_factory=list)

    @property
    def lost(self) -> list[str]:
        """Tests that earn nothing."""
        return [name for name, result in self.worst.items() if result is not None]

    @property
    def faults(self) -> list[str]:
        """What failed in the grader itself."""
        results = [(name, result) for name, result in self.worst.items() if result is not None]
        return [f"{self.exercise}, {name}: {result.fault}" for name, result in results if result.fault]

    @property
    def raised(self) -> set[str]:
        """Names of the exceptions and endings of the exercise's own calls."""
        calls = [call for evidence in self.failed for call in evidence.calls]
        return {call.raised for call in calls if call.name == self.exercise and call.raised}

    @property
    def refuses_everything(self) -> bool:
        """Whether every call of the exercise raised: then it refuses bad input by accident."""
        seen = (*self.failed, *self.passed)
        calls = [call for evidence in seen for call in evidence.calls if call.name == self.exercise]
        return bool(calls) and all(call.raised for call in calls)

    @property
    def unwritten(self) -> bool:
        """Whether there is nothing to judge."""
        return bool(self.raised & _UNWRITTEN)

    @property
    def ended(self) -> bool:
        """Whether a call hung or ended the process."""
        return bool(self.raised & _ENDED)


def judge(bench: StageBench, exercise: str, only: Collection[str] = ()) -> Judgement:
    """Run the hidden tests of `exercise`.

    Args:
        bench: The stage's open test session, with the submission in place.
        exercise: A function or a kernel file.
        only: Tests to run; default all.
    """
    found = Judgement(exercise)
    for name, items in bench.tests_of(exercise):
        if not only or name in only:
            found.worst[name] = _run_test(bench, items, found)
    return found


def judge_again(bench: StageBench, first: Judgement, stand_ins: Sequence[str]) -> Judgement:
    """Judge lost tests once more, now that the course's functions stand in for `stand_ins`.

    What passes then is earned. What fails again fails on its own account, and the second message says why;
    but a cache laid out in the learner's own way may make it raise what it did not raise before.
    """
    second = judge(bench, first.exercise, first.lost)
    speaks = first.raised or not second.raised
    merged = Judgement(
        first.exercise, dict(first.worst), stand_ins=tuple(stand_ins), passed=first.passed + second.passed
    )
    for name, result in second.worst.items():
        if result is None:
            merged.helped.add(name)
        if result is None or speaks or result.fault:
            merged.worst[name] = result
    # Evidence with right inputs names a mistake best.
    merged.failed = second.failed if speaks else first.failed
    return merged


def record_of(bench: StageBench, found: Judgement) -> ExerciseRecord:
    """Turn a judgement into points and words."""
    points = bench.points
    if found.refuses_everything:
        accident = CaseResult("", "", "failed", _REFUSES)
        found.worst = {name: result or accident for name, result in found.worst.items()}
    tests = [
        TestRecord(
            name=name,
            score=0.0 if result else float(points[name]),
            max_score=float(points[name]),
            outcome=result.outcome if result else "passed",
            message=result.message if result else "",
            stand_ins=list(found.stand_ins) if name in found.helped else [],
        )
        for name, result in found.worst.items()
    ]
    item, explains_all = (
        bench.namer.name(found.exercise, found.failed, found.passed) if found.failed else (None, False)
    )
    message = next((test.message for test in tests if test.message), "")
    if found.failed and not item:
        relation = bench.namer.relate(found.exercise, found.failed, bench.signatures)
        message = f"{message}\n{relation}".strip()
    if item:
        message = item.help if explains_all else f"{message}\n{item.help}"
    if found.helped:
        message = f"{message}\n{_told_of_help(found)}".strip()
    return ExerciseRecord(
        id=found.exercise,
        score=sum(test.score for test in tests),
        max_score=sum(test.max_score for test in tests),
        message=message,
        misconception=item.id if item else None,
        tests=tests,
    )


def charge_hints(record: ExerciseRecord, level: int, costs: Sequence[float]) -> ExerciseRecord:
    """Note which hints were opened, and take what they cost.

    Args:
        record: What was earned.
        level: The highest hint that was opened.
        costs: Share of the exercise's points lost once hint 1, 2, 3 was opened.
    """
    share = cost_of(level, costs)
    cost = min(record.score, share * record.max_score)
    message = record.message
    if cost > 0:
        message = f"{message}\nHints up to level {level} were opened: {cost:g} points.".strip()
    return msgspec.structs.replace(
        record, score=record.score - cost, message=message, hints=level, hint_cost=cost
    )


def _told_of_help(found: Judgement) -> str:
    names = ", ".join(found.stand_ins)
    n_helped = len(found.helped)
    tests = "1 test passes" if n_helped == 1 else f"{n_helped} tests pass"
    return f"{tests} with the course's own {names} in place of yours."


def _run_test(bench: StageBench, items: Sequence[Any], found: Judgement) -> CaseResult | None:
    """Run every case of a test and return the first failure; later cases still tell mistakes apart."""
    worst = None
    for item in items:
        evidence = bench.plugin.bench.fresh_evidence()
        result = bench.host.run(item)
        evidence.let_go()
        (found.passed if result.outcome == "passed" else found.failed).append(evidence)
        if result.outcome != "passed" and worst is None:
            worst = result
    return worst
