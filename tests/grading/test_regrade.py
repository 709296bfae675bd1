"""Grading again: only what was asked for, or what its grader's change concerns, and said honestly."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from gradschool.errors import UsageError
from gradschool.grading.coordinator import ClassResult, grade_class
from gradschool.grading.options import GradeOptions
from gradschool.grading.records import ExerciseRecord, SubmissionRecord
from gradschool.grading.results import Results
from gradschool.grading.version import exercise_versions, forget_versions, grader_version
from gradschool.pack import Pack

OPTIONS = GradeOptions(seed=3, device="interpreter", n_slots=1)
EXERCISES = ("double", "halve", "scale_shift.wgsl")
WRONG = "def halve(x):\n    return x"

Edit = Callable[[str, str, str], None]


@pytest.fixture
def edit(pack: Pack) -> Edit:
    """Replace a text of the course, once."""

    def edit(name: str, old: str, new: str) -> None:
        path = pack.root / name
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))
        forget_versions()

    return edit


@pytest.fixture
def submissions(submit) -> Path:
    submit("ada")
    return submit("bela", {"halve": WRONG}).parents[1]


def run(submissions: Path, pack: Pack, **changes) -> ClassResult:
    options = msgspec.structs.replace(OPTIONS, **changes)
    # A pack remembers what it has read.
    return grade_class(submissions, submissions.parent / "results", options, pack=Pack(pack.root))


def read(submissions: Path, student: str) -> SubmissionRecord:
    record = Results(submissions.parent / "results").read(student, "00_tiny")
    assert record is not None
    return record


def exercise(record: SubmissionRecord, name: str) -> ExerciseRecord:
    return next(item for item in record.exercises if item.id == name)


def regraded(record: SubmissionRecord) -> list[str]:
    return [item.id for item in record.exercises if item.regraded is not None]


def versions(pack: Pack) -> dict[str, str]:
    forget_versions()
    return dict(exercise_versions(Pack(pack.root).stages[0]))


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return [name for name in after if before[name] != after[name]]


TESTS = "graders/00_tiny/test_tiny.py"
LESSON = "solutions/00_tiny/lesson.py"
MISTAKES = "graders/00_tiny/misconceptions.toml"
KERNEL = "shaders/00_tiny/scale_shift.wgsl"


@pytest.mark.parametrize(
    ("name", "old", "new", "concerned"),
    [
        (TESTS, "reference.halve(x))", "reference.halve(x) + 0)", ["halve"]),
        (TESTS, "size=65", "size=67", ["scale_shift.wgsl"]),
        (TESTS, "import numpy as np", "import numpy\nimport numpy as np", list(EXERCISES)),
        (TESTS, '"""Hidden graders of the tiny stage."""', '"""Hidden."""', []),
        (
            LESSON,
            "half_of_everything = as_float(x) / 2.0",
            "half_of_everything = as_float(x) * 0.5",
            ["halve"],
        ),
        (LESSON, "FACTOR = 2.0", "FACTOR = 2", ["double"]),
        (LESSON, "np.asarray(x, dtype=float)", "np.array(x, dtype=float)", ["double", "halve"]),
        (LESSON, "Return half of x.", "Return the half of x.", []),
        (LESSON, "It has one of everything.", "It has everything.", []),
        (LESSON, "alpha=2.0, beta=1.0))", "alpha=3.0, beta=1.0))", []),
        (MISTAKES, "You double twice.", "You double two times.", ["double"]),
        (MISTAKES, "The shift is missing.", "Where is the shift?", ["scale_shift.wgsl"]),
        (KERNEL, "params.beta", "(params.beta)", ["scale_shift.wgsl"]),
        ("graders/00_tiny/hints.toml", "Divide.", "Halve it.", []),
        ("graders/00_tiny/checks.py", "import", "import zlib\nimport", []),
    ],
)
def test_a_change_concerns_the_exercises_it_can_judge(
    pack: Pack, edit: Edit, name: str, old: str, new: str, concerned: list[str]
) -> None:
    path = pack.root / name
    text = path.read_text()
    before, stage_before = versions(pack), grader_version(pack.stages[0])
    path.write_text(text.replace(old, new, 1))
    assert path.read_text() != text
    assert changed(before, versions(pack)) == concerned
    assert (grader_version(Pack(pack.root).stages[0]) != stage_before) == bool(concerned)


HELPED = """
import pytest

from gradschool.grading import expect_equal

LAUNCHED = "other_kernel"
SIZES = [3]
SIZES.append(5)


def _numbers(rng):
    return rng.integers(0, 9, size=SIZES[0])


def _twice(module, name):
    return getattr(module, f"d{name}")


@pytest.fixture
def given(rng):
    return _numbers(rng)


