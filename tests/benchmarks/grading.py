"""Seconds per submission, beside nbgrader's own Execute: `python tests/benchmarks/grading.py [N]`.

The same class of N identical right submissions to 01_perceptron is graded three ways:

- `gradschool grade`: every hidden test, every kernel on a device and in the interpreter, isolated;
- `nbgrader autograde` with our preprocessor: the same, plus nbgrader's gradebook;
- `nbgrader autograde` with its own Execute: the visible checks only, in the notebook's kernel, nothing isolated.
  Demo cells are taken out first, or it would also train every model.

Nothing is asserted; times belong to the machine, ratios travel better.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gradschool.grading.fill import fill_notebook, reference_functions, reference_kernels
from gradschool.pack import Pack
from gradschool.release import build_assignment

ROOT = Path(__file__).parents[2]
STAGE = "01_perceptron"


def main() -> None:
    """Measure and print."""
    n_students = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        submissions = folder / "submissions"
        for index in range(n_students):
            write_submission(submissions / f"student{index}" / STAGE)
        ours = timed("gradschool", "grade", str(submissions), "--out", str(folder / "results"), "-j", "1")
        isolated = autograde(folder / "isolated", submissions, own_execute=False)
        own = autograde(folder / "own", submissions, own_execute=True)
    print(f"{n_students} submissions of {STAGE}, one process each")
    for label, seconds in (
        ("gradschool grade", ours),
        ("nbgrader autograde, isolated", isolated),
        ("nbgrader autograde, own Execute (visible checks only)", own),
    ):
        print(f"{label:55} {seconds / n_students:7.2f} s each   {seconds / ours:6.2f} x")


def write_submission(folder: Path) -> None:
    """Write the reference as a submission, without its demo cells."""
    stage = Pack(ROOT).stage(STAGE)
    released = build_assignment(stage)
    notebook = fill_notebook(json.loads(released[f"{STAGE}.ipynb"]), reference_functions(stage))
    notebook["cells"] = [cell for cell in notebook["cells"] if "demo" not in cell["metadata"].get("tags", [])]
    folder.mkdir(parents=True)
    (folder / f"{STAGE}.ipynb").write_text(json.dumps(notebook))
    for path, text in reference_kernels(stage).items():
        (folder / path).write_text(text)
    for path in released:
        if path.startswith("checks"):
            (folder / path).write_bytes(released[path])


def autograde(course: Path, submissions: Path, *, own_execute: bool) -> float:
    """Time `nbgrader autograde` over the class in a course of its own."""
    timed("gradschool", "release", "--nbgrader", str(course))
    source = course / "source" / STAGE / f"{STAGE}.ipynb"
    notebook = json.loads(source.read_text())
    notebook["cells"] = [cell for cell in notebook["cells"] if "demo" not in cell["metadata"].get("tags", [])]
    source.write_text(json.dumps(notebook))
    if own_execute:
        with (course / "nbgrader_config.py").open("a") as config:
            config.write(
                "\nfrom nbgrader.converters import Autograde\n"
                "c.Autograde.autograde_preprocessors = "
                "Autograde.class_traits()['autograde_preprocessors'].default()\n"
            )
    shutil.copytree(submissions, course / "submitted")
    nbgrader = ["nbgrader"]
    timed(*nbgrader, "generate_assignment", STAGE, "--create", cwd=course)
    return timed(*nbgrader, "autograde", STAGE, "--create", cwd=course)


def timed(*command: str, cwd: Path = ROOT) -> float:
    """Run a command of this environment and return its wall time."""
    program = Path(sys.executable).parent / command[0]
    start = time.perf_counter()
    done = subprocess.run([program, *command[1:]], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
