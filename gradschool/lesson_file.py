"""Lessons as py:percent scripts: split into cells, find exercises, take solutions out.

A lesson is a plain Python file in which `# %%` starts a code cell and `# %% [markdown]` a
prose cell whose lines are comments. The text between `### BEGIN SOLUTION` and
`### END SOLUTION` is what learners write.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from gradschool.errors import PackError

BEGIN_SOLUTION = "BEGIN SOLUTION"
END_SOLUTION = "END SOLUTION"

Role = Literal["markdown", "setup", "solution", "check", "demo", "code"]

_MARKER = re.compile(r"^# %%(?P<rest>.*)$")
_TAGS = re.compile(r"tags=\[(?P<tags>[^\]]*)\]")
_CHECKED = re.compile(r"""\bcheck\(\s*["'](?P<id>[\w.]+)["']""")


@dataclass(frozen=True)
class Cell:
    """One cell of a lesson.

    Attributes:
        index: Position in the lesson, from 0.
        role: What the cell is for; only `demo` and `check` cells are skipped while grading.
        source: The cell's text without the `# %%` line; markdown without the leading `# `.
        line: Line of the file on which `source` starts, from 1.
    """

    index: int
    role: Role
    tags: tuple[str, ...]
    source: str
    line: int

    @property
    def exercise(self) -> str | None:
        """The exercise a solution cell defines or a check cell checks."""
        if self.role == "check":
            found = _CHECKED.search(self.source)
            return found["id"] if found else None
        if self.role == "solution":
            names = top_level_functions(self.source)
            return names[0] if len(names) == 1 else None
        return None


@lru_cache(maxsize=4096)  # verify fills the same notebooks thousands of times
def top_level_functions(source: str) -> tuple[str, ...]:
    """Return the names of the functions that `source` defines at its top level.

    Raises:
        SyntaxError: It is no plain Python.
    """
    return tuple(node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))


def read_cells(path: Path) -> list[Cell]:
    """Split the lesson at `path` into cells.

    Raises:
        PackError: The file is missing, holds text before its first cell, or a check or
            solution cell does not name exactly one exercise.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PackError(f"{path} cannot be read: {error.strerror}.") from error
    cells = split_cells(text, str(path))
    for cell in cells:
        if cell.role in ("check", "solution") and cell.exercise is None:
            raise PackError(
                f"{path}:{cell.line}: this {cell.role} cell does not name exactly one exercise.",
                help="Put one exercise function in a solution cell, and one check(...) call in a check cell.",
            )
    return cells


def split_cells(text: str, name: str = "lesson") -> list[Cell]:
    """Split py:percent `text` into cells; `name` is used in errors."""
    cells: list[Cell] = []
    header, start, lines = None, 0, []
    for number, line in enumerate([*text.splitlines(), "# %%"], start=1):
        found = _MARKER.match(line)
        if not found:
            lines.append(line)
            continue
        if header is not None:
            cells.append(_make_cell(len(cells), header, lines, start))
        elif any(text.strip() for text in lines):
            raise PackError(f"{name}: text stands before the first '# %%' line.")
        header, start, lines = found["rest"], number + 1, []
    return cells


def _make_cell(index: int, header: str, lines: list[str], line: int) -> Cell:
    found = _TAGS.search(header)
    tags = tuple(re.findall(r"[\w-]+", found["tags"])) if found else ()
    if "[markdown]" in header:
        text = "\n".join(re.sub(r"^# ?", "", line) for line in lines).strip("\n")
        return Cell(index, "markdown", tags, text, line)
    source = "\n".join(lines).strip("\n")
    role: Role = "code"
    if BEGIN_SOLUTION in source:
        role = "solution"
    else:
        for tag in ("setup", "check", "demo"):
            if tag in tags:
                role = tag
    return Cell(index, role, tags, source, line)


def strip_solution(source: str, placeholder: str, comment: str) -> str:
    """Replace each solution region of `source` by `placeholder`, keeping its indentation.

    Args:
        source: A code cell or a WGSL file.
        placeholder: What the learner finds there, possibly several lines; "" drops the region.
        comment: The comment leader of the markers, `###` or `//`.

    Raises:
        PackError: A region is not closed, or closed without being opened.
    """
    out: list[str] = []
    inside = False
    for line in source.splitlines():
        bare = line.strip()
        if bare == f"{comment} {BEGIN_SOLUTION}":
            if inside:
                raise PackError("A solution region opens inside another.")
            inside = True
            indent = line[: len(line) - len(line.lstrip())]
            out.extend(indent + text for text in placeholder.splitlines())
        elif bare == f"{comment} {END_SOLUTION}":
            if not inside:
                raise PackError("A solution region closes that never opened.")
            inside = False
        elif not inside:
            out.append(line)
    if inside:
        raise PackError("A solution region never closes.")
    return "\n".join(out)
