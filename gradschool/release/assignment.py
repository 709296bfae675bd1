"""One stage's assignment: every file that learners receive, made from the hidden half."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from gradschool.errors import PackError
from gradschool.hints import HINTS, USED
from gradschool.lesson_file import BEGIN_SOLUTION, END_SOLUTION
from gradschool.pack import Stage
from gradschool.release.notebook_file import build_notebook, write_notebook
from gradschool.release.stubs import stub_kernel

# What tools leave behind while an assignment is opened; neither made nor reported.
IGNORED = {"__pycache__", ".ipynb_checkpoints", ".DS_Store", "checkpoints", "english_run.npz", USED}

# Shorter lines (`)`, `else:`, `return out`) are said by everyone.
MIN_LEAK_CHARS = 12


def build_assignment(stage: Stage) -> dict[str, bytes]:
    """Return the stage's assignment: content by path relative to `assignments/NN_stage/`.

    The result depends on the pack's files alone: same files, same bytes.

    Raises:
        PackError: The lesson, a kernel or a check is inconsistent, or a line of a solution
            would reach learners.
    """
    files = {f"{stage.id}.ipynb": write_notebook(build_notebook(stage))} | companions(stage)
    leaked = find_leaks(stage, files)
    if leaked:
        name, line = leaked[0]
        raise PackError(
            f"{stage.id}: {name} would show a line of a solution to learners: {line!r}.",
            help="Move the line inside BEGIN/END SOLUTION, or say it differently where learners see it.",
        )
    return dict(sorted(files.items()))


def companions(stage: Stage) -> dict[str, bytes]:
    """Return the files beside the notebook: kernel stubs, visible checks, figures."""
    files: dict[str, bytes] = {}
    for path in stage.kernels:
        files[path.name] = stub_kernel(path.read_text(encoding="utf-8"), path.name).encode()
    checks = sorted(stage.graders.glob("checks*.py"))
    if not checks:
        raise PackError(
            f"{stage.graders / 'checks.py'} is missing.",
            help="Every stage has visible checks, in the format of its graders.",
        )
    files |= {path.name: path.read_bytes() for path in checks}
    hints = stage.graders / HINTS
    if hints.is_file():
        files[HINTS] = hints.read_bytes()
    figures = stage.solutions / "figures"
    for path in sorted(figures.rglob("*")) if figures.is_dir() else []:
        if path.is_file() and not _ignored(path):
            files[path.relative_to(stage.solutions).as_posix()] = path.read_bytes()
    return files


def find_leaks(stage: Stage, files: dict[str, bytes]) -> list[tuple[str, str]]:
    """Return `(file, line)` for each solution line that `files` would give away.

    A line that the same stage also shows outside its solutions is no secret.
    """
    secret: set[str] = set()
    given: set[str] = set()
    sources = [cell.source for cell in stage.cells]
    sources += [path.read_text(encoding="utf-8") for path in stage.kernels]
    for source in sources:
        inside, outside = _split_solution(source)
        secret |= inside
        given |= outside
    secret = {line for line in secret - given if len(line) >= MIN_LEAK_CHARS}
    return [(name, line) for name in files for line in sorted(secret & _lines(name, files[name]))]


@dataclass
class StageState:
    """How a stage's folder differs from what the pack makes.

    Attributes:
        stale: Files that are missing or differ.
        stray: Files that the pack does not make: written by hand, or left from an older lesson.
    """

    id: str
    fresh: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)


def compare(stage: Stage, files: dict[str, bytes]) -> StageState:
    """Compare the committed assignment with `files`, byte by byte."""
    state = StageState(stage.id)
    for name, content in files.items():
        path = stage.assignment / name
        same = path.is_file() and path.read_bytes() == content
        (state.fresh if same else state.stale).append(name)
    state.stray = sorted(set(_existing(stage.assignment)) - set(files))
    return state


def write(stage: Stage, files: dict[str, bytes], state: StageState) -> None:
    """Write the stale files; stray files stay where they are."""
    for name in state.stale:
        path = stage.assignment / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[name])


def prune(stage: Stage, state: StageState) -> None:
    """Delete the stray files, because the user asked for it."""
    for name in state.stray:
        (stage.assignment / name).unlink()


def _existing(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not _ignored(path.relative_to(folder))
    ]


def _ignored(path: Path) -> bool:
    return any(part in IGNORED for part in path.parts)


def _lines(name: str, content: bytes) -> set[str]:
    if name.endswith(".ipynb"):
        sources = ["".join(cell["source"]) for cell in json.loads(content)["cells"]]
    elif name.endswith((".wgsl", ".py", ".md")):
        sources = [content.decode()]
    else:
        return set()
    return {line.strip() for source in sources for line in source.splitlines()}


def _split_solution(source: str) -> tuple[set[str], set[str]]:
    inside: set[str] = set()
    outside: set[str] = set()
    current = outside
    for line in source.splitlines():
        bare = line.strip()
        if bare.endswith(BEGIN_SOLUTION):
            current = inside
        elif bare.endswith(END_SOLUTION):
            current = outside
        else:
            current.add(bare)
    return inside, outside
