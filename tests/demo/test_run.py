"""The demo run: the folder, the judgement, what is printed. Grading itself is stood in for."""

from __future__ import annotations

import json
from typing import Literal

import pytest
import typer
from typer.testing import CliRunner

from gradschool.cli import demo as demo_command
from gradschool.demo import run as demo_run
from gradschool.demo.run import Part
from gradschool.errors import UsageError
from gradschool.grading.records import (
    DeviceRecord,
    ExerciseRecord,
    SandboxRecord,
    SubmissionRecord,
    TestRecord,
)


def ideal_record(
    part: Part, max_score: float = 2.0, level: Literal["full", "partial"] = "full"
) -> SubmissionRecord:
    """The record that is exactly what `part` must get."""
    scores = {"full": max_score, "less": max_score / 2, "zero": 0.0, "any": 0.0}
    exercises = []
    expectation = part.work.expectation
    for name, expected in expectation.levels.items():
        score = scores[expected]
        message = (
            "" if expected == "full" else f"{name} is wrong: [red]{expectation.words.get(name, '')}[/nothing]"
        )
        test = TestRecord(
            name="test_it",
            score=score,
            max_score=max_score,
            outcome="passed" if expected == "full" else "failed",
            message=message,
        )
        exercises.append(
            ExerciseRecord(
                id=name,
                score=score,
                max_score=max_score,
                message=message,
                misconception=expectation.named.get(name),
                tests=[test],
            )
        )
    return SubmissionRecord(
        student=part.actor.name,
        stage=part.stage,
        score=sum(item.score for item in exercises),
        max_score=sum(item.max_score for item in exercises),
        status="graded",
        exercises=exercises,
        device=DeviceRecord(name="cpu", kind="interpreter"),
        sandbox=SandboxRecord(level=level, missing=[] if level == "full" else ["no seccomp"]),
        seed=0,
        grader_version="0",
        seconds=0.1,
        problems=["A part could not be used."] if expectation.problem else [],
    )


@pytest.fixture
def parts(tiny_stage):
    return demo_run.cast_parts([demo_run.gather(tiny_stage)])


@pytest.fixture
def run(tiny_pack, tiny_stage, parts, tmp_path, monkeypatch):
    """Run the command with a stand-in for grading: `run(records, *args)`."""

    def invoke(records, *args):
        def grade_class(submissions, out, options, *, pack, on_total, on_record):
            assert sorted(path.name for path in submissions.iterdir()) == sorted(
                {part.actor.name for part in parts}
            )
            on_total(len(records))
            for record in records:
                on_record(record, False)
            return type("Result", (), {"records": records})()

        monkeypatch.setattr(demo_run, "_grade_class", lambda: grade_class)
        monkeypatch.setattr("gradschool.pack.find_pack", lambda: tiny_pack)
        app = typer.Typer()
        demo_command.register(app)
        return CliRunner(env={"COLUMNS": "100"}).invoke(app, ["--out", str(tmp_path / "demo"), *args])

    return invoke


def test_a_class_that_gets_what_it_should_passes(run, parts, tmp_path):
    result = run([ideal_record(part) for part in parts])
    assert result.exit_code == 0, result.output
    assert f"{len(parts)} of {len(parts)} as expected" in result.output
    assert "Ada Lindqvist" in result.output
    assert "index.html" in result.output.replace("\n", "")
    assert (tmp_path / "demo/results/index.html").is_file()
    assert (tmp_path / "demo/submissions/Ada Lindqvist/00_tiny/00_tiny.ipynb").is_file()


def test_one_wrong_grade_fails_the_demo_and_is_explained(run, parts):
    records = [ideal_record(part) for part in parts]
    records[0].exercises[0].score = 1
    result = run(records)
    assert result.exit_code == 1
    assert "double got 1 of 2, expected all" in result.output
    assert f"{len(parts) - 1} of {len(parts)} as expected" in result.output


def test_a_lost_submission_fails_the_demo(run, parts):
    result = run([ideal_record(part) for part in parts][1:])
    assert result.exit_code == 1
    assert "It was not graded." in result.output


def test_attacks_are_not_judged_where_isolation_is_weak(run, parts):
    records = [ideal_record(part, level="partial") for part in parts]
    attacker = next(record for record in records if record.student == "Mallory Voss")
    attacker.exercises[0].score = 2
    result = run(records, "--json")
    rows = {row["student"]: row for row in json.loads(result.output)["submissions"]}
    assert result.exit_code == 0
    assert rows["Mallory Voss"]["as_expected"] is None
    assert rows["Ada Lindqvist"]["as_expected"] is True


def test_json_says_everything(run, parts):
    data = json.loads(run([ideal_record(part) for part in parts], "--json").output)
    assert data["ok"] is True
    assert len(data["submissions"]) == len(parts)
    assert data["report"].endswith("index.html")


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="no demo made it"):
        demo_run.prepare_folder(tmp_path, keep=False)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_second_demo_starts_anew_unless_told_to_keep(tmp_path):
    folder = tmp_path / "demo"
    demo_run.prepare_folder(folder, keep=False)
    for name in ("submissions/Ada/x", "results/Ada/x"):
        (folder / name).mkdir(parents=True)
    demo_run.prepare_folder(folder, keep=True)
    assert [path.name for path in sorted(folder.iterdir())] == [demo_run.MARKER, "results"]
    demo_run.prepare_folder(folder, keep=False)
    assert [path.name for path in folder.iterdir()] == [demo_run.MARKER]
