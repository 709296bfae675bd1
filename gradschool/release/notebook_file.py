"""Lesson cells to a notebook, as nbformat 4.5 JSON with nbgrader's metadata.

The JSON is written here, in the form nbformat writes it, so that building assignments needs
no Jupyter. The same lesson always gives the same bytes: cell ids come from what a cell is for,
or from its text, never from chance or a clock.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from gradschool.errors import PackError
from gradschool.lesson_file import Cell
from gradschool.pack import Stage
from gradschool.release.stubs import stub_function

NBGRADER_SCHEMA = 3

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def grade_id(exercise: str) -> str:
    """Return nbgrader's id of an exercise's grade cell: no dots (`softmax_forward_wgsl`)."""
    return exercise.replace(".", "_")


def solution_id(exercise: str) -> str:
    """Return nbgrader's id of the cell in which an exercise is written."""
    return f"{grade_id(exercise)}_solution"


def build_notebook(stage: Stage, *, with_solutions: bool = False) -> dict[str, Any]:
    """Return a stage's notebook as parsed JSON.

    Args:
        stage: The stage, in an author's checkout.
        with_solutions: Keep the reference between nbgrader's BEGIN and END SOLUTION lines, and
            leave out what `nbgrader generate_assignment` adds: locks and checksums.

    Raises:
        PackError: An exercise has no check cell or several, or two cells share an id.
    """
    _require_checks(stage)
    points = {exercise.id: exercise.points for exercise in stage.exercises}
    counts: dict[str, int] = {}
    cells = [_build_cell(cell, points, counts, with_solutions) for cell in stage.cells]
    _require_unique(stage, cells)
    return {
        "cells": cells,
        "metadata": {
            "gradschool": {"stage": stage.id},
            "kernelspec": dict(KERNELSPEC),
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def write_notebook(notebook: dict[str, Any]) -> bytes:
    """Return the notebook's file, byte for byte as nbformat would write it."""
    on_disk = dict(notebook)
    on_disk["cells"] = [
        cell | {"source": cell["source"].splitlines(keepends=True)} for cell in on_disk["cells"]
    ]
    text = json.dumps(on_disk, ensure_ascii=False, indent=1, sort_keys=True, separators=(",", ": "))
    return (text + "\n").encode()


def checksum(cell: dict[str, Any]) -> str:
    """Return nbgrader's checksum of a cell, with which it sees that a locked cell was changed."""
    meta = cell["metadata"]["nbgrader"]
    locked = meta["grade"] or meta["locked"]
    parts = [cell["source"], cell["cell_type"], meta["grade"], meta["solution"]]
    parts += [locked and not meta["solution"], meta["grade_id"]]
    if meta["grade"]:
        parts.append(float(meta["points"]))
    text = "".join(str(part) for part in parts)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _build_cell(
    cell: Cell, points: dict[str, int], counts: dict[str, int], with_solutions: bool
) -> dict[str, Any]:
    if cell.role == "markdown":
        return {
            "cell_type": "markdown",
            "id": _text_id("text", cell.source, counts),
            "metadata": {"tags": list(cell.tags)} if cell.tags else {},
            "source": cell.source,
        }
    source = cell.source
    if cell.role == "solution" and cell.exercise and not with_solutions:
        source = stub_function(source, cell.exercise)
    metadata: dict[str, Any] = {"gradschool": _role(cell)}
    tags = list(cell.tags)
    if cell.role == "demo":
        # A demo of something not written yet fails; "Run All" goes on to the checks behind it.
        tags.append("raises-exception")
    if tags:
        metadata["tags"] = tags
    built = {
        "cell_type": "code",
        "execution_count": None,
        "id": _cell_id(cell, counts),
        "metadata": metadata,
        "outputs": [],
        "source": source,
    }
    nbgrader = _nbgrader_metadata(cell, points, counts)
    if nbgrader:
        metadata["nbgrader"] = nbgrader
        if not with_solutions:
            _lock(built)
    return built


def _role(cell: Cell) -> dict[str, str]:
    return {"role": cell.role} | ({"exercise": cell.exercise} if cell.exercise else {})


def _nbgrader_metadata(cell: Cell, points: dict[str, int], counts: dict[str, int]) -> dict[str, Any]:
    meta: dict[str, Any] = {
        "grade": False,
        "locked": False,
        "schema_version": NBGRADER_SCHEMA,
        "solution": False,
        "task": False,
    }
    if cell.role == "check" and cell.exercise:
        return meta | {
            "grade": True,
            "grade_id": grade_id(cell.exercise),
            "locked": True,
            "points": points[cell.exercise],
        }
    if cell.role == "solution" and cell.exercise:
        return meta | {"grade_id": solution_id(cell.exercise), "solution": True}
    if cell.role in ("setup", "code"):
        # What every exercise needs is restored when a learner breaks it.
        word = "setup" if cell.role == "setup" else "given"
        return meta | {"grade_id": _numbered(f"nbgrader-{word}", word, counts), "locked": True}
    return {}


def _lock(cell: dict[str, Any]) -> None:
    """Add what `nbgrader generate_assignment` adds."""
    meta = cell["metadata"]["nbgrader"]
    cell["metadata"]["deletable"] = False
    if not meta["solution"]:
        cell["metadata"]["editable"] = False
    meta["checksum"] = checksum(cell)
    meta["cell_type"] = cell["cell_type"]


def _cell_id(cell: Cell, counts: dict[str, int]) -> str:
    if cell.exercise:
        return f"{grade_id(cell.exercise)}-{cell.role}"[-64:]
    return _text_id(cell.role, cell.source, counts)


def _text_id(word: str, source: str, counts: dict[str, int]) -> str:
    digest = hashlib.sha256(source.encode()).hexdigest()[:8]
    return _numbered(f"id-{word}-{digest}", f"{word}-{digest}", counts)


def _numbered(key: str, name: str, counts: dict[str, int]) -> str:
    counts[key] = counts.get(key, 0) + 1
    return name if counts[key] == 1 else f"{name}_{counts[key]}"


def _require_checks(stage: Stage) -> None:
    checked = [cell.exercise for cell in stage.cells if cell.role == "check"]
    for exercise in stage.exercises:
        found = checked.count(exercise.id)
        if found != 1:
            raise PackError(
                f"{stage.lesson}: {exercise.id} has {found} check cells; it needs exactly one.",
                help=f'Add a cell tagged "check" that holds gs.check("{exercise.id}"), or take one away.',
            )
    known = {exercise.id for exercise in stage.exercises}
    for name in checked:
        if name not in known:
            raise PackError(
                f"{stage.lesson}: a check cell names {name!r}, which is no exercise of {stage.id}."
            )


def _require_unique(stage: Stage, cells: list[dict[str, Any]]) -> None:
    grade_ids = [cell["metadata"]["nbgrader"]["grade_id"] for cell in cells if "nbgrader" in cell["metadata"]]
    for name in grade_ids + [cell["id"] for cell in cells]:
        if grade_ids.count(name) > 1 or [cell["id"] for cell in cells].count(name) > 1:
            raise PackError(
                f"{stage.lesson}: two cells would be called {name!r}.", help="Rename an exercise."
            )
