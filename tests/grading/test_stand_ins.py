"""What fails early does not drag down what comes later: the course's functions stand in for it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from gradschool.grading.options import GradeOptions
from gradschool.grading.records import ExerciseRecord, SubmissionRecord
from gradschool.grading.session import GradingSession
from gradschool.pack import Pack

OPTIONS = GradeOptions(seed=7, device="interpreter", call_timeout_s=1.5, kernel_timeout_s=5.0)

BROKEN = {
    "is wrong": "def double(x):\n    return np.asarray(x) * 3.0",
    "raises": "def double(x):\n    return x[99]",
    "is not written": 'def double(x):\n    raise NotImplementedError("double: your code here")',
    "never ends": "def double(x):\n    while True:\n        pass",
    "ends the process": "def double(x):\n    import os\n    os._exit(0)",
    "is missing": "def another(x):\n    return x",
}
HALVE_BY_DOUBLING = "def halve(x):\n    return double(x) / 4.0"


@pytest.fixture
def session(pack: Pack) -> Iterator[GradingSession]:
    with GradingSession(pack, options=OPTIONS) as opened:
        yield opened


def exercise(record: SubmissionRecord, name: str) -> ExerciseRecord:
    return next(item for item in record.exercises if item.id == name)


@pytest.mark.parametrize("name", BROKEN)
def test_a_later_exercise_that_calls_a_broken_one_is_judged_for_itself(
    session: GradingSession, submit, name: str
) -> None:
    folder = submit("ada", {"double": BROKEN[name], "halve": HALVE_BY_DOUBLING})
    record = session.grade("ada", "00_tiny", folder)
    assert exercise(record, "double").score == 0
    halve = exercise(record, "halve")
    assert (halve.score, halve.misconception) == (2, None)
    assert halve.tests[0].stand_ins == ["double"]
    assert halve.message == "1 test passes with the course's own double in place of yours."


def test_an_exercise_that_is_wrong_itself_gains_nothing(session: GradingSession, submit) -> None:
    wrong = "def halve(x):\n    return double(x) / 5.0"
    record = session.grade("ada", "00_tiny", submit("ada", {"double": BROKEN["raises"], "halve": wrong}))
    halve = exercise(record, "halve")
    assert halve.score == 0
    # The second look says what is wrong with halve; the first could only say that double raised.
    assert "off by a constant factor" in halve.message
    assert halve.tests[0].stand_ins == []


def test_a_function_that_calls_what_is_not_written_says_so(session: GradingSession, submit) -> None:
    source = {"double": HALVE_BY_DOUBLING.replace("halve", "double").replace("double(x) /", "halve(x) *")}
    source["halve"] = BROKEN["is not written"].replace("double", "halve")
    record = session.grade("ada", "00_tiny", submit("ada", source))
    # halve comes later in the lesson: it does not stand in for itself in what comes before it.
    assert exercise(record, "double").score == 0
    assert "double calls halve, which is not written yet" in exercise(record, "double").message


def test_no_stand_in_is_told_to_who_does_not_need_one(session: GradingSession, submit) -> None:
    record = session.grade("ada", "00_tiny", submit("ada", {"double": BROKEN["raises"]}))
    assert exercise(record, "halve").tests[0].stand_ins == []
    assert exercise(record, "halve").message == ""


def test_an_exercise_judged_alone_is_judged_as_in_the_whole(pack: Pack, session, submit) -> None:
    from gradschool.grading.submission_files import read_submission

    folder = submit("ada", {"double": BROKEN["raises"], "halve": HALVE_BY_DOUBLING})
    (stage,) = pack.stages
    files = read_submission(folder, stage)
    alone = session.grade_files("ada", stage, files, only=["halve"], upstream=True)
    assert alone.exercises == [exercise(session.grade("ada", "00_tiny", folder), "halve")]


STEAL = """
def halve(x):
    stolen = type(double)("halve", None, double._exchange)
    return stolen(x)
"""


def test_only_the_functions_that_failed_earlier_answer(session: GradingSession, submit) -> None:
    """The course's own `halve` cannot be asked for while `halve` is judged."""
    record = session.grade(
        "mallory", "00_tiny", submit("mallory", {"double": BROKEN["raises"], "halve": STEAL})
    )
    halve = exercise(record, "halve")
    assert halve.score == 0
    assert "not the course's to answer" in halve.message


ASKS_FOR_EVER = "def halve(x):\n    while True:\n        double(x)"


def test_asking_for_ever_ends_in_time_and_costs_nobody_else(session: GradingSession, submit) -> None:
    folder = submit("mallory", {"double": BROKEN["is wrong"], "halve": ASKS_FOR_EVER})
    record = session.grade("mallory", "00_tiny", folder)
    assert exercise(record, "halve").score == 0
    assert "did not return within" in exercise(record, "halve").message
    assert session.grade("ada", "00_tiny", submit("ada")).score == 8


def test_what_the_course_changes_in_place_changes_for_the_caller(pack: Pack, submit) -> None:
    lesson = pack.stages[0].lesson
    lesson.write_text(
        lesson.read_text().replace("return as_float(x) * FACTOR", "x *= FACTOR\n    return as_float(x)")
    )
    graders = pack.root / "graders/00_tiny/test_tiny.py"
    graders.write_text(
        graders.read_text().replace(
            "expect_equal(submission.double(x), reference.double(x))",
            "expect_equal(submission.double(x.copy()), 2 * x)",
        )
    )
    (pack.root / "graders/00_tiny/misconceptions.toml").unlink()
    source = "def halve(x):\n    y = np.array(x)\n    double(y)\n    return y / 4.0"
    with GradingSession(Pack(pack.root), options=OPTIONS) as session:
        record = session.grade("ada", "00_tiny", submit("ada", {"double": BROKEN["raises"], "halve": source}))
    assert exercise(record, "halve").score == 2


def test_a_record_says_which_functions_stood_in(session: GradingSession, submit) -> None:
    folder = submit("ada", {"double": BROKEN["is wrong"], "halve": HALVE_BY_DOUBLING})
    record = session.grade("ada", "00_tiny", folder)
    again = msgspec.json.decode(msgspec.json.encode(record), type=SubmissionRecord)
    assert exercise(again, "halve").tests[0].stand_ins == ["double"]
