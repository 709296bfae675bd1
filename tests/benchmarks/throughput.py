"""The same class graded three ways with equivalent tests: `python tests/benchmarks/throughput.py [N] [OTTER]`.

Three NumPy exercises, twelve hidden cases, N right submissions:

- `gradschool grade`, two slots, isolated;
- `nbgrader autograde`, its own Execute, nothing isolated; twenty submissions at most are timed;
- `otter run`, one process per submission, nothing isolated; OTTER is the path of its program (it does not
  install beside every release of what nbgrader needs, so it may live elsewhere). Three submissions are timed.

Then where one submission's time goes: the learner's own code, the tests around it, everything else.
Nothing is asserted; times belong to the machine, ratios travel better.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from gradschool.grading.fill import fill_notebook, reference_functions
from gradschool.grading.options import GradeOptions
from gradschool.grading.session import GradingSession
from gradschool.pack import Pack
from gradschool.release import build_assignment
from gradschool.sandbox.client import Worker
from gradschool.verify.proofs import submission_of

STAGE = "00_three"
BODIES = {
    "relu_forward(x)": "return np.maximum(x, 0)",
    "softmax_forward(x)": (
        "e = np.exp(x - x.max(axis=-1, keepdims=True))\n    return e / e.sum(axis=-1, keepdims=True)"
    ),
    "affine_forward(x, w, b)": "return x @ w + b",
}
INPUTS = {
    "relu_forward": "rng.standard_normal((17, 5 + case))",
    "softmax_forward": "50 * rng.standard_normal((17, 5 + case))",
    "affine_forward": "rng.standard_normal((9, 5)), rng.standard_normal((5, 3 + case)), rng.standard_normal(3 + case)",
}
N_CASES = 4


def main() -> None:
    """Measure and print."""
    n_students = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pack(folder / "pack")
        ours = by_gradschool(folder, n_students)
        rows = [("gradschool grade, isolated", ours)]
        rows.append(("nbgrader autograde", by_nbgrader(folder / "nbgrader", min(n_students, 20))))
        if len(sys.argv) > 2:
            rows.append(("otter run", by_otter(folder / "otter", sys.argv[2])))
        print(f"{n_students} submissions of three exercises, equivalent tests")
        for label, seconds in rows:
            print(f"{label:30} {seconds * 1000:8.0f} ms each {seconds / ours:8.1f} x")
        show_overhead(Pack(folder / "pack"))


def write_pack(root: Path) -> None:
    """Write a course of one stage without kernels."""
    lesson = ["# %% [markdown]\n# # 0. Three functions\n", '# %% tags=["setup"]\nimport numpy as np\n']
    lesson.append(f'import gradschool as gs\n\ngs.start("{STAGE}")\n')
    tests = ["import pytest\n\nfrom gradschool.grading import expect_close\n"]
    for head, body in BODIES.items():
        name = head.split("(")[0]
        lesson.append(f"# %%\n{function(head, body, '### ')}\n")
        lesson.append(f'# %% tags=["check"]\ngs.check("{name}")\n')
        tests.append(
            f'@pytest.mark.exercise("{name}")\n@pytest.mark.points(1)\n'
            f'@pytest.mark.parametrize("case", range({N_CASES}))\n'
            f"def test_{name}(submission, reference, rng, case):\n    inputs = ({INPUTS[name]},)\n"
            f"    expect_close(submission.{name}(*inputs), reference.{name}(*inputs), 1e-12)\n"
        )
    checks = tests[0] + "\n\n".join(
        f'\n\n@pytest.mark.exercise("{name}")\ndef test_{name}_exists(submission):\n    assert submission.{name}\n'
        for name in INPUTS
    )
    write(root / "solutions" / STAGE / "lesson.py", "\n".join(lesson))
    write(root / "graders" / STAGE / "test_three.py", "\n\n".join(tests))
    write(root / "graders" / STAGE / "checks.py", checks)
    (root / "shaders" / STAGE).mkdir(parents=True)
    (root / "assignments").mkdir()
    write(root / "pyproject.toml", "")


def function(head: str, body: str, mark: str = "") -> str:
    """A function's text, between solution markers where a course wants them."""
    start, end = (f"    {mark}BEGIN SOLUTION\n", f"\n    {mark}END SOLUTION") if mark else ("", "")
    return f'def {head}:\n    """See the lesson."""\n{start}    {body}{end}'


def write(path: Path, text: str) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def by_gradschool(folder: Path, n_students: int) -> float:
    """Seconds per submission of `gradschool grade` with two slots."""
    pack = Pack(folder / "pack")
    (stage,) = pack.stages
    released = json.loads(build_assignment(stage)[f"{STAGE}.ipynb"])
    filled = json.dumps(fill_notebook(released, reference_functions(stage)))
    for index in range(n_students):
        write(folder / "submissions" / f"s{index:04}" / STAGE / f"{STAGE}.ipynb", filled)
    command = ["grade", str(folder / "submissions"), "--out", str(folder / "results")]
    return timed("gradschool", *command, "-j", "2", "--pack", str(pack.root)) / n_students


