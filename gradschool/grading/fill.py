"""Answers as text: take them out of a lesson, put them into a notebook.

The reference, a misconception and a differently written answer are each a set of function
sources. Put into the notebook that learners receive, each becomes an ordinary submission.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from gradschool.errors import PackError
from gradschool.lesson_file import BEGIN_SOLUTION, END_SOLUTION, top_level_functions
from gradschool.pack import Stage


def reference_functions(stage: Stage) -> dict[str, str]:
    """Return the source of each reference function, in the lesson's order, markers removed.

    The source is the whole solution cell, so that a constant beside the function travels too.
    """
    return {
        cell.exercise: remove_markers(cell.source)
        for cell in stage.cells
        if cell.role == "solution" and cell.exercise
    }


def reference_kernels(stage: Stage) -> dict[str, str]:
    """Return the text of each reference kernel by file name, markers removed."""
    return {path.name: remove_markers(path.read_text(encoding="utf-8")) for path in stage.kernels}


def remove_markers(source: str) -> str:
    """Drop the lines that mark a solution's begin and end, and keep the solution."""
    markers = {f"{leader} {word}" for leader in ("###", "//") for word in (BEGIN_SOLUTION, END_SOLUTION)}
    kept = [line for line in source.splitlines() if line.strip() not in markers]
    return "\n".join(kept) + ("\n" if source.endswith("\n") else "")


def fill_notebook(notebook: Mapping[str, Any], functions: Mapping[str, str]) -> dict[str, Any]:
    """Return a copy of `notebook` in which the named functions' cells hold the given sources.

    Cells of functions that are not named stay as they are, and the notebook's other cells,
    metadata and ids are untouched.

    Args:
        notebook: A notebook as parsed JSON, normally a released assignment.
        functions: Source by function name.

    Raises:
        PackError: No code cell of the notebook defines one of the functions.
    """
    filled = copy.deepcopy(dict(notebook))
    places: dict[str, dict[str, Any]] = {}
    for cell in filled.get("cells", []):
        if cell.get("cell_type") == "code":
            for name in defined_functions(cell_source(cell)):
                places.setdefault(name, cell)
    for name, source in functions.items():
        if name not in places:
            raise PackError(
                f"The notebook has no cell that defines {name}.",
                help="Build the assignment again with `gradschool release`.",
            )
        _set_source(places[name], source.strip("\n"))
    return filled


def cell_source(cell: Mapping[str, Any]) -> str:
    """Return a notebook cell's text; on disk it is a string or a list of lines."""
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def defined_functions(source: str) -> tuple[str, ...]:
    """Return the names of the top-level functions of `source`; none if it is no plain Python."""
    try:
        return top_level_functions(source)
    except SyntaxError:  # a cell with a magic
        return ()


def _set_source(cell: dict[str, Any], source: str) -> None:
    as_lines = isinstance(cell.get("source"), list)
    cell["source"] = source.splitlines(keepends=True) if as_lines else source
    # What an old version of the cell printed says nothing about the new one.
    cell["outputs"] = []
    cell["execution_count"] = None
