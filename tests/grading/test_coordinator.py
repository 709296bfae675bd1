"""A class: whatever happens, nothing finished is lost, graded twice or half written."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from gradschool.errors import GradschoolError, UsageError
from gradschool.grading import results
from gradschool.grading.coordinator import ClassResult, grade_class
from gradschool.grading.options import GradeOptions
from gradschool.grading.plan import find_submissions
from gradschool.grading.records import SubmissionRecord
from gradschool.grading.slot_client import SlotClient, SlotDied
from gradschool.grading.slot_messages import SlotAnswer, SlotTask
from gradschool.grading.version import forget_versions
from gradschool.pack import Pack

OPTIONS = GradeOptions(seed=3, device="interpreter", n_slots=1)


@pytest.fixture
def submissions(submit, tmp_path: Path) -> Path:
    submit("ada")
    submit("bela", {"double": "def double(x):\n    return x"})
    submit("chidi", {"halve": "def halve(x):\n    raise NotImplementedError"})
    return tmp_path / "submissions"


def run(submissions: Path, pack: Pack, **changes) -> ClassResult:
    options = msgspec.structs.replace(OPTIONS, **changes)
    return grade_class(submissions, submissions.parent / "results", options, pack=pack)


def read(path: Path) -> SubmissionRecord:
    return msgspec.json.decode(path.read_bytes(), type=SubmissionRecord)


def test_a_class_gets_records_feedback_and_tables(submissions: Path, pack: Pack) -> None:
    result = run(submissions, pack)
    assert [record.score for record in result.records] == [8, 5, 6]
    results = submissions.parent / "results"
    for student in ("ada", "bela", "chidi"):
        assert read(results / student / "00_tiny.json").student == student
        assert (results / student / "00_tiny.html").exists()
        assert (results / student / "00_tiny.md").exists()
    assert (results / "grades.csv").read_text().count("\n") == 4
    assert (results / "index.html").exists()


def test_a_second_run_keeps_what_is_current_and_grades_what_changed(
    submissions: Path, pack: Pack, submit
) -> None:
    run(submissions, pack)
    again = run(submissions, pack)
    assert (again.n_graded, again.n_kept) == (0, 3)
    submit("bela")
    changed = run(submissions, pack)
    assert (changed.n_graded, changed.n_kept) == (1, 2)
    assert [record.score for record in changed.records] == [8, 8, 6]
    assert run(submissions, pack, force=True).n_graded == 3


def test_a_changed_grader_grades_again(submissions: Path, pack: Pack) -> None:
    run(submissions, pack)
    tests = pack.root / "graders/00_tiny/test_tiny.py"
    tests.write_text(tests.read_text().replace("size=17", "size=19"))
    forget_versions()
    assert run(submissions, Pack(pack.root)).n_graded == 3


def test_a_half_written_record_is_graded_again(submissions: Path, pack: Pack) -> None:
    run(submissions, pack)
    record = submissions.parent / "results/ada/00_tiny.json"
    record.write_bytes(record.read_bytes()[:100])
    assert run(submissions, pack).n_graded == 1
    assert read(record).score == 8


def test_a_slot_that_dies_once_costs_nothing(submissions: Path, pack: Pack, monkeypatch) -> None:
    real = SlotClient.grade
    deaths = iter([True])

    def grade(client, task: SlotTask) -> SlotAnswer:
        if task.student == "bela" and next(deaths, False):
            client.kill()
            raise SlotDied("gone")
        return real(client, task)

    monkeypatch.setattr(SlotClient, "grade", grade)
    result = run(submissions, pack)
    assert [record.score for record in result.records] == [8, 5, 6]
    assert result.failures == []


def test_a_submission_that_kills_every_slot_is_named_and_the_class_goes_on(
    submissions: Path, pack: Pack, monkeypatch
) -> None:
    real = SlotClient.grade

    def grade(client, task: SlotTask) -> SlotAnswer:
        if task.student == "ada":
            client.kill()
            raise SlotDied("gone")
        return real(client, task)

    monkeypatch.setattr(SlotClient, "grade", grade)
    result = run(submissions, pack)
    assert [record.status for record in result.records] == ["not-graded", "graded", "graded"]
    assert "ada/00_tiny" in result.failures[0]


def test_a_full_disk_is_said_and_keeps_what_is_finished(submissions: Path, pack: Pack, monkeypatch) -> None:
    real = results.write_atomic
    written: list[Path] = []

    def full(path: Path, data: bytes) -> None:
        if len(written) == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(path)
        real(path, data)

    monkeypatch.setattr(results, "write_atomic", full)
    with pytest.raises(GradschoolError, match="No space left"):
        run(submissions, pack)
    monkeypatch.undo()
    assert run(submissions, pack).n_kept == 1


RUNNER = """
import sys
from pathlib import Path
from gradschool.grading.coordinator import grade_class
from gradschool.grading.options import GradeOptions
from gradschool.pack import Pack
root, submissions, out = map(Path, sys.argv[1:])
grade_class(submissions, out, GradeOptions(seed=3, device="interpreter", n_slots=1), pack=Pack(root))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_kill_at_any_moment_loses_nothing_that_was_finished(submissions: Path, pack: Pack, submit) -> None:
    for student in ("dana", "emil", "fatou"):
        submit(student)
    out = submissions.parent / "results"
    finished: dict[Path, int] = {}
    for n_wanted in (0, 1, 3, 4):
        process = subprocess.Popen([sys.executable, "-c", RUNNER, str(pack.root), str(submissions), str(out)])
        deadline = time.monotonic() + 60
        while len(list(out.glob("*/*.json"))) < n_wanted and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for path in out.glob("*/*.json"):
            assert read(path).max_score == 8
            changed = path.stat().st_mtime_ns
            assert finished.setdefault(path, changed) == changed, "graded twice"
    result = run(submissions, pack)
    assert len(result.records) == 6
    assert result.n_kept >= 4


def test_a_linked_student_folder_is_nobody(submissions: Path, pack: Pack) -> None:
    (submissions / "mallory").symlink_to(submissions / "ada")
    assert [task.student for task in find_submissions(submissions, pack, OPTIONS)] == ["ada", "bela", "chidi"]


def test_nothing_to_grade_is_said(tmp_path: Path, pack: Pack) -> None:
    with pytest.raises(UsageError, match="not a folder"):
        find_submissions(tmp_path / "nowhere", pack, OPTIONS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no submission"):
        find_submissions(tmp_path / "empty", pack, OPTIONS)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such a name themselves")
def test_a_student_folder_whose_name_is_no_text_is_said(submissions: Path, pack: Pack) -> None:
    os.mkdir(os.fsencode(submissions) + b"/\xff")
    with pytest.raises(UsageError, match="not UTF-8"):
        find_submissions(submissions, pack, OPTIONS)
