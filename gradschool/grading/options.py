"""What a grading run was asked to do."""

from __future__ import annotations

import msgspec


class GradeOptions(msgspec.Struct, kw_only=True, frozen=True):
    """Options of a grading run; they travel to the slots as JSON.

    Attributes:
        seed: Seed of every hidden test's random inputs; recorded, so a grade can be redone.
        device: `auto`, `gpu`, `software` or `interpreter`.
        call_timeout_s: Wall time one call of a learner's function may take.
        kernel_timeout_s: Wall time one kernel job may take.
        submission_timeout_s: Wall time after which a slot that answers nothing is replaced.
        n_slots: Submissions graded side by side.
        allow_weak_sandbox: Grade even where this platform cannot isolate a submission.
        force: Grade again what has a current record.
        hint_costs: Share of an exercise's points that is lost once its first, second, third hint was opened.
        students: Only these, when not empty.
        stages: Only these, when not empty.
        exercises: Judge only these again, in records that exist, when not empty.
        changed: Grade only what another grader has graded.
    """

    seed: int = 0
    device: str = "auto"
    call_timeout_s: float = 10.0
    kernel_timeout_s: float = 10.0
    submission_timeout_s: float = 900.0
    n_slots: int = 2
    allow_weak_sandbox: bool = False
    force: bool = False
    hint_costs: tuple[float, ...] = ()
    students: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    exercises: tuple[str, ...] = ()
    changed: bool = False
