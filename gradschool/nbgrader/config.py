"""nbgrader's settings for a course of ours, in one call."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

from nbgrader.converters import Autograde, GenerateAssignment
from nbgrader.preprocessors import ClearSolutions, Execute
from sqlalchemy.exc import SAWarning

from gradschool.nbgrader.exporter import RepairingExporter
from gradschool.nbgrader.isolated import IsolatedGrading
from gradschool.nbgrader.solutions import ClearSolutionsByName
from gradschool.pack import Pack

VALID_EXTENSIONS = [".ipynb", ".py", ".wgsl", ".json"]


def configure(c: Any, *, course: Path, pack: Path) -> None:
    """Set up nbgrader for the course in `course`, graded with the pack in `pack`.

    Args:
        c: nbgrader's config object.
        course: The folder with `source/`, `submitted/` and so on.
        pack: The checkout that holds the hidden graders.
    """
    _find_alembic()
    # Nine lines per student about nbgrader's own use of SQLAlchemy would hide what matters.
    warnings.filterwarnings("ignore", category=SAWarning, module=r"nbgrader\.api")
    c.CourseDirectory.root = str(course)
    c.CourseDirectory.source_directory = "source"
    c.CourseDirectory.release_directory = "release"

    c.GenerateAssignment.preprocessors = _with(
        GenerateAssignment, "preprocessors", ClearSolutions, ClearSolutionsByName
    )
    c.Autograde.autograde_preprocessors = _with(
        Autograde, "autograde_preprocessors", Execute, IsolatedGrading
    )
    c.Autograde.exporter_class = RepairingExporter
    # nbgrader would copy the stubs in source/ over the kernels that a student handed in.
    c.Autograde.exclude_overwriting = {
        stage.id: [path.name for path in stage.kernels] for stage in Pack(pack).stages
    }
    c.IsolatedGrading.pack = str(pack)
    # Without this, zip_collect leaves the kernels in the archive.
    c.FileNameCollectorPlugin.valid_ext = VALID_EXTENSIONS


def _with(converter: type, trait: str, old: type, new: type) -> list[type]:
    """Return nbgrader's own list with one entry replaced, so that a new version's additions stay."""
    return [new if entry is old else entry for entry in converter.class_traits()[trait].default()]


def _find_alembic() -> None:
    """Put this environment on PATH: nbgrader runs `alembic` by name."""
    if shutil.which("alembic") is None:
        os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
