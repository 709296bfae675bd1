"""What an instructor reads, and the tables other programs read."""

from __future__ import annotations

import csv
import io
import json

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from gradschool.cli import report as report_command
from gradschool.report import write_atomic, write_class
from gradschool.report.class_page import exercises_csv, grades_csv
from gradschool.report.statistics import class_view, hardest_tests, histogram, misconceptions


def invoke(*args: str):
    app = typer.Typer()
    report_command.register(app)
    return CliRunner().invoke(app, args)


def rows(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode())))


@pytest.fixture
def results(tmp_path, class_records):
    for record in class_records:
        path = tmp_path / record.student / f"{record.stage}.json"
        write_atomic(path, msgspec.json.encode(record))
    return tmp_path


def test_grades_hold_one_row_per_student_and_stage(class_records):
    table = rows(grades_csv(class_records))
    assert len(table) == len(class_records)
    assert table[0] == {
        "student": "Amara Okafor",
        "stage": "01_perceptron",
        "score": "13",
        "max_score": "25",
        "percent": "52",
        "status": "graded",
        "problems": "",
        "graded_at": "2026-11-22T09:30:00Z",
    }
    assert table[4]["problems"] == "The notebook is not JSON: line 3, column 9."


def test_exercises_hold_one_row_per_exercise(class_records):
    table = rows(exercises_csv(class_records[:1]))
    assert [row["exercise"] for row in table][2] == "softmax_forward"
    assert table[2]["misconception"] == "global-max"
    assert table[2]["state"] == "partly right"
    assert {row["kind"] for row in table} == {"numpy", "wgsl"}


@pytest.mark.parametrize(
    "formula", ['=HYPERLINK("http://x")', "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", " =1", "%0A=1"]
)
def test_no_cell_starts_a_formula(make, exercise, hidden_test, formula):
    bad = exercise(formula, [hidden_test("test_a", "failed", 1, formula)], formula, formula)
    record = make(formula, [bad], problems=[formula], graded_at=formula)
    for table in (rows(grades_csv([record])), rows(exercises_csv([record]))):
        for value in table[0].values():
            assert value.lstrip()[:1] not in ("=", "+", "-", "@", "%")


def test_a_cell_stays_on_one_line(make):
    record = make("Kim\nLee", [], problems=["one\ntwo", "three"])
    table = rows(grades_csv([record]))
    assert table[0]["student"] == "Kim Lee"
    assert table[0]["problems"] == "one; three"


def test_averages_leave_out_what_was_not_graded(class_records):
    page = class_view(class_records)
    assert (page.count, page.complete) == (6, 2)
    assert [row.student for row in page.ungraded] == ["Eva Lind"]
    assert [row.student for row in page.troubled] == ["Dita Novák"]
    assert page.median == 52


def test_each_student_has_a_cell_per_stage(class_records):
    page = class_view(class_records)
    assert page.stages == ["00_first_kernel", "01_perceptron"]
    by_name = {row.name: row for row in page.students}
    assert by_name["Amara Okafor"].total == "15"
    assert by_name["Björk Li"].cells[0] is None
    cell = by_name["Björk Li"].cells[1]
    assert cell
    assert cell.link == "Bj%C3%B6rk%20Li/01_perceptron.html"


def test_mistakes_are_counted_with_examples(class_records):
    first = misconceptions(class_records)[0]
    assert first.count == 2
    assert [name for name, _ in first.examples] == ["Amara Okafor", "Chen Wei"]
    assert {item.id for item in misconceptions(class_records)} == {"global-max", "no-guard"}


def test_hard_tests_come_hardest_first_and_easy_ones_not_at_all(class_records):
    rates = hardest_tests(class_records)
    assert rates[0].passed == 0
    assert all(rate.passed < rate.total for rate in rates)
    assert [rate.percent for rate in rates] == sorted(rate.percent for rate in rates)


@pytest.mark.parametrize(
    ("score", "label"), [(0, "0"), (0.01, "1-9"), (9, "1-9"), (10, "10s"), (99.9, "90s"), (100, "100")]
)
def test_every_score_has_its_column(make, score, label):
    found = histogram("01_perceptron", [make("Lo", [], score=score, max_score=100)])
    assert [bar.label for bar in found.bins if bar.count] == [label]


def test_weak_isolation_is_said(class_records):
    page = class_view(class_records)
    assert page.isolation == [("partial", ("seccomp: the kernel refuses filters",), ["Chen Wei"])]


def test_a_class_of_none_has_a_page(tmp_path):
    write_class([], tmp_path, "Nobody")
    assert "Nobody" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_hostile_names_and_titles_are_escaped(make, exercise, hidden_test, tmp_path):
    evil = "<script>alert(1)<"
    bad = exercise(evil, [hidden_test(evil, "failed", 1, evil)], evil, "a-name")
    record = make(evil, [bad], problems=[evil])
    write_class([record], tmp_path, evil)
    assert "<script" not in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_the_command_makes_every_page_again_and_shows_the_class(results):
    run = invoke(str(results), "--title", "Autumn")
    assert run.exit_code == 0, run.output
    assert "Amara Okafor" in run.output
    assert "13 / 25" in run.output
    assert "2 times in sgd_step.wgsl" in run.output
    assert "Autumn" in (results / "index.html").read_text(encoding="utf-8")
    assert (results / "Amara Okafor/01_perceptron.html").is_file()


def test_the_command_prints_json(results):
    run = invoke(str(results), "--json")
    data = json.loads(run.output)
    assert run.exit_code == 0
    assert len(data["submissions"]) == 6
    assert data["misconceptions"][0]["count"] == 2
    assert data["unreadable"] == []


def test_the_command_names_a_broken_record_shows_the_rest_and_fails(results):
    (results / "Björk Li/01_perceptron.json").write_text("{")
    run = invoke(str(results))
    assert run.exit_code == 1
    assert "Amara Okafor" in run.output
    assert "is no grade record" in run.output


def test_the_command_says_what_to_do_when_nothing_was_graded(tmp_path):
    run = invoke(str(tmp_path))
    assert run.exit_code == 1
    assert "gradschool grade SUBMISSIONS --out RESULTS" in run.output
