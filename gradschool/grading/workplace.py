"""Where a learner works: which folder and which exercises a word on the command line means."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gradschool.errors import UsageError
from gradschool.grading.visible import checked_exercises
from gradschool.pack import STAGE_ID


@dataclass(frozen=True)
class Workplace:
    """A stage's folder and the exercises in question, in the order of their checks."""

    folder: Path
    exercises: list[str]


def find_target(target: str | None, folder: Path | None = None) -> Workplace:
    """Find the stage and exercises that `target` names.

    Args:
        target: A stage (`01_perceptron`, `01`, `perceptron`), an exercise
            (`softmax_forward`, `softmax_forward.wgsl`), a path to a kernel, or None.
        folder: A stage's folder; default: the working directory, or the stages below it.

    Raises:
        UsageError: Nothing, or more than one thing, answers to `target`.
    """
    folders = [folder.resolve()] if folder else _stage_folders(Path.cwd())
    if not folders:
        raise UsageError(
            f"There is no stage in {Path.cwd()}.",
            help="Run this in assignments/ or in one stage's folder, or name it with --folder.",
        )
    if target is None:
        if len(folders) != 1:
            raise UsageError("Which stage?", help=f"Name one of {', '.join(path.name for path in folders)}.")
        return Workplace(folders[0], checked_exercises(folders[0]))
    for path in folders:
        if target in (path.name, path.name[:2], path.name[3:]):
            return Workplace(path, checked_exercises(path))
    name = Path(target).name
    found = [path for path in folders if name in checked_exercises(path)]
    if len(found) == 1:
        return Workplace(found[0], [name])
    if found:
        raise UsageError(
            f"{name} is in {', '.join(path.name for path in found)}.", help="Choose one with --folder."
        )
    raise UsageError(
        f"Nothing here is called {target!r}.",
        help=f"Stages: {', '.join(path.name for path in folders)}. Exercises of {folders[0].name}: "
        f"{', '.join(checked_exercises(folders[0]))}.",
    )


def exercises_touched(place: Workplace, changed: set[Path]) -> list[str]:
    """Return the exercises that a set of saved files may have changed."""
    names = {path.name for path in changed}
    if any(name.startswith("checks") and name.endswith(".py") for name in names):
        return place.exercises
    notebook = any(name.endswith(".ipynb") for name in names)
    return [
        exercise
        for exercise in place.exercises
        if exercise in names or (notebook and not exercise.endswith(".wgsl"))
    ]


def _stage_folders(start: Path) -> list[Path]:
    """The stage that holds `start`, else the stages below it or below its `assignments/`."""
    start = start.resolve()
    for path in (start, *start.parents):
        if _is_stage(path):
            return [path]
    for base in (start, start / "assignments"):
        found = sorted(path for path in base.glob("*") if _is_stage(path))
        if found:
            return found
    return []


def _is_stage(path: Path) -> bool:
    return bool(STAGE_ID.fullmatch(path.name)) and (path / "checks.py").is_file()
