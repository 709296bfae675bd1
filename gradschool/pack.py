"""The course on disk: which stages exist and what each one's exercises are.

Everything is discovered from the folders; there is no list to keep in step. A full
checkout (instructors, authors) holds `solutions/`, `shaders/` and `graders/`; a learner
may have `assignments/` alone, or one stage's folder.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from gradschool.contract import Contract, load_contract
from gradschool.errors import PackError, UsageError
from gradschool.lesson_file import Cell, read_cells

STAGE_ID = re.compile(r"\d\d_[a-z][a-z0-9_]*")
CONTENT_FOLDERS = ("solutions", "shaders", "graders")


@dataclass(frozen=True)
class Exercise:
    """One thing a learner writes and a grader judges.

    Attributes:
        id: The function's name, or the kernel's file name (`softmax_forward.wgsl`).
    """

    id: str
    stage: str
    kind: Literal["numpy", "wgsl"]
    points: int


@dataclass(frozen=True)
class Stage:
    """One stage of the course, in an author's checkout."""

    id: str
    root: Path

    @property
    def solutions(self) -> Path:
        """Folder of the lesson and its twin."""
        return self.root / "solutions" / self.id

    @property
    def lesson(self) -> Path:
        """The lesson as a py:percent script."""
        return self.solutions / "lesson.py"

    @property
    def shaders(self) -> Path:
        """Folder of the reference kernels."""
        return self.root / "shaders" / self.id

    @property
    def graders(self) -> Path:
        """Folder of hidden graders, visible checks and misconceptions."""
        return self.root / "graders" / self.id

    @property
    def assignment(self) -> Path:
        """Folder that learners receive."""
        return self.root / "assignments" / self.id

    @cached_property
    def cells(self) -> list[Cell]:
        """The lesson's cells."""
        return read_cells(self.lesson)

    @cached_property
    def kernels(self) -> list[Path]:
        """Reference kernel files, sorted by name."""
        return sorted(self.shaders.glob("*.wgsl"))

    @cached_property
    def contracts(self) -> dict[str, Contract]:
        """Contract by kernel file name."""
        return {path.name: load_contract(path) for path in self.kernels}

    @cached_property
    def title(self) -> str:
        """The lesson's first heading, without its `#`."""
        for cell in self.cells:
            if cell.role == "markdown" and cell.source.startswith("# "):
                return cell.source.splitlines()[0][2:].strip()
        return self.id

    @cached_property
    def exercises(self) -> list[Exercise]:
        """Functions in the lesson's order, then kernels by name, with their points."""
        points = read_points(self.graders)
        functions = [cell.exercise for cell in self.cells if cell.role == "solution" and cell.exercise]
        kernels = [path.name for path in self.kernels]
        found = [Exercise(name, self.id, "numpy", points.get(name, 0)) for name in functions]
        found += [Exercise(name, self.id, "wgsl", points.get(name, 0)) for name in kernels]
        stray = sorted(set(points) - {exercise.id for exercise in found})
        if stray:
            raise PackError(f"graders/{self.id} grades {stray[0]!r}, which is no exercise of the stage.")
        return found

    @property
    def max_score(self) -> int:
        """Points of the whole stage."""
        return sum(exercise.points for exercise in self.exercises)


@dataclass(frozen=True)
class Pack:
    """An author's or instructor's checkout of the course."""

    root: Path

    @cached_property
    def stages(self) -> list[Stage]:
        """Stages in order."""
        ids = sorted(
            path.name
            for path in (self.root / "solutions").iterdir()
            if path.is_dir() and STAGE_ID.fullmatch(path.name)
        )
        return [Stage(stage_id, self.root) for stage_id in ids]

    def stage(self, name: str) -> Stage:
        """Return the stage called `name`: its id, its number, or its word.

        Raises:
            UsageError: No stage, or more than one, answers to `name`.
        """
        found = [
            stage for stage in self.stages if name in (stage.id, stage.id[:2], stage.id[3:], stage.id[1:2])
        ]
        if len(found) != 1:
            raise UsageError(
                f"There is no stage {name!r}.",
                help=f"Stages here: {', '.join(stage.id for stage in self.stages)}.",
            )
        return found[0]


def find_pack(start: Path | None = None) -> Pack:
    """Return the pack that holds `start` (default: the working directory).

    Raises:
        UsageError: No parent folder holds the course's hidden half.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if all((folder / name).is_dir() for name in CONTENT_FOLDERS):
            return Pack(folder)
    # An editable install knows its checkout even when the command runs elsewhere.
    checkout = Path(__file__).resolve().parent.parent
    if start is None and all((checkout / name).is_dir() for name in CONTENT_FOLDERS):
        return Pack(checkout)
    raise UsageError(
        f"{here} is not inside a checkout of the course: no folder above it holds {', '.join(CONTENT_FOLDERS)}.",
        help="Run this in the instructor's checkout, or name it with --pack.",
    )


def read_points(graders: Path) -> dict[str, int]:
    """Add up points by exercise over the graders' `test_*.py`, without importing them.

    Raises:
        PackError: A test lacks its `exercise` or `points` mark, or a mark is no literal.
    """
    points: dict[str, int] = {}
    for path in sorted(graders.glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8"), str(path)).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                exercise, worth = _marks(node, path)
                points[exercise] = points.get(exercise, 0) + worth
    return points


def _marks(node: ast.FunctionDef, path: Path) -> tuple[str, int]:
    values: dict[str, object] = {}
    for mark in node.decorator_list:
        if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Attribute):
            if mark.func.attr in ("exercise", "points") and len(mark.args) == 1:
                if isinstance(mark.args[0], ast.Constant):
                    values[mark.func.attr] = mark.args[0].value
    exercise, worth = values.get("exercise"), values.get("points")
    if not isinstance(exercise, str) or not isinstance(worth, int):
        raise PackError(
            f'{path}:{node.lineno}: {node.name} needs @pytest.mark.exercise("...") and @pytest.mark.points(n).'
        )
    return exercise, worth
