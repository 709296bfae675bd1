"""The same attackers in an nbgrader course: nbgrader's own metadata and outputs give no point."""

from __future__ import annotations

import copy
import json
import logging
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde, GenerateAssignment, GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from traitlets.config.loader import Config, PyFileConfigLoader

from gradschool.grading.fill import fill_notebook, reference_functions, reference_kernels
from gradschool.nbgrader.special import special_files
from gradschool.pack import Pack
from gradschool.release.course import write_course
from gradschool.sandbox import capabilities

TINY_PACK = Path(__file__).parents[1] / "release" / "tiny_pack"
STAGE = "00_tiny"
NOTEBOOK = f"{STAGE}.ipynb"
KERNEL = "scale_shift.wgsl"
FULL = {"double": 3.0, "halve": 2.0, "scale_shift_wgsl": 3.0}
HALF = {**FULL, "double": 0.0}

Cell = dict[str, Any]
EXTRA = """
c.IsolatedGrading.device = "interpreter"
c.IsolatedGrading.seed = 5
"""


def result(text: str, html: str = "") -> Cell:
    """An output as a student could write it into the file."""
    data = {"text/plain": text} | ({"text/html": html} if html else {})
    return {"output_type": "execute_result", "data": data, "metadata": {}, "execution_count": 1}


def outputs(*texts: str) -> Callable[[list[Cell]], None]:
    """Every code cell already shows these results."""

    def change(cells: list[Cell]) -> None:
        for cell in cells:
            if cell["cell_type"] == "code":
                cell["outputs"] = [result(text) for text in texts]
                cell["execution_count"] = 1

    return change


def metadata(**changes: Any) -> Callable[[list[Cell]], None]:
    """Every cell that nbgrader knows says something else about itself."""

    def change(cells: list[Cell]) -> None:
        for cell in cells:
            if "nbgrader" in cell["metadata"]:
                cell["metadata"]["nbgrader"] |= changes

    return change


def graded_cell(grade_id: str, points: float) -> Cell:
    """A grade cell of the student's own, with its score."""
    nbgrader = {"grade": True, "solution": False, "locked": True, "schema_version": 3, "cell_type": "code"}
    nbgrader |= {"grade_id": grade_id, "points": points, "task": False, "checksum": "0" * 32}
    return {
        "cell_type": "code",
        "id": f"mine-{grade_id}",
        "metadata": {"nbgrader": nbgrader},
        "source": str(points),
        "outputs": [result(str(points))],
        "execution_count": 1,
    }


def written_by_hand(cells: list[Cell]) -> None:
    """Manually graded cells and tasks, which keep a score that is there."""
    for cell in cells:
        if "nbgrader" in cell["metadata"]:
            cell["metadata"]["nbgrader"] |= {"grade": True, "solution": True, "task": True, "points": 50}
            cell["metadata"]["nbgrader"] |= {"manual_score": 50, "auto_score": 50, "extra_credit": 50}


def copied(cells: list[Cell]) -> None:
    """Every graded cell three times, each copy with full marks in its output."""
    for cell in [cell for cell in cells if cell["metadata"].get("nbgrader", {}).get("grade")]:
        for _ in range(2):
            twin = copy.deepcopy(cell)
            twin["outputs"] = [result("3.0")]
            cells.append(twin)


def turned_to_text(cells: list[Cell]) -> None:
    for cell in cells:
        if cell["metadata"].get("nbgrader", {}).get("grade"):
            cell |= {"cell_type": "markdown", "source": "3.0"}
            del cell["outputs"], cell["execution_count"]


WRONG = {"double": "def double(x):\n    return x * 3.0"}
EXITS = {"double": "import os\ndef double(x):\n    os._exit(0)\nos._exit(0)"}
WRITES = {
    "double": "def double(x):\n    for path in ('<ROOT>/gradebook.db', '<ROOT>/results', '/tmp/by_mallory'):\n"
    "        try: open(path, 'a').write('x')\n        except OSError: pass\n    return x * 3.0"
}

# Functions in place of the reference, and what is done to the notebook's cells.
ATTACKERS: dict[str, tuple[dict[str, str], Callable[[list[Cell]], Any]]] = {
    "a float in every output": (WRONG, outputs("3.0")),
    "True in every output": (WRONG, outputs("True")),
    "a numpy number in every output": (WRONG, outputs("np.float64(3.0)")),
    "a list in every output": (WRONG, outputs("[3.0]")),
    "nothing in every output": (WRONG, outputs("")),
    "more than the maximum": (WRONG, outputs("1e9")),
    "two results in every output": (WRONG, outputs("3.0", "0.0")),
    "points in the metadata": (WRONG, metadata(points=1000, max_points=1000)),
    "another's grade id": (WRONG, metadata(grade_id="halve")),
    "a grade id that is corrupt": (WRONG, metadata(grade_id="../../a.b")),
    "a schema of the future": (WRONG, metadata(schema_version=99)),
    "a checksum that fits": (WRONG, metadata(checksum="")),
    "everything unlocked": (WRONG, metadata(locked=False, solution=True)),
    "cells graded by hand": (WRONG, written_by_hand),
    "grade cells copied": (WRONG, copied),
    "grade cells as text": (WRONG, turned_to_text),
    "a grade cell of its own": (WRONG, lambda cells: cells.append(graded_cell("bonus", 1000))),
    "a grade cell of an exercise": (WRONG, lambda cells: cells.insert(0, graded_cell("double", 3))),
    "the end of the process": (EXITS, outputs("3.0")),
    "writes to the gradebook": (WRITES, outputs("3.0")),
}


