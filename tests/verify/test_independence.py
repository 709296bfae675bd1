"""An exercise that drags another down is found, and only those that use it are asked."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gradschool.grading.options import GradeOptions
from gradschool.grading.session import GradingSession
from gradschool.grading.version import needed_functions
from gradschool.pack import Pack
from gradschool.verify.proofs import Proof, _prove_without

TINY_PACK = Path(__file__).parents[1] / "release" / "tiny_pack"


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    """A pack in which one exercise is written with the other."""
    root = tmp_path / "pack"
    shutil.copytree(TINY_PACK, root, ignore=shutil.ignore_patterns("__pycache__"))
    lesson = root / "solutions/00_tiny/lesson.py"
    text = lesson.read_text()
    assert "as_float(x) / 2.0" in text
    lesson.write_text(text.replace("as_float(x) / 2.0", "double(x) / 4.0"))
    return Pack(root)


def test_what_an_exercise_uses_is_read_from_its_text(pack: Pack) -> None:
    needed = needed_functions(pack.stages[0])
    assert {"double", "as_float"} <= needed["halve"]
    assert "halve" not in needed["double"]


def test_an_exercise_that_is_not_written_costs_nobody_else(pack: Pack) -> None:
    with GradingSession(pack, options=GradeOptions(device="interpreter")) as session:
        outcome = _prove_without(session, pack.stages[0], Proof("00_tiny", "without", "double"))
    assert outcome.faults == []


def test_one_that_drags_another_down_is_found(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        GradingSession, "_look_again", lambda self, stack, bench, files, found, earlier: found
    )
    with GradingSession(pack, options=GradeOptions(device="interpreter")) as session:
        outcome = _prove_without(session, pack.stages[0], Proof("00_tiny", "without", "double"))
    assert [fault.split(":")[0] for fault in outcome.faults] == ["without double"]
