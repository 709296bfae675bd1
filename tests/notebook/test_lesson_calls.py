from __future__ import annotations

from pathlib import Path

import pytest

import gradschool as gs
import gradschool.notebook.trial
from gradschool.errors import KernelError, UsageError
from gradschool.notebook import CheckFailed
from gradschool.notebook.place import find_place


def cell(source: str, namespace: dict) -> object:
    """Run the source of a notebook cell, as a kernel does."""
    namespace.setdefault("gs", gs)
    code = compile(source, "<cell>", "exec")
    exec(code, namespace)
    return namespace.get("result")


DOUBLE = "import numpy as np\ndef double(x):\n    return np.asarray(x) * {}\n"


def test_start_finds_the_folder_and_says_nothing(
    stage_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cell('result = gs.start("00_tiny")', {}) is None
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("steps", ["..", "../.."])
def test_start_works_from_the_folders_above(
    stage_folder: Path, monkeypatch: pytest.MonkeyPatch, steps: str
) -> None:
    course = stage_folder.parent / "course" / "assignments"
    course.mkdir(parents=True)
    stage_folder.rename(course / "00_tiny")
    monkeypatch.chdir(course / "00_tiny" / steps)
    assert find_place("00_tiny", {}).folder == (course / "00_tiny").resolve()


def test_start_somewhere_else_says_what_to_do(
    stage_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir("/")
    cell('gs.start("00_tiny")', {})
    said = capsys.readouterr().out
    assert "The folder of 00_tiny was not found" in said
    assert "Open the notebook in its own folder" in said


def test_the_folder_can_be_named(stage_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    monkeypatch.setenv("GRADSCHOOL_STAGE_FOLDER", str(stage_folder))
    assert find_place("00_tiny", {}).folder == stage_folder.resolve()


def test_check_judges_what_the_notebook_defined(
    stage_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    namespace: dict = {}
    cell('gs.start("00_tiny")\n' + DOUBLE.format(2), namespace)
    assert cell('result = gs.check("double")', namespace) is None
    assert capsys.readouterr() == ("✓ double: the check passed\n", "")


def test_check_of_a_wrong_function_shows_a_card_and_raises_nothing(
    stage_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    namespace: dict = {}
    cell('gs.start("00_tiny")\n' + DOUBLE.format(3) + 'gs.check("double")', namespace)
    out, err = capsys.readouterr()
    assert out.startswith("✗ double: not yet\n  ✗ double of three is six\n")
    assert err == ""


def test_check_of_a_function_that_crashes_shows_no_traceback(
    stage_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell('gs.start("00_tiny")\ndef double(x):\n    return x.nonsense\ngs.check("double")', {})
    out, err = capsys.readouterr()
    assert "AttributeError" in out
    assert "Traceback" not in out + err


def test_check_before_the_function_exists_says_which_cell_to_run(
    stage_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell('gs.start("00_tiny")\ngs.check("double")', {})
    assert "Run the cell that defines double" in capsys.readouterr().out


def test_check_without_start_finds_the_working_directory(
    stage_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell(DOUBLE.format(2) + 'gs.check("double")', {})
    assert "✓ double" in capsys.readouterr().out


def test_check_of_something_unknown_lists_what_there_is(
    stage_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell('gs.start("00_tiny")\ngs.check("tripple")', {})
    assert "There is no check for 'tripple'" in capsys.readouterr().out


def test_an_interrupted_check_shows_a_card(
    stage_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import gradschool.grading

    def hang(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(gradschool.grading, "run_checks", hang, raising=False)
    cell('gs.start("00_tiny")\ngs.check("double")', {})
    assert "Interrupted" in capsys.readouterr().out


def test_when_nbgrader_validates_a_failed_check_is_an_error(
    stage_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBGRADER_EXECUTION", "validate")
    cell('gs.start("00_tiny")\n' + DOUBLE.format(2) + 'gs.check("double")', {})
    with pytest.raises(CheckFailed, match="double of three is six"):
        cell('gs.start("00_tiny")\n' + DOUBLE.format(3) + 'gs.check("double")', {})


def test_an_author_runs_the_lesson_as_a_script(
    stage_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(__file__).parents[1] / "release" / "tiny_pack"
    namespace = {"__file__": str(root / "solutions" / "00_tiny" / "lesson.py")}
    cell('gs.start("00_tiny")\ngs.check("double")\ngs.show_kernel("scale_shift.wgsl")', namespace)
    path = cell('result = gs.kernel("scale_shift.wgsl").path', namespace)
    assert path == root / "shaders" / "00_tiny" / "scale_shift.wgsl"
    assert capsys.readouterr() == ("", "")


def test_an_unknown_kernel_is_answered_with_a_guess(stage_folder: Path) -> None:
    with pytest.raises(UsageError, match=r"Did you mean scale_shift\.wgsl"):
        cell('gs.start("00_tiny")\ngs.kernel("scale_shft.wgsl")', {})


def test_a_kernel_outside_the_folder_is_refused(stage_folder: Path) -> None:
    (stage_folder.parent / "other.wgsl").write_text("// other")
    with pytest.raises(UsageError, match="There is no kernel"):
        cell('gs.start("00_tiny")\ngs.kernel("../other.wgsl")', {})


def test_a_changed_kernel_is_read_again(stage_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gradschool.gpu

    loads: list[str] = []

    monkeypatch.setattr(gradschool.notebook.trial, "try_out", lambda kernel, values: None)

    def load_kernel(path: Path):
        loads.append(path.read_text())
        return lambda **arguments: len(loads)

    monkeypatch.setattr(gradschool.gpu, "load_kernel", load_kernel, raising=False)
    kernel = stage_folder / "scale_shift.wgsl"
    kernel.write_text(kernel.read_text().replace("// YOUR CODE HERE", "let i = 0u;"))
    namespace: dict = {}
    cell('gs.start("00_tiny")\nscale = gs.kernel("scale_shift")\nscale(x=1)\nresult = scale(x=1)', namespace)
    assert namespace["result"] == 1
    kernel.write_text("// changed")
    assert cell("result = scale(x=1)", namespace) == 2


def test_an_empty_kernel_is_called_unwritten_instead_of_giving_zeros(
    stage_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import gradschool.gpu

    monkeypatch.setattr(gradschool.gpu, "load_kernel", lambda path: lambda **_: 0, raising=False)
    with pytest.raises(KernelError, match=r"scale_shift\.wgsl is not written yet"):
        cell('gs.start("00_tiny")\ngs.kernel("scale_shift.wgsl")(x=1)', {})


def test_show_kernel_numbers_the_lines(stage_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cell('gs.start("00_tiny")\nresult = gs.show_kernel("scale_shift.wgsl")', {}) is None
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "scale_shift.wgsl"
    assert lines[1] == " 1 | // scale_shift: out[i] = alpha * x[i] + beta"


def test_a_kernel_of_another_stage_is_found_beside_this_one(stage_folder: Path) -> None:
    other = stage_folder.parent / "01_other"
    other.mkdir()
    (other / "negate.wgsl").write_text("// written")
    (stage_folder.parent / "notes").mkdir()
    (stage_folder.parent / "notes" / "stray.wgsl").write_text("// written")
    place = find_place("00_tiny", {})
    assert place.kernel("negate").parent.name == "01_other"
    assert place.kernel("scale_shift.wgsl").parent == place.folder
    for stray in ("stray.wgsl", "../01_other/negate.wgsl"):
        with pytest.raises(UsageError, match="There is no kernel"):
            place.kernel(stray)


def test_a_failed_check_says_where_a_hint_is(stage_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cell(DOUBLE.format(3) + 'gs.check("double")', {})
    assert 'gs.hint("double")' in capsys.readouterr().out
    cell(DOUBLE.format(2) + 'gs.check("double")', {})
    assert "gs.hint" not in capsys.readouterr().out
