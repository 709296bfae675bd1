"""`gradschool mutate` grades mutants as submissions are graded, and says what became of each."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator

import msgspec
import pytest

from gradschool.errors import UsageError
from gradschool.grading.fill import reference_functions, reference_kernels
from gradschool.grading.options import GradeOptions
from gradschool.grading.records import DeviceRecord
from gradschool.mutation import plan
from gradschool.mutation.equivalents import Equivalent, template
from gradschool.mutation.grade import Death, How, MutantSession, judges_of
from gradschool.mutation.records import ExerciseMutants, MutantRecord, MutationRecord
from gradschool.mutation.run import Work, count
from gradschool.mutation.view import summary
from gradschool.pack import find_pack

PACK = find_pack()
STAGE = PACK.stage("00_first_kernel")
FUNCTION, KERNEL = "workgroups_for", "add_forward.wgsl"


@pytest.fixture(scope="module")
def session() -> Iterator[MutantSession]:
    with MutantSession(PACK, GradeOptions(device="interpreter")) as session:
        yield session


def test_a_function_and_a_kernel_lose_every_mutant() -> None:
    chosen = f"mutate 00 --exercise {FUNCTION} --exercise {KERNEL} --json -j 1"
    done = subprocess.run(
        [sys.executable, "-m", "gradschool", *chosen.split()],
        cwd=PACK.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    record = msgspec.convert(json.loads(done.stdout), MutationRecord)
    assert [one.exercise for one in record.exercises] == [FUNCTION, KERNEL]
    assert all(one.killed == one.mutants > 10 for one in record.exercises)
    assert record.holds
    assert record.device.kind == "interpreter"
    assert done.returncode == 0


def function(change: str) -> str:
    return reference_functions(STAGE)[FUNCTION].replace("+ workgroup_size - 1) // workgroup_size", change)


def kernel(change: str) -> str:
    return reference_kernels(STAGE)[KERNEL].replace("a[i] + b[i];", change)


def test_the_reference_is_noticed_by_no_test(session: MutantSession) -> None:
    assert session.try_answer(STAGE, FUNCTION, reference_functions(STAGE)[FUNCTION]) is None
    assert session.try_answer(STAGE, KERNEL, reference_kernels(STAGE)[KERNEL]) is None


def test_what_notices_a_mutant_is_named(session: MutantSession) -> None:
    death = session.try_answer(STAGE, FUNCTION, function(") // workgroup_size"))
    assert death is not None
    assert death.how == "test"
    assert death.test.startswith("test_")
    assert "too few workgroups" in death.message


def test_a_function_that_never_ends_is_noticed(session: MutantSession) -> None:
    source = function(") // workgroup_size").replace("    return", "    while True: pass\n    return")
    death = session.try_answer(STAGE, FUNCTION, source)
    assert death is not None
    assert death.how == "hang"


def test_a_kernel_that_does_not_compile_is_noticed(session: MutantSession) -> None:
    death = session.try_answer(STAGE, KERNEL, kernel("a[i] + b[i"))
    assert death is not None
    assert death.how == "compile"


def test_a_kernel_that_never_ends_is_noticed_and_the_next_is_graded(session: MutantSession) -> None:
    death = session.try_answer(STAGE, KERNEL, kernel("a[i] + b[i];\n  while (true) { out[i] += 1.0; }"))
    assert death is not None
    assert death.how == "hang"
    assert session.try_answer(STAGE, KERNEL, reference_kernels(STAGE)[KERNEL]) is None


def test_a_forward_pass_is_judged_by_its_backward_pass_too() -> None:
    stage = PACK.stage("01")
    assert judges_of(stage, "softmax_forward") == ["softmax_forward", "softmax_backward"]
    assert judges_of(stage, "softmax_backward") == ["softmax_backward"]
    assert judges_of(stage, "softmax_forward.wgsl") == ["softmax_forward.wgsl"]


def test_an_exercise_that_does_not_exist_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no exercise 'nothing'"):
        plan([STAGE], ["nothing"])


def counted(how: How | None, *, is_listed: bool = False) -> ExerciseMutants:
    """Count a single mutant that was noticed in this way."""
    [work] = plan([STAGE], [KERNEL])
    mutant = work.mutants[0]
    listed = {mutant.id: Equivalent(KERNEL, mutant.old, mutant.new, "why")} if is_listed else {}
    death = Death("test_a", how, "m") if how else None
    return count(Work(STAGE, KERNEL, [mutant], listed), {(STAGE.id, mutant.id): death})


def test_a_mutant_that_a_test_notices_is_killed() -> None:
    found = counted("hang")
    assert (found.killed, found.endless, found.not_compiled) == (1, 1, 0)
    assert found.holds


def test_a_mutant_that_no_test_notices_survives() -> None:
    found = counted(None)
    assert len(found.survivors) == 1
    assert not found.holds


def test_a_listed_mutant_that_no_test_notices_is_equivalent() -> None:
    found = counted(None, is_listed=True)
    assert [mutant.why for mutant in found.equivalent] == ["why"]
    assert found.holds


def test_a_listed_mutant_that_a_test_notices_is_a_fault() -> None:
    found = counted("test", is_listed=True)
    assert found.faults == [f"{KERNEL}:component:1 is listed as equivalent, but test_a notices it."]
    assert not found.holds


def test_a_mutant_that_cannot_be_graded_is_a_fault_and_not_killed() -> None:
    found = counted("fault")
    assert found.killed == 0
    assert found.faults == [f"{KERNEL}:component:1 could not be graded: test_a: m"]
    assert not found.holds


SURVIVOR = MutantRecord(id="add.wgsl:guard:1", line=3, old="if (a) {\n  x = 1;", new="if (a) {\n  x = 2;")
RECORD = MutationRecord(
    exercises=[
        ExerciseMutants(stage="00_first_kernel", exercise="add.wgsl", mutants=2, survivors=[SURVIVOR])
    ],
    device=DeviceRecord(name="none", kind="interpreter"),
    seed=0,
    seconds=1.0,
)


def test_the_report_shows_the_lines_that_differ(capsys: pytest.CaptureFixture[str]) -> None:
    summary(RECORD)
    shown = capsys.readouterr().out
    assert "line 3: add.wgsl:guard:1 survives\n  - x = 1;\n  + x = 2;\n" in shown
    assert "2 mutants: 0 killed" in shown


def test_survivors_can_be_printed_as_entries_to_fill_in() -> None:
    [entry] = tomllib.loads(template(RECORD))["equivalent"]
    assert entry == {"exercise": "add.wgsl", "old": SURVIVOR.old, "new": SURVIVOR.new, "why": ""}
