"""Where a notebook's stage lies: its folder, and in it the kernels and the visible checks."""

from __future__ import annotations

import difflib
import glob
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradschool.errors import UsageError
from gradschool.pack import STAGE_ID

ENVIRONMENT = "GRADSCHOOL_STAGE_FOLDER"


@dataclass(frozen=True)
class Place:
    """One stage on this learner's disk.

    Attributes:
        folder: Where the notebook, its kernels and `checks*.py` lie.
        kernels: Where the kernels lie; another folder only when an author runs a lesson.
        is_lesson: An author runs the lesson itself as a script, reference inside.
    """

    stage: str
    folder: Path
    kernels: Path
    is_lesson: bool = False

    def kernel(self, name: str) -> Path:
        """Return the path of the kernel file `name`; the ending `.wgsl` may be left out.

        A kernel of another stage is found too, when that stage's folder lies beside this one.

        Raises:
            UsageError: There is no such file.
        """
        filename = name if name.endswith(".wgsl") else f"{name}.wgsl"
        path = find_kernel(self.kernels, filename)
        if path is None:
            here = sorted(found.name for found in self.kernels.glob("*.wgsl"))
            close = difflib.get_close_matches(filename, here, n=1)
            raise UsageError(
                f"There is no kernel {filename} in {self.kernels}.",
                help=(f"Did you mean {close[0]}?" if close else f"Kernels here: {', '.join(here) or 'none'}.")
                + " One of another stage is found when that stage's folder lies beside this one.",
            )
        return path


def find_kernel(folder: Path, filename: str) -> Path | None:
    """Return the kernel `filename` of a stage's `folder`, or of another stage whose folder lies beside it."""
    if Path(filename).name != filename:
        return None
    if (folder / filename).is_file():
        return folder / filename
    beside = (path for path in sorted(folder.parent.glob(f"*/{glob.escape(filename)}")) if path.is_file())
    return next((path for path in beside if STAGE_ID.fullmatch(path.parent.name)), None)


def find_place(stage: str, namespace: Mapping[str, Any]) -> Place:
    """Return the place of `stage` for code that runs in `namespace`.

    Raises:
        UsageError: No folder that belongs to the stage was found.
    """
    lesson = _lesson(stage, namespace)
    if lesson is not None:
        return lesson
    here = Path.cwd()
    named = os.environ.get(ENVIRONMENT)
    candidates = [Path(named)] if named else []
    candidates += [here, here / stage, here / "assignments" / stage]
    for folder in candidates:
        if _holds(folder, stage):
            return Place(stage, folder.resolve(), folder.resolve())
    raise UsageError(
        f"The folder of {stage} was not found from {here}.",
        help=f"Open the notebook in its own folder, or name that folder in {ENVIRONMENT}.",
    )


def guess_place(namespace: Mapping[str, Any]) -> Place:
    """Return the place of a notebook that did not call `start`.

    Raises:
        UsageError: The working directory is no stage's folder.
    """
    here = Path.cwd()
    if not _has_checks(here):
        raise UsageError(
            f"{here} is not the folder of a stage: it holds no checks.",
            help="Run the notebook's first cell, the one with gs.start(...).",
        )
    return find_place(here.name, namespace)


def _lesson(stage: str, namespace: Mapping[str, Any]) -> Place | None:
    path = Path(str(namespace.get("__file__", ""))).resolve()
    if path.name != "lesson.py" or path.parts[-3:-1] != ("solutions", stage):
        return None
    root = path.parents[2]
    return Place(stage, path.parent, root / "shaders" / stage, is_lesson=True)


def _holds(folder: Path, stage: str) -> bool:
    if (folder / f"{stage}.ipynb").is_file():
        return True
    return folder.name == stage and _has_checks(folder)


def _has_checks(folder: Path) -> bool:
    return any(folder.glob("checks*.py"))
