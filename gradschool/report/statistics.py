"""What a class's records say together: scores, common mistakes, hard tests, troubles."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median
from urllib.parse import quote

from gradschool.grading.records import SubmissionRecord
from gradschool.report.text import Block, blocks, clean, first_line, percent, points, test_sentence
from gradschool.report.view import help_text

BIN_LABELS = ("0", "1-9", "10s", "20s", "30s", "40s", "50s", "60s", "70s", "80s", "90s", "100")


@dataclass(frozen=True)
class CellView:
    """One student's score on one stage."""

    score: str
    max_score: str
    percent: int
    status: str
    problems: int
    link: str


@dataclass(frozen=True)
class StudentView:
    """One row of the class table."""

    name: str
    cells: list[CellView | None]
    total: str
    most: str


@dataclass(frozen=True)
class MisconceptionView:
    """A mistake several students made."""

    stage: str
    exercise: str
    id: str
    help: str
    count: int
    examples: list[tuple[str, str]]


@dataclass(frozen=True)
class TestRate:
    """How many submissions pass one hidden test."""

    stage: str
    exercise: str
    sentence: str
    passed: int
    total: int

    @property
    def percent(self) -> int:
        """Share of submissions that pass."""
        return percent(self.passed, self.total)


@dataclass(frozen=True)
class Bin:
    """One column of a histogram."""

    label: str
    count: int
    height: int


@dataclass(frozen=True)
class Histogram:
    """How one stage's scores are spread."""

    id: str
    bins: list[Bin]
    median: int


@dataclass(frozen=True)
class TroubleView:
    """A submission with problems, or one the grader failed on."""

    student: str
    stage: str
    link: str
    problems: list[list[Block]]


@dataclass(frozen=True)
class ClassView:
    """Everything the class page shows."""

    stages: list[str]
    students: list[StudentView]
    count: int
    mean: int
    median: int
    complete: int
    histograms: list[Histogram]
    misconceptions: list[MisconceptionView]
    hardest: list[TestRate]
    troubled: list[TroubleView]
    ungraded: list[TroubleView]
    isolation: list[tuple[str, tuple[str, ...], list[str]]]
    devices: str


def class_view(records: Sequence[SubmissionRecord]) -> ClassView:
    """Return the class page's content; submissions that were not graded count in no average."""
    stages = sorted({record.stage for record in records})
    graded = [record for record in records if record.status != "not-graded"]
    shares = [percent(record.score, record.max_score) for record in graded]
    ungraded = [record for record in records if record.status == "not-graded"]
    return ClassView(
        stages=stages,
        students=_students(records, stages),
        count=len(records),
        mean=round(mean(shares)) if shares else 0,
        median=round(median(shares)) if shares else 0,
        complete=shares.count(100),
        histograms=[
            histogram(stage, [record for record in graded if record.stage == stage]) for stage in stages
        ],
        misconceptions=misconceptions(graded),
        hardest=hardest_tests(graded),
        troubled=[_trouble(record) for record in graded if record.problems],
        ungraded=[_trouble(record) for record in ungraded],
        isolation=isolation(graded),
        devices=devices(graded),
    )


def link_to(record: SubmissionRecord) -> str:
    """Return the link from the class page to a submission's feedback."""
    return f"{quote(record.student)}/{quote(record.stage)}.html"


def misconceptions(records: Sequence[SubmissionRecord], most: int = 15) -> list[MisconceptionView]:
    """Return the recognised mistakes, most frequent first, with up to three examples."""
    seen: dict[tuple[str, str, str], list[tuple[str, str]]] = defaultdict(list)
    helped: dict[tuple[str, str, str], str] = {}
    for record in records:
        for exercise in record.exercises:
            if exercise.misconception:
                key = (record.stage, exercise.id, exercise.misconception)
                seen[key].append((record.student, link_to(record)))
                helped.setdefault(key, first_line(help_text(exercise), 400))
    ranked = sorted(seen.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    return [
        MisconceptionView(
            stage, exercise, "" if " " in name else clean(name, 80), helped[key], len(names), names[:3]
        )
        for key, names in ranked[:most]
        for stage, exercise, name in [key]
    ]


def hardest_tests(records: Sequence[SubmissionRecord], most: int = 12) -> list[TestRate]:
    """Return the tests that the fewest submissions pass; tests that all pass are not hard."""
    passed: Counter[tuple[str, str, str]] = Counter()
    total: Counter[tuple[str, str, str]] = Counter()
    for record in records:
        for exercise in record.exercises:
            for test in exercise.tests:
                key = (record.stage, exercise.id, test.name)
                total[key] += 1
                passed[key] += test.outcome == "passed"
    hard = sorted(
        (key for key in total if passed[key] < total[key]), key=lambda key: passed[key] / total[key]
    )
    return [TestRate(key[0], key[1], test_sentence(key[2]), passed[key], total[key]) for key in hard[:most]]


def histogram(stage: str, records: Sequence[SubmissionRecord]) -> Histogram:
    """Return the spread of one stage's scores; nothing and full marks have columns of their own."""
    shares = [percent(record.score, record.max_score) for record in records]
    counts = Counter(_bin(share) for share in shares)
    most = max(counts.values(), default=1)
    bins = [
        Bin(label, counts[index], round(82 * counts[index] / most)) for index, label in enumerate(BIN_LABELS)
    ]
    return Histogram(stage, bins, round(median(shares)) if shares else 0)


def _bin(share: int) -> int:
    return 0 if share == 0 else 1 + share // 10


def isolation(records: Sequence[SubmissionRecord]) -> list[tuple[str, tuple[str, ...], list[str]]]:
    """Return the weak levels of isolation seen, what was missing, and for whom."""
    found: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for record in records:
        if record.sandbox.level != "full":
            found[record.sandbox.level, tuple(record.sandbox.missing)].append(record.student)
    return [(level, missing, names) for (level, missing), names in sorted(found.items())]


def devices(records: Sequence[SubmissionRecord]) -> str:
    """Return one sentence about where kernels ran and which grader graded."""
    if not records:
        return "Nothing was graded."
    names = sorted({f"{record.device.name} ({record.device.kind})" for record in records})
    versions = sorted({record.grader_version for record in records})
    return f"Kernels ran on {', '.join(names)}. gradschool {', '.join(versions)}."


def _students(records: Sequence[SubmissionRecord], stages: list[str]) -> list[StudentView]:
    by_student: dict[str, dict[str, SubmissionRecord]] = defaultdict(dict)
    for record in records:
        by_student[record.student][record.stage] = record
    rows = []
    for name, found in sorted(by_student.items(), key=lambda entry: entry[0].casefold()):
        total = sum(record.score for record in found.values())
        cells = [_cell(found[stage]) if stage in found else None for stage in stages]
        most = sum(record.max_score for record in found.values())
        rows.append(StudentView(name, cells, points(total), points(most)))
    return rows


def _cell(record: SubmissionRecord) -> CellView:
    return CellView(
        points(record.score),
        points(record.max_score),
        percent(record.score, record.max_score),
        record.status,
        len(record.problems),
        link_to(record),
    )


def _trouble(record: SubmissionRecord) -> TroubleView:
    found = [blocks(first_line(problem, 400)) for problem in record.problems]
    return TroubleView(record.student, record.stage, link_to(record), found)