def cells(*, graded: bool) -> list[dict]:
    """The notebook of the other two graders: functions, and for nbgrader cells with the same cases."""
    found = [cell("import numpy as np")]
    for head, body in BODIES.items():
        name = head.split("(")[0]
        found.append(cell(function(head, body), {"grade": False, "solution": True, "grade_id": f"s-{name}"}))
        if graded:
            found.append(
                cell(
                    cases(head, body),
                    {"grade": True, "solution": False, "points": 1, "grade_id": f"t-{name}"},
                )
            )
    return found


def cases(head: str, body: str) -> str:
    """The same cases as plain Python."""
    name = head.split("(")[0]
    right = function(head, body).replace(name, f"right_{name}", 1)
    return (
        f"{right}\nfor case in range({N_CASES}):\n    rng = np.random.default_rng(case)\n"
        f"    inputs = ({INPUTS[name]},)\n"
        f"    np.testing.assert_allclose({name}(*inputs), right_{name}(*inputs), atol=1e-12)"
    )


def cell(source: str, nbgrader: dict | None = None) -> dict:
    """A code cell, with nbgrader's metadata where it has some."""
    metadata = {}
    if nbgrader:
        metadata["nbgrader"] = {"schema_version": 3, "locked": False, "task": False, **nbgrader}
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": metadata,
        "outputs": [],
        "source": source,
    }


def notebook(found: list[dict]) -> str:
    """A notebook's text."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return json.dumps(
        {"cells": found, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 4}
    )


def by_nbgrader(course: Path, n_students: int) -> float:
    """Seconds per submission of `nbgrader autograde`, as it comes."""
    write(course / "nbgrader_config.py", 'c = get_config()\nc.CourseDirectory.course_id = "three"\n')
    text = notebook(cells(graded=True))
    write(course / "source/three/three.ipynb", text)
    for index in range(n_students):
        write(course / f"submitted/s{index:04}/three/three.ipynb", text)
    timed("nbgrader", "generate_assignment", "three", "--create", cwd=course)
    return timed("nbgrader", "autograde", "three", "--create", cwd=course) / n_students


def by_otter(folder: Path, program: str, n_students: int = 3) -> float:
    """Seconds per submission of `otter run`."""
    for head, body in BODIES.items():
        name = head.split("(")[0]
        inner = cases(head, body).replace("\n", "\n    ")
        text = (
            f'from otter.test_files import test_case\n\nOK_FORMAT = False\nname = "{name}"\npoints = 1\n\n\n'
            f"@test_case(points=1, hidden=True)\ndef test_{name}({name}):\n    import numpy as np\n    {inner}\n"
        )
        write(folder / f"tests/{name}.py", text)
    write(folder / "three.ipynb", notebook(cells(graded=False)))
    timed(program, "generate", "-t", "tests", "-o", "autograder.zip", cwd=folder)
    start = time.perf_counter()
    for _ in range(n_students):
        timed(program, "run", "-a", "autograder.zip", "three.ipynb", cwd=folder)
    return (time.perf_counter() - start) / n_students


def timed(program: str, *arguments: str, cwd: Path | None = None) -> float:
    """Run a command of this environment, or a program by its path, and return its wall time."""
    command = program if "/" in program else str(Path(sys.executable).parent / program)
    start = time.perf_counter()
    done = subprocess.run([command, *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{program} {' '.join(arguments)}\n{done.stdout}\n{done.stderr}")
    return time.perf_counter() - start


def show_overhead(pack: Pack, n_submissions: int = 40) -> None:
    """Print where a submission's time goes in one warm slot."""
    (stage,) = pack.stages
    files = submission_of(stage, reference_functions(stage), {})
    spent = {"load": 0.0, "calls": 0.0, "own": 0.0}
    load, call = Worker.load, Worker.call

    def timed_load(self, cells):
        start = time.perf_counter()
        report = load(self, cells)
        spent["load"] += time.perf_counter() - start
        return report

    def timed_call(self, *args, **kwargs):
        start = time.perf_counter()
        result = call(self, *args, **kwargs)
        spent["calls"] += time.perf_counter() - start
        spent["own"] += result.seconds
        return result

    with GradingSession(pack, options=GradeOptions(device="interpreter")) as session:
        record = session.grade_files("warm", stage, files)
        Worker.load, Worker.call = timed_load, timed_call  # type: ignore[method-assign]
        start = time.perf_counter()
        for _ in range(n_submissions):
            record = session.grade_files("timed", stage, files)
        total = time.perf_counter() - start
        Worker.load, Worker.call = load, call  # type: ignore[method-assign]
    assert record.score == record.max_score, msgspec.json.encode(record)
    parts = {
        "a process, the notebook's cells": spent["load"],
        "the learner's functions": spent["own"],
        "their arrays to and fro": spent["calls"] - spent["own"],
        "hidden tests, naming, the record": total - spent["load"] - spent["calls"],
    }
    print(f"one warm slot: {total / n_submissions * 1000:.0f} ms a submission")
    for label, seconds in parts.items():
        print(f"  {label:34} {seconds / n_submissions * 1000:7.1f} ms")


if __name__ == "__main__":
    main()
