"""Open sessions over several stages: each judges by its own tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gradschool.grading.host import Host, split_name
from gradschool.grading.workplace import find_target

CHECK = """
import pytest

@pytest.mark.exercise("{exercise}")
def test_{exercise}_is_right():
    assert "{exercise}" == "double", "{exercise} says so"
"""


@pytest.fixture
def stages(tmp_path: Path) -> list[Path]:
    """Two stages whose checks have one file name."""
    folders = []
    for stage, exercise in (("00_first", "double"), ("01_second", "halve")):
        folder = tmp_path / stage
        folder.mkdir()
        (folder / "checks.py").write_text(CHECK.format(exercise=exercise))
        folders.append(folder)
    return folders


class Plugin:
    """Registers the mark."""

    def pytest_configure(self, config: pytest.Config) -> None:
        config.addinivalue_line("markers", "exercise(id): the exercise")


def names(host: Host) -> list[str]:
    return [split_name(item)[0] for item in host.items]


def test_files_of_one_name_are_told_apart(stages: list[Path]) -> None:
    hosts = [Host([folder / "checks.py"], Plugin()) for folder in stages]
    try:
        assert [names(host) for host in hosts] == [["test_double_is_right"], ["test_halve_is_right"]]
        assert [host.run(host.items[0]).outcome for host in hosts] == ["passed", "failed"]
    finally:
        for host in hosts:
            host.close()


def test_an_edited_file_is_read_again_and_a_module_of_that_name_is_left_alone(
    stages: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stages[0] / "checks.py"
    mine = type(sys)("checks")
    monkeypatch.setitem(sys.modules, "checks", mine)
    Host([path], Plugin()).close()
    path.write_text(CHECK.format(exercise="edited"))
    host = Host([path], Plugin())
    try:
        assert names(host) == ["test_edited_is_right"]
        assert sys.modules["checks"] is mine
    finally:
        host.close()


def test_an_exercise_of_any_stage_is_found_by_its_name(
    stages: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stages[0].parent)
    for folder, exercise in zip(stages, ("double", "halve"), strict=True):
        place = find_target(exercise)
        assert (place.folder, place.exercises) == (folder.resolve(), [exercise])
