"""Records as grading writes them, one of each kind."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gradschool.grading.records import (
    DeviceRecord,
    ExerciseRecord,
    SandboxRecord,
    SubmissionRecord,
    TestRecord,
)

HELP = (
    "The maximum is taken over the whole array. Each row needs its own maximum: reduce over the last axis "
    "with `keepdims=True` and subtract that."
)
COMPILE = """\
`softmax_forward.wgsl` does not compile: unknown identifier `grup_id`.
   ┌─ softmax_forward.wgsl:31:13
   │
31 │   let row = grup_id.x;
   │             ^^^^^^^ unknown identifier
Declare the name before you use it, or mend its spelling."""
PARTLY = "dx: 12 of 35 values differ; the worst is at (2, 4). The answer is the right one negated."


def make_test(name: str, outcome: str = "passed", worth: float = 1, message: str = "") -> TestRecord:
    """Return the record of one hidden test."""
    return TestRecord(
        name=name,
        score=worth if outcome == "passed" else 0,
        max_score=worth,
        outcome=outcome,  # type: ignore[arg-type]
        message=message,
    )


def make_exercise(
    name: str, tests: list[TestRecord], message: str = "", misconception: str | None = None
) -> ExerciseRecord:
    """Return the record of one exercise, its points added up."""
    return ExerciseRecord(
        id=name,
        score=sum(test.score for test in tests),
        max_score=sum(test.max_score for test in tests),
        message=message,
        misconception=misconception,
        tests=tests,
    )


def make_record(
    student: str, exercises: list[ExerciseRecord], stage: str = "01_perceptron", **values
) -> SubmissionRecord:
    """Return the record of one submission, its points added up."""
    score = sum(exercise.score for exercise in exercises)
    defaults = {
        "score": score,
        "max_score": sum(exercise.max_score for exercise in exercises),
        "status": "graded",
        "device": DeviceRecord(name="llvmpipe (LLVM 19.1)", kind="software", driver="Mesa 25.0"),
        "sandbox": SandboxRecord(level="full"),
        "seed": 20240617,
        "grader_version": "0.1.0",
        "seconds": 1.42,
        "submission_digest": "9f2c41ab77e0d3",
        "graded_at": "2026-11-22T09:30:00Z",
    }
    return SubmissionRecord(student=student, stage=stage, exercises=exercises, **{**defaults, **values})


def sample_exercises() -> list[ExerciseRecord]:
    """Return exercises in every state."""
    return [
        make_exercise(
            "affine_forward",
            [
                make_test("test_affine_equals_the_reference", worth=2),
                make_test("test_affine_keeps_its_inputs"),
            ],
        ),
        make_exercise(
            "affine_backward",
            [
                make_test("test_affine_gradients_have_the_right_shapes"),
                make_test("test_affine_gradients_match_finite_differences", "failed", 2, PARTLY),
            ],
            PARTLY,
        ),
        make_exercise(
            "softmax_forward",
            [
                make_test("test_softmax_rows_are_distributions", worth=2),
                make_test("test_softmax_is_stable_at_large_scores", "failed", 2, HELP),
                make_test("test_softmax_masks_with_minus_infinity", "failed", 1, "out is NaN in 3 places."),
            ],
            HELP,
            "global-max",
        ),
        make_exercise(
            "softmax_backward",
            [make_test("test_softmax_gradient", "error", 3, "`softmax_backward` is not written yet.")],
            "`softmax_backward` is not written yet.",
        ),
        make_exercise("sgd_step", [make_test("test_sgd_returns_new_arrays", worth=2)]),
        make_exercise(
            "affine_forward.wgsl",
            [make_test("test_affine_kernel_numbers", worth=2), make_test("test_affine_kernel_is_safe")],
        ),
        make_exercise(
            "softmax_forward.wgsl",
            [
                make_test("test_softmax_kernel_numbers", "error", 2, COMPILE),
                make_test("test_softmax_kernel_is_safe", "not-run", 1),
            ],
            COMPILE,
        ),
        make_exercise(
            "sgd_step.wgsl",
            [
                make_test("test_sgd_kernel_numbers", worth=2),
                make_test(
                    "test_sgd_kernel_is_safe",
                    "failed",
                    1,
                    "`p` was written past its end: 57 values after the last one changed. Return when the index is not below `params.n`.",
                ),
            ],
            "`p` was written past its end: 57 values after the last one changed. Return when the index is not below `params.n`.",
            "no-guard",
        ),
    ]


@pytest.fixture
def record() -> SubmissionRecord:
    """A submission that is right in some places and wrong in others."""
    return make_record("Amara Okafor", sample_exercises())


@pytest.fixture
def make() -> Callable[..., SubmissionRecord]:
    """Make a record: `make(student, exercises, stage=..., ...)`."""
    return make_record


@pytest.fixture
def exercise() -> Callable[..., ExerciseRecord]:
    """Make an exercise: `exercise(id, tests, message, misconception)`."""
    return make_exercise


@pytest.fixture
def hidden_test() -> Callable[..., TestRecord]:
    """Make a test: `hidden_test(name, outcome, worth, message)`."""
    return make_test


@pytest.fixture
def class_records() -> list[SubmissionRecord]:
    """A small class over two stages."""
    good, mixed = sample_exercises()[:1], sample_exercises()
    first = [make_exercise("add_forward.wgsl", [make_test("test_add_numbers", worth=2)])]
    weak = SandboxRecord(level="partial", missing=["seccomp: the kernel refuses filters"])
    return [
        make_record("Amara Okafor", mixed),
        make_record("Amara Okafor", first, "00_first_kernel"),
        make_record("Björk Li", good),
        make_record("Chen Wei", mixed, sandbox=weak),
        make_record(
            "Dita Novák",
            [],
            max_score=20,
            status="partial",
            problems=["The notebook is not JSON: line 3, column 9.\nSave it again in JupyterLab."],
        ),
        make_record(
            "Eva Lind", [], max_score=20, status="not-graded", problems=["The GPU worker could not start."]
        ),
    ]
