"""nbformat and nbgrader agree with what is written here without them."""

from __future__ import annotations

import nbformat
import pytest
from nbgrader.nbgraderformat import MetadataValidator
from nbgrader.utils import compute_checksum

from gradschool.pack import Stage
from gradschool.release import build_assignment, build_notebook, write_notebook


@pytest.fixture
def released(tiny: Stage) -> nbformat.NotebookNode:
    return nbformat.reads(build_assignment(tiny)["00_tiny.ipynb"].decode(), as_version=4)


def test_nbformat_accepts_the_notebook(released: nbformat.NotebookNode) -> None:
    nbformat.validate(released)


def test_the_file_is_byte_for_byte_what_nbformat_writes(tiny: Stage) -> None:
    content = build_assignment(tiny)["00_tiny.ipynb"].decode()
    assert nbformat.writes(nbformat.reads(content, as_version=4)) + "\n" == content


def test_nbgrader_accepts_the_metadata(released: nbformat.NotebookNode) -> None:
    MetadataValidator().validate_nb(released)


def test_checksums_are_nbgraders(released: nbformat.NotebookNode) -> None:
    checked = [cell for cell in released.cells if "nbgrader" in cell.metadata]
    assert len(checked) == 7
    for cell in checked:
        assert cell.metadata.nbgrader.checksum == compute_checksum(cell), cell.id


def test_grade_cells_are_locked_and_carry_the_points_of_their_exercise(
    tiny: Stage, released: nbformat.NotebookNode
) -> None:
    points = {
        cell.metadata.nbgrader.grade_id: cell.metadata.nbgrader.points
        for cell in released.cells
        if cell.metadata.get("nbgrader", {}).get("grade")
    }
    assert points == {"double": 3, "halve": 2, "scale_shift_wgsl": 3}
    assert sum(points.values()) == tiny.max_score


def test_roles_are_in_the_metadata_for_the_loader(released: nbformat.NotebookNode) -> None:
    roles = [cell.metadata.gradschool.role for cell in released.cells if cell.cell_type == "code"]
    assert roles == ["setup", "code", "solution", "check", "solution", "check", "demo", "check", "demo"]


def test_demo_cells_stay_editable_and_everything_needed_is_locked(released: nbformat.NotebookNode) -> None:
    for cell in released.cells:
        if cell.cell_type == "code":
            locked = cell.metadata.gradschool.role in ("setup", "code", "check")
            assert (cell.metadata.get("editable") is False) == locked, cell.id


def test_the_source_notebook_has_solutions_and_no_locks(tiny: Stage) -> None:
    text = write_notebook(build_notebook(tiny, with_solutions=True)).decode()
    assert text.count("### BEGIN SOLUTION") == 2
    assert '"editable"' not in text
    assert "checksum" not in text
