from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from gradschool.cli import doctor


@pytest.fixture
def app() -> typer.Typer:
    """The command alone."""
    found = typer.Typer()
    doctor.register(found)
    return found


def run(app: typer.Typer, *arguments: str, device: str = "interpreter") -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments), env={"GRADSCHOOL_DEVICE": device, "COLUMNS": "200"})
    return done.exit_code, done.output


def test_the_report_names_the_device_and_why(app: typer.Typer) -> None:
    code, text = run(app)
    assert code == 0
    for words in ("built-in WGSL interpreter", "asks for it", "Ready", "sandbox", "numpy"):
        assert words in text


def test_the_same_as_json(app: typer.Typer) -> None:
    code, text = run(app, "--json")
    found = json.loads(text)
    assert (code, found["usable"], found["device"]["kind"]) == (0, True, "interpreter")
    assert set(found) == {"usable", "device", "sandbox", "versions", "extras", "course"}
    assert {"name", "available", "sentence"} == set(found["sandbox"]["protections"][0])


def test_a_device_that_is_not_there_fails_with_what_to_do(
    app: typer.Typer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradschool.gpu.drivers.loader_present", lambda: False)
    code, text = run(app, device="gpu")
    assert code == 1
    assert "libvulkan" in text
    assert "Not ready" in text


def test_a_device_that_computes_wrongly_is_not_usable(
    app: typer.Typer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradschool.gpu.interpreter_backend import InterpreterBackend

    monkeypatch.setattr(InterpreterBackend, "dispatch", lambda *args, **kwargs: None)
    code, text = run(app)
    assert code == 1
    assert "wrongly" in text


def test_a_folder_of_assignments_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from gradschool.errors import UsageError

    def no_pack() -> None:
        raise UsageError("none")

    monkeypatch.setattr("gradschool.pack.find_pack", no_pack)
    (tmp_path / "assignments" / "01_perceptron").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    course = doctor.examine()["course"]
    assert (course["kind"], course["stages"]) == ("assignments", ["01_perceptron"])


def test_a_missing_extra_comes_with_its_command(app: typer.Typer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "EXTRAS", {"lab": ("no_such_package",)})
    _, text = run(app)
    assert 'pip install -e ".[lab]"' in text
