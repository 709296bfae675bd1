"""Read what a student handed in, and lose nothing that can be used.

A submission is a folder: one notebook and kernel files. It is data here; nothing of it is
imported or executed in this process.
"""

from __future__ import annotations

import hashlib
import json
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradschool.hints import read_used
from gradschool.pack import Stage

MAX_NOTEBOOK_BYTES = 32 * 2**20
MAX_KERNEL_BYTES = 64 * 2**10
MAX_CELLS = 2_000
_MAX_PROBLEMS = 30
_MAX_PROBLEM_CHARS = 400


@dataclass(frozen=True)
class SourceCell:
    """One code cell of a submission.

    Attributes:
        role: `demo` and `check` cells are not run while grading.
    """

    index: int
    id: str
    role: str
    source: str


@dataclass
class SubmissionFiles:
    """A submission as data.

    Attributes:
        cells: Code cells in order; None when there is no readable notebook.
        kernels: WGSL text by file name.
        problems: Sentences for the student about what could not be used.
        hints: Highest level of hint opened, by exercise.
        digest: SHA-256 of everything that was read.
    """

    cells: list[SourceCell] | None = None
    kernels: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    hints: dict[str, int] = field(default_factory=dict)
    digest: str = ""


def read_submission(folder: Path, stage: Stage) -> SubmissionFiles:
    """Read the notebook and the kernels of `stage` from `folder`."""
    files = SubmissionFiles()
    digest = hashlib.sha256()
    notebook = _find_notebook(folder, stage.id, files.problems)
    if notebook is not None:
        data = _read_bytes(notebook, MAX_NOTEBOOK_BYTES, files.problems)
        if data is not None:
            digest.update(data)
            files.cells = parse_notebook(data, notebook.name, files.problems)
    for kernel in stage.kernels:
        path = folder / kernel.name
        if not path.is_symlink() and not path.exists():
            files.problems.append(f"{kernel.name} is missing.")
            continue
        data = _read_bytes(path, MAX_KERNEL_BYTES, files.problems)
        if data is not None:
            digest.update(kernel.name.encode() + b"\0" + data)
            files.kernels[kernel.name] = data.decode("utf-8-sig", errors="replace")
            if not data.strip():
                files.problems.append(f"{kernel.name} is empty.")
    files.hints = read_used(folder)
    if files.hints:
        digest.update(repr(sorted(files.hints.items())).encode())
    files.digest = digest.hexdigest()
    files.problems = brief(files.problems)
    return files


def brief(problems: list[str]) -> list[str]:
    """Cut what a submission can make as long and as many as it likes: names of files, cells and errors."""
    different = list(dict.fromkeys(_plain(problem[:_MAX_PROBLEM_CHARS]) for problem in problems))
    n_more = len(different) - _MAX_PROBLEMS
    return [*different[:_MAX_PROBLEMS], *([f"There are {n_more:,} more problems like these."] * (n_more > 0))]


def parse_notebook(data: bytes, name: str, problems: list[str]) -> list[SourceCell] | None:
    """Return the code cells of notebook bytes, or None with a problem noted."""
    try:
        notebook: Any = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        problems.append(
            f"{name} is not a notebook: it is not valid JSON{where}. Open it in JupyterLab, save it and hand it in again."
        )
        return None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        problems.append(f"{name} has no cells. Start again from the released notebook.")
        return None
    if len(cells) > MAX_CELLS:
        problems.append(f"{name} has {len(cells)} cells; the first {MAX_CELLS} were read.")
    found = []
    grade_ids: set[str] = set()
    for index, cell in enumerate(cells[:MAX_CELLS]):
        if not isinstance(cell, dict):
            problems.append(f"Cell {index + 1} of {name} is not a cell and was left out.")
            continue
        _note_duplicate(cell, grade_ids, index, problems)
        if cell.get("cell_type") == "code":
            found.append(SourceCell(index, _plain(str(cell.get("id", ""))[:64]), _role(cell), _source(cell)))
    return found


def _note_duplicate(cell: dict[str, Any], seen: set[str], index: int, problems: list[str]) -> None:
    grade_id = _dict(_dict(cell.get("metadata")).get("nbgrader")).get("grade_id")
    if isinstance(grade_id, str):
        if grade_id in seen:
            problems.append(
                f"Cell {index + 1} is a copy of the cell {grade_id}; the last definition of a function counts."
            )
        seen.add(grade_id)


def _role(cell: dict[str, Any]) -> str:
    metadata = _dict(cell.get("metadata"))
    if _dict(metadata.get("nbgrader")).get("grade") is True:
        return "check"
    role = _dict(metadata.get("gradschool")).get("role")
    tags = metadata.get("tags")
    marks = [role, *(tags if isinstance(tags, list) else [])]
    return next((mark for mark in ("check", "demo", "setup") if mark in marks), "code")


def _source(cell: dict[str, Any]) -> str:
    source = cell.get("source", "")
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    return _plain(source) if isinstance(source, str) else ""


def _plain(text: str) -> str:
    """Replace halves of surrogate pairs, which JSON and file names can hold and no record can."""
    return text.encode("utf-8", "replace").decode()


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _find_notebook(folder: Path, stage_id: str, problems: list[str]) -> Path | None:
    named = folder / f"{stage_id}.ipynb"
    if named.exists() or named.is_symlink():
        return named
    others = sorted(path for path in folder.glob("*.ipynb"))
    if len(others) == 1:
        problems.append(
            f"The notebook is called {others[0].name}; {stage_id}.ipynb was expected. It was graded."
        )
        return others[0]
    problems.append(
        f"There is no notebook {stage_id}.ipynb."
        + (f" Which of {', '.join(path.name for path in others[:5])} is it?" if others else "")
    )
    return None


def _read_bytes(path: Path, limit: int, problems: list[str]) -> bytes | None:
    """Read a regular file of at most `limit` bytes; a link could point at anyone's work."""
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            problems.append(f"{path.name} is not a regular file and was not read.")
            return None
        if status.st_size > limit:
            problems.append(f"{path.name} has {status.st_size} bytes; at most {limit} are read.")
            return None
        return path.read_bytes()
    except OSError as error:
        problems.append(f"{path.name} cannot be read: {error.strerror}.")
        return None
