"""Hints: one step at a time, recorded, and paid for where an instructor says so."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

import gradschool as gs
import gradschool.notebook
from gradschool.cli.main import build_app
from gradschool.errors import PackError, UsageError
from gradschool.hints import cost_of, load_hints, open_hint, parse_used, read_costs, read_used
from gradschool.pack import Pack, find_pack
from gradschool.release import build_assignment

TINY_PACK = Path(__file__).parents[1] / "release" / "tiny_pack"
STAGES = find_pack(Path(__file__)).stages


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: `00_tiny/`, as a learner has it."""
    folder = tmp_path / "00_tiny"
    for name, content in build_assignment(Pack(TINY_PACK).stages[0]).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(gradschool.notebook, "_started", None)
    return folder


def test_hints_come_one_after_the_other_and_the_last_stays(folder: Path) -> None:
    levels = [open_hint(folder, "double").level for _ in range(4)]
    assert levels == [1, 2, 3, 3]
    assert read_used(folder) == {"double": 3}


def test_a_level_can_be_named_and_an_earlier_one_read_again(folder: Path) -> None:
    assert open_hint(folder, "halve", 2).text == "Divide."
    assert open_hint(folder, "halve", 1).text == "What undoes doubling?"
    assert read_used(folder) == {"halve": 2}


@pytest.mark.parametrize(("exercise", "level"), [("tripple", None), ("double", 0), ("double", 4)])
def test_a_hint_that_does_not_exist_is_a_sentence_and_no_record(
    folder: Path, exercise: str, level: int | None
) -> None:
    with pytest.raises(UsageError, match="There is no hint"):
        open_hint(folder, exercise, level)
    assert read_used(folder) == {}


def test_a_hint_that_cannot_be_recorded_is_not_shown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UsageError, match="No space left on device"):
        open_hint(folder, "double")


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b'{"double": "3"}', b'{"double": true}', b'{"double": -1}', b"[" * 100_000]
)
def test_a_record_that_is_none_counts_as_none(data: bytes) -> None:
    assert parse_used(data) == {}


def test_a_level_beyond_the_last_counts_as_the_last() -> None:
    assert parse_used(b'{"double": 99}') == {"double": 3}


@pytest.mark.parametrize(
    "text", ["hint = 3", "[[hint]]\nexercise='x'\nlevels=['a']", "[[hint]", "[[tip]]\na=1"]
)
def test_a_broken_hints_file_is_the_authors_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "hints.toml").write_text(text)
    with pytest.raises(PackError, match=r"hints\.toml"):
        load_hints(tmp_path)


def test_the_command_shows_a_hint_and_what_to_do_next(folder: Path) -> None:
    said = CliRunner().invoke(build_app(), ["hint", "double"])
    assert said.exit_code == 0
    assert "double: hint 1 of 3" in said.output
    assert "What is `x + x`?" in said.output
    assert "Ask again" in said.output
    again = CliRunner().invoke(build_app(), ["hint", "double", "--json"])
    assert json.loads(again.output)["level"] == 2


def test_the_notebook_shows_a_card(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gs.hint("scale_shift.wgsl")
    gs.hint("tripple")
    said = capsys.readouterr().out
    assert "scale_shift.wgsl: hint 1 of 3" in said
    assert "Who runs past the end?" in said
    assert "There is no hint for 'tripple'" in said


def test_costs_are_shares_that_never_fall() -> None:
    assert read_costs("") == ()
    assert read_costs("0,0.1,0.25") == (0.0, 0.1, 0.25)
    for wrong in ("0.5,0.1", "a", "1.5", "-0.1", "0,0,0,0", "nan"):
        with pytest.raises(UsageError, match="what hints cost"):
            read_costs(wrong)
    assert [cost_of(level, (0.0, 0.1, 0.25)) for level in (0, 1, 2, 3)] == [0, 0, 0.1, 0.25]
    assert cost_of(3, ()) == 0


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.id)
def test_every_exercise_of_a_stage_has_three_hints_from_question_to_recipe(stage) -> None:
    hints = load_hints(stage.graders)
    assert list(hints) == [exercise.id for exercise in stage.exercises]
    for exercise, levels in hints.items():
        assert levels[0].rstrip().endswith("?"), exercise
        assert all(20 <= len(level) <= 400 for level in levels), exercise
        assert len(set(levels)) == 3, exercise
