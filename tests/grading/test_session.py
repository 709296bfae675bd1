"""One submission: what is right earns its points, what is wrong is named, and nothing else suffers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from gradschool.gpu.jobs import JobResult, KernelJob
from gradschool.gpu.worker_client import GpuWorker
from gradschool.grading.fill import reference_functions, reference_kernels
from gradschool.grading.misconceptions import load_misconceptions
from gradschool.grading.options import GradeOptions
from gradschool.grading.records import ExerciseRecord, SubmissionRecord
from gradschool.grading.session import GradingSession
from gradschool.pack import Pack, Stage

OPTIONS = GradeOptions(seed=7, device="interpreter", call_timeout_s=1.5, kernel_timeout_s=5.0)


@pytest.fixture
def session(pack: Pack) -> Iterator[GradingSession]:
    with GradingSession(pack, options=OPTIONS) as opened:
        yield opened


def exercise(record: SubmissionRecord, name: str) -> ExerciseRecord:
    return next(item for item in record.exercises if item.id == name)


def test_the_reference_earns_everything(session: GradingSession, submit) -> None:
    record = session.grade("ada", "00_tiny", submit("ada"))
    assert record.problems == []
    assert (record.score, record.max_score, record.status) == (8, 8, "graded")
    assert record.sandbox.level == "full"
    assert record.seed == 7


@pytest.mark.parametrize("name", ["doubles-twice", "empty-accepted", "no-guard", "no-shift"])
def test_a_known_mistake_is_caught_and_named(
    session: GradingSession, stage: Stage, submit, name: str
) -> None:
    item = next(item for item in load_misconceptions(stage) if item.id == name)
    if item.is_kernel:
        folder = submit("bela", kernel=item.apply(reference_kernels(stage)[item.exercise]))
    else:
        folder = submit("bela", {item.exercise: item.apply(reference_functions(stage)[item.exercise])})
    record = session.grade("bela", "00_tiny", folder)
    found = exercise(record, item.exercise)
    assert found.score < found.max_score
    assert found.misconception == name
    assert found.message == item.help
    assert record.score == record.max_score - (found.max_score - found.score)


ANSWERS = {
    "never ends": ("def double(x):\n    while True:\n        pass", "did not return within"),
    "ends the process": ("def double(x):\n    import os\n    os._exit(0)", "double"),
    "raises": ("def double(x):\n    return x[99]", "IndexError"),
    "gives an object": ("def double(x):\n    return object()", "object"),
    "gives nothing": ("def double(x):\n    x * 2", "None"),
    "gives NaN": ("def double(x):\n    return x * float('nan')", "NaN"),
    "gives another shape": ("def double(x):\n    return x[:1] * 2.0", "shape"),
    "gives text": ("def double(x):\n    return 'right'", "str"),
    "changes its input": ("def double(x):\n    x *= 2.0\n    return x.copy()", "changed its input"),
    "is not Python": ("def double(x)\n    return 2", "double"),
    "is missing": ("def another(x):\n    return x", "double"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_broken_function_costs_its_own_points_and_no_others(
    session: GradingSession, submit, name: str
) -> None:
    source, words = ANSWERS[name]
    record = session.grade("chidi", "00_tiny", submit("chidi", {"double": source}))
    broken = exercise(record, "double")
    assert broken.score == 0
    assert words in broken.message, broken.message
    assert exercise(record, "halve").score == 2
    assert exercise(record, "scale_shift.wgsl").score == 3


def test_a_function_that_refuses_everything_earns_nothing_for_refusing(
    session: GradingSession, submit
) -> None:
    source = "def double(x):\n    raise ValueError('no')"
    record = session.grade("chidi", "00_tiny", submit("chidi", {"double": source}))
    double = exercise(record, "double")
    assert double.score == 0
    assert "raises for every input" in double.tests[1].message


def test_a_wrong_function_that_refuses_bad_input_earns_that(session: GradingSession, submit) -> None:
    source = "def double(x):\n    if np.size(x) == 0:\n        raise ValueError('empty')\n    return x * 3.0"
    record = session.grade("chidi", "00_tiny", submit("chidi", {"double": source}))
    assert exercise(record, "double").score == 1


KERNELS = {
    "is empty": ("", "empty"),
    "does not compile": ("fn main( {", "scale_shift.wgsl"),
    "has another entry point": ("@compute @workgroup_size(1) fn other() {}", "main"),
    "has no bindings": ("@compute @workgroup_size(1) fn main() {}", "scale_shift.wgsl"),
}


@pytest.mark.parametrize("name", KERNELS)
def test_a_broken_kernel_costs_its_own_points_and_no_others(
    session: GradingSession, submit, name: str
) -> None:
    text, words = KERNELS[name]
    record = session.grade("dana", "00_tiny", submit("dana", kernel=text))
    broken = exercise(record, "scale_shift.wgsl")
    assert broken.score == 0
    assert words in broken.message, broken.message
    assert record.score == 5


def test_a_missing_guard_costs_the_points_of_safety_and_not_those_of_the_numbers(
    session: GradingSession, stage: Stage, submit
) -> None:
    text = reference_kernels(stage)["scale_shift.wgsl"].replace("if (i >= params.n) {", "if (false) {")
    found = exercise(session.grade("dana", "00_tiny", submit("dana", kernel=text)), "scale_shift.wgsl")
    assert {test.name: test.score for test in found.tests} == {
        "test_scale_shift_is_exact": 2,
        "test_scale_shift_is_safe": 0,
    }
    assert found.misconception == "no-guard"


def test_an_endless_kernel_is_stopped_and_named_by_its_line(
    session: GradingSession, stage: Stage, submit
) -> None:
    text = reference_kernels(stage)["scale_shift.wgsl"]
    endless = text.replace("  out[i] =", "  var k = 0u;\n  while (k < 1u) { k = k * 1u; }\n  out[i] =")
    record = session.grade("emil", "00_tiny", submit("emil", kernel=endless))
    assert record.score == 5
    assert "loop" in exercise(record, "scale_shift.wgsl").message


def test_a_huge_workgroup_is_refused_on_every_device(session: GradingSession, stage: Stage, submit) -> None:
    text = reference_kernels(stage)["scale_shift.wgsl"].replace("(64)", "(1024)")
    record = session.grade("fatou", "00_tiny", submit("fatou", kernel=text))
    assert "1024" in exercise(record, "scale_shift.wgsl").message


def test_a_broken_notebook_still_earns_the_kernels(session: GradingSession, submit) -> None:
    folder = submit("goro")
    (folder / "00_tiny.ipynb").write_text('{"cells": [')
    record = session.grade("goro", "00_tiny", folder)
    assert (record.score, record.status) == (3, "partial")
    assert "not valid JSON" in record.problems[0]


def test_the_next_submission_does_not_notice_a_hostile_one(session: GradingSession, submit) -> None:
    hostile = (
        "import numpy as np, builtins\n"
        "np.array_equal = lambda *a, **k: True\n"
        "builtins.len = lambda x: 17\n"
        "def double(x):\n    return x"
    )
    assert session.grade("mallory", "00_tiny", submit("mallory", {"double": hostile})).score < 8
    assert session.grade("ada", "00_tiny", submit("ada")).score == 8


def test_the_same_seed_gives_the_same_record(session: GradingSession, submit) -> None:
    folder = submit("hana", {"halve": "def halve(x):\n    return x / 2.0001"})
    one = session.grade("hana", "00_tiny", folder)
    two = session.grade("hana", "00_tiny", folder)
    assert one.exercises == two.exercises
    assert one.grader_version == two.grader_version


def test_a_software_driver_and_the_interpreter_agree(pack: Pack, submit, wgpu_device) -> None:
    kernels = {
        "ada": None,
        "no guard": (pack.stages[0].shaders / "scale_shift.wgsl").read_text().replace(">= params.n", "< 0u"),
    }
    for student, kernel in kernels.items():
        folder = submit(student, kernel=kernel)
        scores = []
        for device in ("auto", "interpreter"):
            options = GradeOptions(seed=7, device=device)
            with GradingSession(pack, options=options) as opened:
                scores.append(opened.grade(student, "00_tiny", folder).score)
        assert scores[0] == scores[1]


@pytest.mark.parametrize(("factor", "n_lost"), [(1 + 2.0**-12, 0), (1.01, 2)])
def test_a_device_may_round_and_not_compute_something_else(
    pack: Pack, submit, wgpu_device, monkeypatch: pytest.MonkeyPatch, factor: float, n_lost: int
) -> None:
    run = GpuWorker.run

    def drift(self: GpuWorker, job: KernelJob, buffers: dict[int, np.ndarray], timeout_s: float) -> JobResult:
        result = run(self, job, buffers, timeout_s)
        if job.mode == "device":
            (out,) = pack.stages[0].contracts[job.filename].outputs
            size = next(binding.logical_bytes for binding in job.bindings if binding.index == out.binding)
            for after in result.buffers_after:
                changed = after[out.binding].copy()
                changed[:size] = (changed[:size].view(np.float32) * np.float32(factor)).view(np.uint8)
                after[out.binding] = changed
        return result

    monkeypatch.setattr(GpuWorker, "run", drift)
    with GradingSession(pack, options=GradeOptions(seed=7)) as opened:
        found = exercise(opened.grade("ada", "00_tiny", submit("ada")), "scale_shift.wgsl")
    assert found.max_score - found.score == n_lost
    assert ("gives other numbers on another device" in found.message) == (n_lost > 0)


def test_grading_leaves_no_process_behind(pack: Pack, submit) -> None:
    before = children()
    with GradingSession(pack, options=OPTIONS) as opened:
        opened.grade("ada", "00_tiny", submit("ada"))
    assert children() <= before


def children() -> set[int]:
    """Ids of this process's children, where the system tells."""
    found: set[int] = set()
    for path in Path("/proc/self/task").glob("*/children"):
        found |= {int(word) for word in path.read_text().split()}
    return found


