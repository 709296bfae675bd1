from __future__ import annotations

import json
from pathlib import Path

import pytest
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from nbgrader.converters import Autograde, NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.plugins import CsvExportPlugin

from gradschool.pack import Pack
from gradschool.release import build_assignment

TINY_PACK = Path(__file__).parents[1] / "release" / "tiny_pack"
DAMAGED = ("no-checks", "copied", "corrupt", "odd-cells")
FULL = {"double": 1.5, "halve": 2.0, "scale_shift_wgsl": 3.0}


def test_nbgraders_release_is_ours_byte_for_byte(course) -> None:
    ours = build_assignment(Pack(TINY_PACK).stages[0])
    theirs = course.root / "release" / "00_tiny"
    found = {p.relative_to(theirs).as_posix(): p.read_bytes() for p in theirs.rglob("*") if p.is_file()}
    assert found == ours


def test_partial_credit_reaches_the_gradebook(course) -> None:
    assert course.scores("full") == FULL


def test_an_untouched_notebook_gets_nothing(course) -> None:
    assert set(course.scores("stub").values()) == {0.0}


@pytest.mark.parametrize("student", DAMAGED)
def test_a_damaged_notebook_keeps_what_its_code_earned(course, student: str) -> None:
    assert course.scores(student) == FULL


@pytest.mark.parametrize("student", ["not-json", "binary"])
def test_kernels_count_when_the_notebook_cannot_be_read(course, student: str) -> None:
    assert course.scores(student) == {"double": 0.0, "halve": 0.0, "scale_shift_wgsl": 3.0}
    texts = ["".join(cell["source"]) for cell in course.autograded(student)["cells"][:2]]
    assert "About this submission" in texts[0]
    assert "could not be read" in texts[1]


def test_a_notebook_without_its_functions_still_gets_its_grade_cells(course) -> None:
    assert course.scores("nothing-kept") == {"double": 0.0, "halve": 0.0, "scale_shift_wgsl": 3.0}


def test_kernels_handed_in_are_not_overwritten_by_stubs(course) -> None:
    kernel = course.root / "autograded" / "full" / "00_tiny" / "scale_shift.wgsl"
    assert "params.alpha * x[i]" in kernel.read_text()


def test_a_grade_cell_has_one_output_with_a_float_and_a_message(course) -> None:
    grade_cells = [
        cell
        for cell in course.autograded("full")["cells"]
        if cell["metadata"].get("nbgrader", {}).get("grade")
    ]
    assert len(grade_cells) == 3
    output = grade_cells[0]["outputs"]
    assert len(output) == 1
    assert output[0]["output_type"] == "execute_result"
    assert "".join(output[0]["data"]["text/plain"]) == "1.5"
    assert "Look at double &lt;again&gt;." in "".join(output[0]["data"]["text/html"])


def test_the_feedback_page_shows_the_message_and_the_score(course) -> None:
    page = (course.root / "feedback" / "full" / "00_tiny" / "00_tiny.html").read_text()
    assert "Look at double &lt;again&gt;." in page
    assert "6.5 / 8" in page.replace(".0", "") or "6.5" in page


def test_the_kernel_handed_in_can_be_read_beside_its_score(course) -> None:
    page = (course.root / "feedback" / "full" / "00_tiny" / "00_tiny.html").read_text()
    assert "scale_shift.wgsl as handed in" in page


def test_the_points_are_the_packs_whatever_a_student_wrote(course) -> None:
    with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}") as gradebook:
        assert gradebook.find_assignment("00_tiny").max_score == 8.0


def test_export_writes_every_student(course, tmp_path: Path) -> None:
    plugin = CsvExportPlugin()
    plugin.to = str(tmp_path / "grades.csv")
    with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}") as gradebook:
        plugin.export(gradebook)
    rows = (tmp_path / "grades.csv").read_text().splitlines()
    assert len(rows) == 10
    assert any("full" in row and "6.5" in row for row in rows)


def test_a_half_written_folder_is_graded_again_and_a_finished_one_is_not(course) -> None:
    full = course.root / "autograded" / "full" / "00_tiny" / "00_tiny.ipynb"
    finished = course.root / "autograded" / "copied" / "00_tiny" / "00_tiny.ipynb"
    before = finished.stat().st_mtime_ns
    full.chmod(0o644)
    # What a kill leaves: the cleaned notebook, without outputs and without the mark.
    half = json.loads(full.read_text())
    del half["metadata"]["gradschool_graded"]
    for cell in half["cells"]:
        cell.pop("outputs", None)
    full.write_text(json.dumps(half)[:500])
    course.run(Autograde)
    assert course.autograded("full")["metadata"]["gradschool_graded"]["submission"]
    assert finished.stat().st_mtime_ns == before


def test_a_folder_without_a_notebook_is_graded_again(course) -> None:
    folder = course.root / "autograded" / "stub" / "00_tiny"
    (folder / "00_tiny.ipynb").unlink()
    course.run(Autograde)
    assert (folder / "00_tiny.ipynb").exists()


def test_when_the_grader_fails_the_class_goes_on_and_the_student_is_tried_again(course) -> None:
    course.submit("unlucky", course.released(), {})
    course.submit("zz-last", course.released(), {})
    try:
        with pytest.raises(NbGraderException):
            course.run(Autograde)
        assert (course.root / "autograded" / "zz-last" / "00_tiny" / "00_tiny.ipynb").exists()
        assert not (course.root / "autograded" / "unlucky" / "00_tiny").exists()
    finally:
        import shutil

        shutil.rmtree(course.root / "submitted" / "unlucky")


def test_formgraders_interface_reads_the_course(course) -> None:
    from traitlets.config.loader import PyFileConfigLoader

    config = PyFileConfigLoader("nbgrader_config.py", path=str(course.root)).load_config()
    api = NbGraderAPI(CourseDirectory(config=config), config=config)
    found = api.get_assignment("00_tiny")
    assert found is not None
    assert found["max_score"] == 8.0
