from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from gradschool.cli import release as command
from gradschool.errors import UsageError
from gradschool.pack import Pack


@pytest.fixture
def run(tiny_pack: Pack):
    app = typer.Typer()
    app.callback()(lambda: None)
    command.register(app)

    def invoke(*words: str) -> Result:
        return CliRunner().invoke(app, ["release", "--pack", str(tiny_pack.root), *words])

    return invoke


def test_release_writes_and_then_check_passes(run, tiny_pack: Pack) -> None:
    assert run("--check").exit_code == 1
    result = run()
    assert result.exit_code == 0, result.output
    assert "5 written" in result.output
    assert run("--check").exit_code == 0
    assert "0 written, 5 unchanged" in run().output


def test_check_lists_what_is_stale_and_the_command_that_mends_it(run, tiny_pack: Pack) -> None:
    run()
    kernel = tiny_pack.stages[0].assignment / "scale_shift.wgsl"
    kernel.write_text("// my own\n")
    result = run("--check", "0")
    assert result.exit_code == 1
    assert "stale    scale_shift.wgsl" in result.output
    assert "Mend this with: gradschool release 0" in result.output
    assert kernel.read_text() == "// my own\n"


def test_files_written_by_hand_are_reported_and_deleted_only_when_asked(run, tiny_pack: Pack) -> None:
    run()
    stray = tiny_pack.stages[0].assignment / "notes.md"
    stray.write_text("mine")
    assert "stray    notes.md" in run().output
    result = run("--check")
    assert result.exit_code == 1
    assert "gradschool release --prune" in result.output
    assert stray.exists()
    assert "deleted  notes.md" in run("--prune").output
    assert not stray.exists()


def test_json_says_what_is_fresh(run, tiny_pack: Pack) -> None:
    run()
    (tiny_pack.root / "assignments" / "99_gone").mkdir()
    result = run("--check", "--json")
    assert result.exit_code == 1
    record = json.loads(result.output)
    assert record["fresh"] is False
    assert record["stray_folders"] == ["99_gone"]
    assert record["stages"][0]["stale"] == []


def test_check_goes_with_nothing_that_writes(run, tmp_path: Path) -> None:
    result = run("--check", "--nbgrader", str(tmp_path / "course"))
    assert isinstance(result.exception, UsageError)


def test_a_course_is_written_and_its_config_is_never_overwritten(run, tmp_path: Path) -> None:
    course = tmp_path / "course"
    result = run("--nbgrader", str(course))
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (course / "source" / "00_tiny").iterdir()) == [
        "00_tiny.ipynb",
        "checks.py",
        "figures",
        "hints.toml",
        "scale_shift.wgsl",
    ]
    assert "YOUR CODE HERE" in (course / "source" / "00_tiny" / "scale_shift.wgsl").read_text()
    (course / "nbgrader_config.py").write_text("# mine\n")
    (course / "source" / "00_tiny" / "data.csv").write_text("1,2")
    result = run("--nbgrader", str(course))
    assert "stray    source/00_tiny/data.csv" in result.output
    assert (course / "nbgrader_config.py").read_text() == "# mine\n"


def test_a_course_inside_assignments_is_refused(run, tiny_pack: Pack) -> None:
    result = run("--nbgrader", str(tiny_pack.root / "assignments" / "course"))
    assert isinstance(result.exception, UsageError)
    assert "holds solutions" in str(result.exception)