LAUNCHES = """
FACTOR = 2.0


def double(x):
    if np.size(x) == 0:
        raise ValueError("x is empty")
    scale = gs.kernel("scale_shift.wgsl")
    return scale(x=np.asarray(x, np.float32).reshape(-1), alpha=1.0 * FACTOR, beta=0.0).reshape(np.shape(x)).astype(float)
"""


def test_a_function_that_is_to_launch_kernels_is_judged_with_the_courses_kernels(pack: Pack, submit) -> None:
    folder = submit("dora", {"double": LAUNCHES}, kernel="// broken")
    lesson = pack.root / "solutions/00_tiny/lesson.py"
    lesson.write_text(
        lesson.read_text().replace("    return as_float(x) * FACTOR", LAUNCHES.partition('empty")\n')[2])
    )
    with GradingSession(Pack(pack.root), options=OPTIONS) as session:
        record = session.grade("dora", "00_tiny", folder)
    assert exercise(record, "double").score == exercise(record, "double").max_score
    assert exercise(record, "scale_shift.wgsl").score == 0


def test_the_courses_kernels_do_not_solve_an_exercise_that_is_about_numpy(
    session: GradingSession, submit
) -> None:
    record = session.grade("dora", "00_tiny", submit("dora", {"double": LAUNCHES}))
    assert "No kernel can be launched here" in exercise(record, "double").message


def test_hints_cost_what_the_instructor_says_and_are_recorded(pack: Pack, submit) -> None:
    folder = submit("eva")
    (folder / "hints_used.json").write_text('{"double": 2, "scale_shift.wgsl": 3, "nothing": 1}')
    with GradingSession(pack, options=msgspec.structs.replace(OPTIONS, hint_costs=(0.0, 0.5))) as session:
        record = session.grade("eva", "00_tiny", folder)
    assert {item.id: item.hints for item in record.exercises} == {
        "double": 2,
        "halve": 0,
        "scale_shift.wgsl": 3,
    }
    double = exercise(record, "double")
    assert (double.score, double.hint_cost) == (double.max_score / 2, double.max_score / 2)
    assert "Hints up to level 2" in double.message
    assert exercise(record, "halve").score == exercise(record, "halve").max_score
    assert record.score == sum(item.score for item in record.exercises)


def test_hints_are_free_unless_a_cost_was_set(session: GradingSession, submit) -> None:
    folder = submit("finn")
    (folder / "hints_used.json").write_text('{"double": 3}')
    record = session.grade("finn", "00_tiny", folder)
    assert (record.score, exercise(record, "double").hints) == (8, 3)