@pytest.mark.exercise("halve")
@pytest.mark.points(1)
def test_halve_of_what_is_given(submission, reference, given):
    expect_equal(submission.halve(given), reference.halve(given))


@pytest.mark.exercise("double")
@pytest.mark.points(1)
def test_double_by_name(submission, reference, rng):
    expect_equal(_twice(submission, "ouble")(1), 2, what=LAUNCHED)
"""


@pytest.mark.parametrize(
    ("old", "new", "concerned"),
    [
        ("size=SIZES[0]", "size=SIZES[-1]", ["halve"]),  # through a fixture, and a function it calls
        ("SIZES = [3]", "SIZES = [4]", ["double", "halve"]),  # named by a statement that always runs
        ("SIZES.append(5)", "SIZES.append(6)", ["double", "halve"]),
        ('f"d{name}"', '"double"', ["double"]),
        ("expect_equal(submission.halve", "expect_equal (submission.halve", ["halve"]),
    ],
)
def test_what_a_test_uses_belongs_to_its_exercise(
    pack: Pack, old: str, new: str, concerned: list[str]
) -> None:
    path = pack.root / "graders/00_tiny/test_helped.py"
    path.write_text(HELPED)
    before = versions(pack)
    path.write_text(HELPED.replace(old, new))
    assert changed(before, versions(pack)) == concerned


def test_a_kernel_of_another_stage_that_a_test_names_belongs_to_its_exercise(pack: Pack) -> None:
    (pack.root / "graders/00_tiny/test_helped.py").write_text(HELPED)
    other = pack.root / "shaders/01_other"
    other.mkdir()
    shutil.copy(pack.root / KERNEL, other / "other_kernel.wgsl")
    shutil.copy(pack.root / KERNEL, other / "unnamed.wgsl")
    before = versions(pack)
    (other / "unnamed.wgsl").write_text("changed")
    assert versions(pack) == before
    (other / "other_kernel.wgsl").write_text("changed")
    assert changed(before, versions(pack)) == ["double"]


def test_who_launches_kernels_from_python_is_judged_with_all_of_them(pack: Pack, edit: Edit) -> None:
    edit(LESSON, "    half_of_everything", '    gs.kernel("unknown")\n    half_of_everything')
    before = versions(pack)
    edit(KERNEL, "params.beta", "(params.beta)")
    assert changed(before, versions(pack)) == ["halve", "scale_shift.wgsl"]


def test_a_changed_test_of_one_exercise_grades_this_exercise_only(
    submissions: Path, pack: Pack, edit: Edit
) -> None:
    run(submissions, pack)
    before = read(submissions, "bela")
    edit(TESTS, "submission.halve(x), reference.halve(x)", "submission.halve(x), x")
    result = run(submissions, pack, seed=4)
    assert (result.n_graded, result.n_kept) == (2, 0)
    after = read(submissions, "bela")
    assert regraded(after) == ["halve"]
    assert [exercise(after, name) for name in ("double", "scale_shift.wgsl")] == [
        exercise(before, name) for name in ("double", "scale_shift.wgsl")
    ]
    assert (before.score, after.score) == (6, 8)
    halve = exercise(after, "halve")
    assert halve.regraded is not None
    assert (after.seed, halve.regraded.seed) == (3, 4)
    assert halve.regraded.device == after.device
    assert halve.regraded.seconds > 0
    assert after.graded_at <= halve.regraded.graded_at
    stage = Pack(pack.root).stages[0]
    assert after.grader_version == grader_version(stage) != before.grader_version
    assert {item.id: item.grader_version for item in after.exercises} == exercise_versions(stage)
    assert read(submissions, "ada").score == 6
    assert run(submissions, pack, seed=5).n_kept == 2


def test_what_comes_after_a_function_that_now_fails_is_judged_again_too(
    submissions: Path, pack: Pack, edit: Edit
) -> None:
    run(submissions, pack)
    edit(TESTS, "submission.double(x), reference.double(x)", "submission.double(x), x")
    run(submissions, pack)
    for student in ("ada", "bela"):
        record = read(submissions, student)
        # `halve` may call `double`, for which the course's stands in from now on.
        assert regraded(record) == ["double", "halve"]
        assert exercise(record, "double").score == 1
    assert run(submissions, pack).n_kept == 2


def test_when_everything_changed_the_record_is_made_anew(submissions: Path, pack: Pack, edit: Edit) -> None:
    run(submissions, pack)
    edit(TESTS, "import numpy as np", "import numpy\nimport numpy as np")
    assert run(submissions, pack, seed=4).n_graded == 2
    assert regraded(read(submissions, "ada")) == []
    assert read(submissions, "ada").seed == 4


def test_a_new_exercise_is_graded_and_one_that_is_gone_leaves_the_record(
    submissions: Path, pack: Pack, edit: Edit
) -> None:
    run(submissions, pack)
    record = read(submissions, "ada")
    halve = exercise(record, "halve")
    record.exercises.remove(halve)
    record.exercises.append(msgspec.structs.replace(halve, id="gone", score=50.0))
    record.grader_version = "of before"
    Results(submissions.parent / "results").keep(record)
    assert run(submissions, pack, students=("ada",)).n_graded == 1
    after = read(submissions, "ada")
    assert [item.id for item in after.exercises] == list(EXERCISES)
    assert (after.score, after.max_score, regraded(after)) == (8, 8, ["halve"])


def test_one_exercise_is_judged_again_and_what_has_no_record_is_left(
    submissions: Path, pack: Pack, submit
) -> None:
    run(submissions, pack, students=("ada", "bela"))
    submit("chidi")
    result = run(submissions, pack, exercises=("halve",), seed=9)
    assert (result.n_graded, result.n_kept, result.n_left) == (2, 0, 1)
    assert [record.student for record in result.records] == ["ada", "bela"]
    assert [regraded(record) for record in result.records] == [["halve"], ["halve"]]
    assert [record.score for record in result.records] == [8, 6]


def test_a_regrade_that_was_ended_goes_on_with_its_seed(submissions: Path, pack: Pack) -> None:
    run(submissions, pack)
    run(submissions, pack, exercises=("halve",), students=("ada",), seed=9)
    again = run(submissions, pack, exercises=("halve",), seed=9)
    assert (again.n_graded, again.n_kept) == (1, 1)
    assert run(submissions, pack, exercises=("halve",), seed=9, force=True).n_graded == 2


def test_a_changed_submission_is_not_mixed_with_its_old_record(submissions: Path, pack: Pack, submit) -> None:
    run(submissions, pack)
    submit("bela")
    result = run(submissions, pack, exercises=("halve",), seed=9)
    assert (result.n_graded, result.n_left) == (1, 1)
    assert read(submissions, "bela").score == 6
    assert run(submissions, pack).n_graded == 1
    assert read(submissions, "bela").score == 8


def test_the_other_exercises_stay_stale_until_they_are_graded(
    submissions: Path, pack: Pack, edit: Edit
) -> None:
    run(submissions, pack)
    edit(TESTS, "submission.halve(x), reference.halve(x)", "submission.halve(x), reference.halve(x) + 0")
    run(submissions, pack, exercises=("double",), seed=9)
    record = read(submissions, "ada")
    assert record.grader_version != grader_version(Pack(pack.root).stages[0])
    assert run(submissions, pack).n_graded == 2
    assert regraded(read(submissions, "ada")) == ["double", "halve"]


def test_changed_alone_grades_what_another_grader_has_graded(
    submissions: Path, pack: Pack, submit, edit: Edit
) -> None:
    run(submissions, pack, students=("ada",))
    nothing = run(submissions, pack, changed=True)
    assert (nothing.n_graded, nothing.n_kept, nothing.n_left) == (0, 1, 1)
    edit(TESTS, "2 * x + 1)", "2 * x + 1.0)")
    result = run(submissions, pack, changed=True)
    assert (result.n_graded, result.n_left) == (1, 1)
    assert regraded(read(submissions, "ada")) == ["scale_shift.wgsl"]


def test_a_part_that_cannot_be_judged_leaves_the_record_as_it_was(
    submissions: Path, pack: Pack, edit: Edit
) -> None:
    run(submissions, pack)
    before = read(submissions, "ada")
    edit(
        TESTS,
        "    expect_equal(submission.halve",
        "    import no_such_module\n    expect_equal(submission.halve",
    )
    result = run(submissions, pack)
    assert result.n_graded == 0
    assert result.failures
    assert read(submissions, "ada") == before


def test_a_regrade_of_a_part_is_the_part_of_a_regrade(submissions: Path, pack: Pack) -> None:
    run(submissions, pack, seed=21, force=True)
    whole = {name: exercise(read(submissions, "bela"), name) for name in EXERCISES}
    run(submissions, pack, seed=22, force=True)
    run(submissions, pack, seed=21, exercises=EXERCISES)
    part = read(submissions, "bela")
    assert regraded(part) == list(EXERCISES)
    for item in part.exercises:
        assert msgspec.structs.replace(item, regraded=None) == whole[item.id]


def test_grading_one_student_leaves_the_class_whole(submissions: Path, pack: Pack) -> None:
    run(submissions, pack)
    result = run(submissions, pack, students=("ada",), force=True)
    assert [record.student for record in result.records] == ["ada"]
    assert (submissions.parent / "results/grades.csv").read_text().count("00_tiny") == 2


def test_an_exercise_that_does_not_exist_is_said(submissions: Path, pack: Pack) -> None:
    with pytest.raises(UsageError, match="no exercise 'halv'") as error:
        run(submissions, pack, exercises=("halv",))
    assert "halve" in error.value.help