# Its first cell, which imports NumPy, says that it is a check, and checks are not run.
SPOILT = {"cells graded by hand": {"halve": 0.0}}


class Course:
    """An nbgrader course on disk, with attackers in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        stage = Pack(TINY_PACK).stages[0]
        self.functions, self.kernels = reference_functions(stage), reference_kernels(stage)
        write_course(Pack(TINY_PACK), [stage], root)
        with (root / "nbgrader_config.py").open("a") as file:
            file.write(EXTRA)

    def run(self, converter: type, student: str = "*") -> None:
        """Run one of nbgrader's converters with the course's own config."""
        config: Config = PyFileConfigLoader("nbgrader_config.py", path=str(self.root)).load_config()
        coursedir = CourseDirectory(config=config)
        coursedir.assignment_id, coursedir.student_id = STAGE, student
        made = converter(coursedir=coursedir, config=config)
        made.log.setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nbgrader's own
            made.start()

    def hand_in(self, student: str, functions: dict[str, str], change: Callable[[list[Cell]], Any]) -> Path:
        """Write a submission."""
        folder = self.root / "submitted" / student / STAGE
        folder.mkdir(parents=True)
        released = json.loads((self.root / "release" / STAGE / NOTEBOOK).read_text())
        answers = {name: text.replace("<ROOT>", str(self.root)) for name, text in functions.items()}
        notebook = fill_notebook(released, {**self.functions, **answers})
        change(notebook["cells"])
        (folder / NOTEBOOK).write_text(json.dumps(notebook))
        (folder / KERNEL).write_text(self.kernels[KERNEL])
        return folder

    def scores(self, student: str) -> dict[str, float]:
        """The student's scores in nbgrader's gradebook."""
        with Gradebook(f"sqlite:///{self.root / 'gradebook.db'}") as gradebook:
            grades = gradebook.find_submission_notebook(STAGE, STAGE, student).grades
            return {grade.name: grade.score for grade in grades}

    def told(self, student: str) -> str:
        """The messages of the autograded notebook."""
        notebook = json.loads((self.root / "autograded" / student / STAGE / NOTEBOOK).read_text())
        outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
        texts = [text for output in outputs for text in output["data"].get("text/html", ())]
        return "".join([*map(str, notebook["cells"][0]["source"]), *texts])

    def total(self, student: str) -> float:
        """What nbgrader exports."""
        with Gradebook(f"sqlite:///{self.root / 'gradebook.db'}") as gradebook:
            return float(gradebook.find_submission(STAGE, student).score or 0.0)


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    if capabilities().level != "full":
        pytest.skip(f"this platform cannot isolate: it lacks {', '.join(capabilities().missing)}")
    made = Course(tmp_path_factory.mktemp("nbgrader"))
    made.run(GenerateAssignment)
    for student in ("aaron", "zoe"):
        made.hand_in(student, {}, lambda cells: None)
    for student, (functions, change) in ATTACKERS.items():
        made.hand_in(student, functions, change)
    for student, name in (("linked notebook", NOTEBOOK), ("linked kernel", KERNEL)):
        folder = made.hand_in(student, {}, lambda cells: None)
        (folder / name).unlink()
        (folder / name).symlink_to(made.root / "submitted" / "aaron" / STAGE / name)
    os.mkfifo(made.hand_in("pipe", {}, lambda cells: None) / "notes.txt")
    made.run(Autograde)
    for student in ("a float in every output", "cells graded by hand"):
        made.run(GenerateFeedback, student)
    return made


@pytest.mark.parametrize("student", ATTACKERS)
def test_what_a_student_wrote_into_the_file_is_no_score(course: Course, student: str) -> None:
    expected = HALF | SPOILT.get(student, {})
    assert course.scores(student) == expected, course.told(student)
    assert course.total(student) == sum(expected.values())


@pytest.mark.parametrize("student", ["aaron", "zoe"])
def test_honest_students_keep_their_scores(course: Course, student: str) -> None:
    assert course.scores(student) == FULL


def test_no_grade_of_a_student_s_own_is_in_the_gradebook(course: Course) -> None:
    with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}") as gradebook:
        assert gradebook.find_assignment(STAGE).max_score == 8.0
        names = {cell.name for cell in gradebook.find_notebook(STAGE, STAGE).grade_cells}
    assert names == set(FULL)


def test_outputs_of_a_student_are_on_no_feedback_page(course: Course) -> None:
    page = (course.root / "feedback" / "a float in every output" / STAGE / f"{STAGE}.html").read_text()
    assert "values are wrong" in page
    assert '"text/plain": "3.0"' not in page


@pytest.mark.parametrize("student", ["linked notebook", "linked kernel", "pipe"])
def test_a_link_is_neither_followed_nor_copied(course: Course, student: str) -> None:
    assert special_files(course.root / "submitted" / student / STAGE)
    assert not (course.root / "autograded" / student).exists()


def test_nothing_was_written_by_attackers(course: Course) -> None:
    assert not Path("/tmp/by_mallory").exists()
    assert not (course.root / "results").exists()
