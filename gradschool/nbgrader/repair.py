"""A submitted notebook made fit for nbgrader: read what can be read, put grade cells back.

nbgrader drops a whole submission for a copied cell, a deleted pair of cells, a malformed
`grade_id` or a file that is not JSON. Grading does not depend on any of these, since hidden
tests call functions by name; only the places where scores are written do. So the metadata is
taken from the released notebook, and the student's cells keep their order and text.
"""

from __future__ import annotations

import copy
import json
import re
from typing import Any

Cell = dict[str, Any]

_CELL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_TAG = re.compile(r"[\w-]+")


def repair_notebook(text: str, released: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a notebook that nbgrader can process, and what was wrong with the submitted one.

    Args:
        text: The submitted file.
        released: The notebook that students received, as parsed JSON.
    """
    notes: list[str] = []
    raw_cells, reason = _read_cells(text)
    if raw_cells is None:
        note = (
            f"This notebook could not be read: {reason}. Below is the released one; nothing in it is yours."
        )
        notes.append(note)
        cells = [_note_cell(note), *copy.deepcopy(released["cells"])]
    else:
        cells = [cell for cell in map(_plain_cell, raw_cells) if cell is not None]
        if len(cells) < len(raw_cells):
            notes.append(f"{len(raw_cells) - len(cells)} cells were no cells and were left out.")
        cells = _attach(cells, released["cells"], notes)
    _give_ids(cells)
    notebook = {
        "cells": cells,
        "metadata": copy.deepcopy(released["metadata"]),
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return notebook, notes


def _read_cells(text: str) -> tuple[list[Any] | None, str]:
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        return None, f"it is not valid JSON{where}"
    if not isinstance(notebook, dict):
        return None, "it is JSON, but no notebook"
    cells = notebook.get("cells")
    if not isinstance(cells, list):
        return None, "it has no cells"
    return cells, ""


def _plain_cell(raw: Any) -> Cell | None:
    """Return the cell with nothing but what nbformat knows, its outputs gone; None if it is no cell."""
    if not isinstance(raw, dict) or raw.get("cell_type") not in ("code", "markdown", "raw"):
        return None
    source = raw.get("source", "")
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    cell: Cell = {
        "cell_type": raw["cell_type"],
        "id": raw.get("id"),
        "metadata": _plain_metadata(raw.get("metadata")),
        "source": source if isinstance(source, str) else "",
    }
    return _as_type(cell, raw["cell_type"])


def _plain_metadata(raw: Any) -> dict[str, Any]:
    """Keep what matters here; what is malformed would make nbformat refuse the notebook."""
    raw = raw if isinstance(raw, dict) else {}
    kept = {
        key: copy.deepcopy(raw[key]) for key in ("nbgrader", "gradschool") if isinstance(raw.get(key), dict)
    }
    tags = raw.get("tags")
    if isinstance(tags, list):
        kept["tags"] = list(
            dict.fromkeys(tag for tag in tags if isinstance(tag, str) and _TAG.fullmatch(tag))
        )
    return kept


def _as_type(cell: Cell, cell_type: str) -> Cell:
    cell["cell_type"] = cell_type
    if cell_type == "code":
        cell |= {"outputs": [], "execution_count": None}
    else:
        cell.pop("outputs", None)
        cell.pop("execution_count", None)
    return cell


def _attach(cells: list[Cell], released: list[Cell], notes: list[str]) -> list[Cell]:
    """Give each released slot to one of the student's cells, and put missing grade cells back."""
    slots = {_grade_id(cell): cell for cell in released if _grade_id(cell)}
    by_cell_id = {cell["id"]: _grade_id(cell) for cell in slots.values()}
    taken: dict[str, Cell] = {}
    # From the end: of a copied cell the last one counts, as it does when Python runs it.
    for cell in reversed(cells):
        name = _grade_id(cell)
        if name not in slots:
            name = by_cell_id.get(cell["id"], "")
        cell["metadata"].pop("nbgrader", None)
        if not name:
            continue
        if name in taken:
            notes.append(f"The cell {name} was there twice; the last one counts.")
            cell["id"] = None  # the name belongs to the one that counts
            continue
        _take(cell, slots[name])
        taken[name] = cell
    return _put_back(cells, slots, taken, notes)


def _take(cell: Cell, slot: Cell) -> None:
    cell["id"] = slot["id"]
    cell["metadata"] = copy.deepcopy(slot["metadata"])
    _as_type(cell, slot["cell_type"])
    if not slot["metadata"]["nbgrader"]["solution"]:
        cell["source"] = slot["source"]


def _put_back(
    cells: list[Cell], slots: dict[str, Cell], taken: dict[str, Cell], notes: list[str]
) -> list[Cell]:
    """Insert each missing grade cell behind the nearest earlier slot that is there."""
    position = 0
    for name, slot in slots.items():
        if name in taken:
            position = next(i for i, cell in enumerate(cells) if cell is taken[name]) + 1
        elif slot["metadata"]["nbgrader"]["grade"]:
            cells.insert(position, copy.deepcopy(slot))
            position += 1
            notes.append(f"The grade cell {name} was missing and was put back.")
    return cells


def _grade_id(cell: Cell) -> str:
    nbgrader = cell["metadata"].get("nbgrader")
    name = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
    return name if isinstance(name, str) else ""


def _note_cell(note: str) -> Cell:
    return {"cell_type": "markdown", "id": "gradschool-note", "metadata": {}, "source": f"**{note}**"}


def _give_ids(cells: list[Cell]) -> None:
    """Every cell needs an id of its own; a copied cell may have brought another's."""
    seen: set[str] = set()
    for index, cell in enumerate(cells):
        name = cell.get("id")
        if not isinstance(name, str) or not _CELL_ID.fullmatch(name) or name in seen:
            cell["id"] = name = f"cell-{index}-of-submission"
        seen.add(name)
