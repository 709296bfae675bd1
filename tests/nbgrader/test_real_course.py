"""nbgrader and isolated grading together: a real sandbox, real kernels in the interpreter."""

from __future__ import annotations

from pathlib import Path

import pytest
from nbgrader.converters import Autograde, GenerateAssignment

from gradschool.grading.fill import fill_notebook, reference_functions, reference_kernels
from gradschool.pack import Pack

TINY_PACK = Path(__file__).parents[1] / "release" / "tiny_pack"


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory, new_course):
    made = new_course(tmp_path_factory.mktemp("real"))
    config = made.root / "nbgrader_config.py"
    extra = 'c.IsolatedGrading.device = "interpreter"\nc.IsolatedGrading.allow_weak_sandbox = True\n'
    config.write_text(config.read_text() + extra)
    made.run(GenerateAssignment)
    stage = Pack(TINY_PACK).stages[0]
    functions, kernels = reference_functions(stage), reference_kernels(stage)
    made.submit("ada", fill_notebook(made.released(), functions), kernels)
    wrong = functions | {"double": "def double(x):\n    import os\n    os._exit(0)"}
    made.submit("bo", fill_notebook(made.released(), wrong), kernels)
    made.submit("cy", "not json", {"scale_shift.wgsl": "fn main() {"})
    made.run(Autograde)
    return made


def test_the_reference_gets_full_marks(course) -> None:
    assert course.scores("ada") == {"double": 3.0, "halve": 2.0, "scale_shift_wgsl": 3.0}


def test_code_that_ends_its_process_costs_only_its_own_points(course) -> None:
    assert course.scores("bo") == {"double": 0.0, "halve": 2.0, "scale_shift_wgsl": 3.0}


def test_nothing_usable_is_zero_with_reasons(course) -> None:
    assert set(course.scores("cy").values()) == {0.0}
    text = "".join(course.autograded("cy")["cells"][0]["source"])
    assert "not valid JSON" in text


def test_no_file_of_the_hidden_half_is_beside_a_graded_submission(course) -> None:
    for student in ("ada", "bo", "cy"):
        names = {path.name for path in (course.root / "autograded" / student).rglob("*") if path.is_file()}
        assert names == {"00_tiny.ipynb", "checks.py", "double.svg", "hints.toml", "scale_shift.wgsl"}


def test_the_config_is_the_instructors_to_extend(course) -> None:
    assert "c.IsolatedGrading.device" in Path(course.root / "nbgrader_config.py").read_text()
