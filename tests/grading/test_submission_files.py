"""A submission is read as data: broken parts are named, the rest is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gradschool.grading.submission_files import MAX_KERNEL_BYTES, parse_notebook, read_submission
from gradschool.pack import Pack

STAGE = Pack(Path(__file__).parents[2]).stage("00_first_kernel")
NOTEBOOK = f"{STAGE.id}.ipynb"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / NOTEBOOK).write_text(json.dumps({"cells": [code("x = 1")], "nbformat": 4}))
    for path in STAGE.kernels:
        (tmp_path / path.name).write_text("// kernel\n")
    return tmp_path


def code(source, **metadata) -> dict:
    return {"cell_type": "code", "source": source, "metadata": metadata}


def problems_of(folder: Path) -> str:
    return "\n".join(read_submission(folder, STAGE).problems)


def test_a_whole_submission_has_no_problems(folder: Path) -> None:
    files = read_submission(folder, STAGE)
    assert files.problems == []
    assert files.cells is not None
    assert [cell.source for cell in files.cells] == ["x = 1"]
    assert set(files.kernels) == {path.name for path in STAGE.kernels}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ("", "not valid JSON"),
        ("[1, 2]", "no cells"),
        ('{"cells": 3}', "no cells"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_a_broken_notebook_keeps_the_kernels(folder: Path, text: str, words: str) -> None:
    (folder / NOTEBOOK).write_text(text)
    files = read_submission(folder, STAGE)
    assert files.cells is None
    assert words in files.problems[0]
    assert len(files.kernels) == len(STAGE.kernels)


def test_bytes_that_are_no_text_are_no_notebook(folder: Path) -> None:
    (folder / NOTEBOOK).write_bytes(b"\xff\xfe\x00\x01")
    assert "not valid JSON" in problems_of(folder)


def test_missing_and_empty_kernels_are_named(folder: Path) -> None:
    (folder / "row_sum.wgsl").unlink()
    (folder / "row_max.wgsl").write_text("")
    text = problems_of(folder)
    assert "row_sum.wgsl is missing" in text
    assert "row_max.wgsl is empty" in text


def test_a_link_is_never_followed(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.wgsl"
    secret.write_text("another student's work")
    (folder / "row_sum.wgsl").unlink()
    (folder / "row_sum.wgsl").symlink_to(secret)
    files = read_submission(folder, STAGE)
    assert "row_sum.wgsl" not in files.kernels
    assert "not a regular file" in "\n".join(files.problems)


def test_a_folder_in_place_of_a_file_is_named(folder: Path) -> None:
    (folder / NOTEBOOK).unlink()
    (folder / NOTEBOOK).mkdir()
    assert "not a regular file" in problems_of(folder)


def test_a_huge_kernel_is_not_read(folder: Path) -> None:
    (folder / "row_sum.wgsl").write_text("/" * (MAX_KERNEL_BYTES + 1))
    assert "row_sum.wgsl has" in problems_of(folder)


def test_another_notebook_name_is_accepted_and_said(folder: Path) -> None:
    (folder / NOTEBOOK).rename(folder / "mine.ipynb")
    files = read_submission(folder, STAGE)
    assert files.cells is not None
    assert "mine.ipynb" in files.problems[0]


def test_a_digest_changes_with_every_file(folder: Path) -> None:
    before = read_submission(folder, STAGE).digest
    (folder / "row_sum.wgsl").write_text("// another\n")
    after = read_submission(folder, STAGE).digest
    assert before != after


def test_roles_come_from_tags_and_grade_cells() -> None:
    cells = [
        code("a"),
        code("b", tags=["demo"]),
        code("c", nbgrader={"grade": True, "grade_id": "x"}),
        code("d", gradschool={"role": "setup"}),
        {"cell_type": "markdown", "source": "e"},
    ]
    found = parse_notebook(json.dumps({"cells": cells}).encode(), "n.ipynb", [])
    assert [cell.role for cell in found or []] == ["code", "demo", "check", "setup"]


def test_odd_cells_are_survived_and_named() -> None:
    copies = [code("a", nbgrader={"grade_id": "x"}), code(["b", 3], nbgrader={"grade_id": "x"})]
    problems: list[str] = []
    found = parse_notebook(json.dumps({"cells": [1, *copies, {"cell_type": "code"}]}).encode(), "n", problems)
    assert [cell.source for cell in found or []] == ["a", "b", ""]
    assert any("not a cell" in text for text in problems)
    assert any("copy of the cell x" in text for text in problems)
