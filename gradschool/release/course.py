"""An nbgrader course folder: its config, and `source/` from which nbgrader makes its release."""

from __future__ import annotations

from pathlib import Path

from gradschool.errors import UsageError
from gradschool.pack import Pack, Stage
from gradschool.release.assignment import IGNORED, companions
from gradschool.release.notebook_file import build_notebook, write_notebook

CONFIG = "nbgrader_config.py"

# `configure` lives in the package, so that a new version of gradschool brings its settings along.
CONFIG_TEXT = '''\
"""nbgrader's settings for this course; yours to change below the call of `configure`.

    nbgrader generate_assignment 01_perceptron   makes release/01_perceptron from source/
    nbgrader autograde 01_perceptron             grades submitted/*/01_perceptron in isolation
    nbgrader generate_feedback 01_perceptron     writes feedback/*/01_perceptron
    nbgrader export                              writes grades.csv

Grading a large class: `gradschool grade submitted --out results` first. It grades several
submissions side by side, shows how far it is and loses nothing when it is stopped; autograde
then takes each record that is still true from results/ and only fills in the gradebook.

After a crash or a kill: run autograde again. What was left half graded is graded again by itself.
When autograde ends with an error, the submissions it names have no score yet, which is not a zero.
"""

from pathlib import Path

from gradschool.nbgrader.config import configure

c = get_config()  # noqa: F821 - nbgrader provides it

configure(c, course=Path(__file__).resolve().parent, pack=Path({pack!r}))

c.CourseDirectory.course_id = {course_id!r}
'''


def write_course(pack: Pack, stages: list[Stage], folder: Path) -> tuple[list[str], list[str]]:
    """Write nbgrader's config and `source/NN_stage/` into `folder`.

    A config that is already there belongs to the instructor and stays as it is, and so do
    files in `source/` that the pack does not make.

    Returns:
        written: Paths written, relative to `folder`.
        stray: Paths in `source/` that the pack does not make; nbgrader gives them to learners.

    Raises:
        UsageError: `folder` lies inside the part of the pack that learners receive.
    """
    folder = folder.resolve()
    if folder.is_relative_to((pack.root / "assignments").resolve()):
        raise UsageError(
            f"{folder} is inside assignments/, which learners receive, and the course holds solutions.",
            help="Choose a folder outside the checkout.",
        )
    files: dict[str, bytes] = {}
    for stage in stages:
        for name, content in build_source(stage).items():
            files[f"source/{stage.id}/{name}"] = content
    if not (folder / CONFIG).exists():
        text = CONFIG_TEXT.format(pack=str(pack.root.resolve()), course_id=folder.name)
        files[CONFIG] = text.encode()
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return sorted(files), _strays(folder, stages, set(files))


def build_source(stage: Stage) -> dict[str, bytes]:
    """Return the stage's files for nbgrader's source folder.

    nbgrader takes solutions out of notebooks only; every other file is copied to learners as
    it is. So the notebook holds its solutions, and the kernels are stubs already.
    """
    notebook = write_notebook(build_notebook(stage, with_solutions=True))
    return dict(sorted(({f"{stage.id}.ipynb": notebook} | companions(stage)).items()))


def _strays(folder: Path, stages: list[Stage], made: set[str]) -> list[str]:
    found = []
    for stage in stages:
        for path in sorted((folder / "source" / stage.id).rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and name not in made and not IGNORED & set(path.parts):
                found.append(name)
    return found
