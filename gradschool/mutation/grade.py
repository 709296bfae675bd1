"""Grade one mutant as a submission is graded, and stop at the first test that notices."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Literal

import msgspec
import numpy as np
import pytest

from gradschool.errors import KernelCompileError, KernelCrashed, KernelTimeout, PackError, SandboxError
from gradschool.gpu.jobs import JobResult, KernelJob
from gradschool.gpu.worker_client import GpuWorker
from gradschool.grading.bench import StageBench
from gradschool.grading.fill import reference_functions, reference_kernels
from gradschool.grading.options import GradeOptions
from gradschool.grading.plugin import Bench
from gradschool.grading.records import DeviceRecord
from gradschool.grading.session import GradingSession
from gradschool.grading.submission_files import SourceCell, SubmissionFiles
from gradschool.pack import Pack, Stage
from gradschool.verify.proofs import submission_of

How = Literal["test", "compile", "hang", "fault"]

# A mutant that takes this many times as long as the reference never ends.
PATIENCE = 20
SHORTEST_S = 2.0
# So does a kernel that takes this many times as many steps: more than 64 invocations that each do the work of all.
STEPS = 70
FEWEST_STEPS = 2_000


class Death(msgspec.Struct, frozen=True):
    """What noticed a mutant.

    Attributes:
        test: The hidden test, with its case.
        how: By what it answers, because it does not compile, or because it never ends; a `fault` is
            the grader's own, and no test noticed anything.
        message: First line of what a learner would read.
    """

    test: str
    how: How
    message: str


class WatchedGpu(GpuWorker):
    """A worker that gives up on a kernel early and remembers why the last one failed."""

    max_steps: int | None = None
    most_steps = 0
    how: How = "test"

    def run(self, job: KernelJob, buffers: Mapping[int, np.ndarray], timeout_s: float = 10.0) -> JobResult:
        """Run one job, see `GpuWorker.run`."""
        if self.max_steps is not None:
            job = msgspec.structs.replace(job, max_steps=min(job.max_steps, self.max_steps))
        try:
            result = super().run(job, buffers, timeout_s)
        except KernelCompileError:
            self.how = "compile"
            raise
        except (KernelTimeout, KernelCrashed):
            self.how = "hang"
            raise
        self.most_steps = max(self.most_steps, result.steps)
        return result


class MutantSession(GradingSession):
    """A grading session for answers that differ from the reference in one place.

    Cases that notice many mutants for little time run first.

    Args:
        pack: The course with its hidden half.
        options: Seed and device.
    """

    def __init__(self, pack: Pack, options: GradeOptions) -> None:
        super().__init__(pack, options=options)
        self._gpu: WatchedGpu = WatchedGpu(device=options.device)
        self._full = options
        self._kills: Counter[pytest.Function] = Counter()
        self._seconds: dict[pytest.Function, float] = {}
        self._patience: dict[tuple[str, str], tuple[float, int]] = {}
        self._slowest_s = 0.0

    def try_answer(self, stage: Stage, exercise: str, source: str) -> Death | None:
        """Return which hidden test notices that `source` is not the reference, None if none does.

        What only a backward pass can see of its forward's cache is found by the backward's tests.

        Raises:
            PackError: The reference itself fails.
        """
        for judge in judges_of(stage, exercise):
            self._be_patient(stage, judge)
            try:
                death = self._grade(stage, exercise, source, judge)
            except SandboxError as error:
                return Death(judge, "fault", error.message)
            if death is not None:
                return death
        return None

    def device_record(self) -> DeviceRecord:
        """Return the device that kernels run on."""
        return self._device_record()

    def _be_patient(self, stage: Stage, judge: str) -> None:
        """Set the limits by what the reference takes, and prove that it passes."""
        key = (stage.id, judge)
        if key not in self._patience:
            self.options, self._gpu.max_steps = self._full, None
            self._slowest_s = self._gpu.most_steps = 0
            death = self._grade(stage, judge, None, judge)
            if death is not None:
                raise PackError(
                    f"The reference of {judge} in {stage.id} fails {death.test}: {death.message}",
                    help=f"Mend it first: `gradschool verify {stage.id[:2]}`.",
                )
            self._patience[key] = (self._slowest_s, self._gpu.most_steps)
        seconds, steps = self._patience[key]
        limit_s = max(SHORTEST_S, PATIENCE * seconds)
        self.options = msgspec.structs.replace(
            self._full,
            call_timeout_s=min(limit_s, self._full.call_timeout_s),
            kernel_timeout_s=min(limit_s, self._full.kernel_timeout_s),
        )
        self._gpu.max_steps = FEWEST_STEPS + STEPS * steps

    def _grade(self, stage: Stage, exercise: str, source: str | None, judge: str) -> Death | None:
        """Run the cases of `judge` on a submission, until one fails."""
        files = _with_answer(stage, exercise, source) if source is not None else _all_right(stage)
        bench = self.bench(stage.id)
        self._gpu.how = "test"
        with contextlib.ExitStack() as stack:
            functions = None if judge.endswith(".wgsl") else self._functions(stack, stage, files, [])
            bench.plugin.bench = Bench(
                functions=functions,
                signatures=bench.signatures,
                reference=bench.reference,
                make_probe=self._probe_factory(stage, files),
                seed=self.options.seed,
            )
            items = [item for _, cases in bench.tests_of(judge) for item in cases]
            if not items:
                raise PackError(f"No hidden test of {stage.id} judges {judge}.")
            death = None
            for item in sorted(items, key=self._cost):
                death = self._run(bench, item)
                if death is not None:
                    break
        if self._kernels_ran and self._gpu.info.kind != "interpreter":
            # A driver keeps a little of every kernel.
            self._gpu.recycle()
        return death

    def _cost(self, item: pytest.Function) -> float:
        """Seconds that a case takes per mutant it has noticed."""
        return self._seconds.get(item, 0.0) / (1 + self._kills[item])

    def _run(self, bench: StageBench, item: pytest.Function) -> Death | None:
        evidence = bench.plugin.bench.fresh_evidence()
        started = time.monotonic()
        result = bench.host.run(item)
        seconds = time.monotonic() - started
        self._slowest_s = max(self._slowest_s, seconds)
        self._seconds.setdefault(item, seconds)
        if result.fault:
            return Death(item.name, "fault", result.fault)
        if result.outcome == "passed":
            return None
        self._kills[item] += 1
        raised = evidence.calls[-1].raised if evidence.calls else ""
        how = "hang" if raised in ("CallTimeout", "WorkerDied") else self._gpu.how
        lines = result.message.splitlines()
        return Death(item.name, how, lines[0] if lines else result.outcome)


def judges_of(stage: Stage, exercise: str) -> list[str]:
    """Return the exercises whose tests see an answer: its own, and the backward pass that reads its cache."""
    backward = exercise.removesuffix("_forward") + "_backward"
    others = {other.id for other in stage.exercises}
    return [exercise, backward] if exercise.endswith("_forward") and backward in others else [exercise]


# The references do not change while mutants are graded; a stage's notebook is built once.
@lru_cache(maxsize=16)
def _all_right(stage: Stage) -> SubmissionFiles:
    files = submission_of(stage, reference_functions(stage), reference_kernels(stage))
    # A cell costs a message to the sandbox and back; these are not run while grading.
    cells = [cell for cell in files.cells or () if cell.role not in ("demo", "check")]
    return dataclasses.replace(files, cells=cells)


def _with_answer(stage: Stage, exercise: str, source: str) -> SubmissionFiles:
    right = _all_right(stage)
    if exercise.endswith(".wgsl"):
        return dataclasses.replace(right, kernels={**right.kernels, exercise: source})
    reference = reference_functions(stage)[exercise].strip("\n")
    cells = right.cells or []
    # Were it missing, the reference would be graded, and every mutant survive.
    place = next(i for i, cell in enumerate(cells) if cell.source == reference)
    mutated = dataclasses.replace(cells[place], source=source.strip("\n"))
    around = [*_joined(cells[:place]), mutated, *_joined(cells[place + 1 :])]
    return dataclasses.replace(right, cells=around)


def _joined(cells: Sequence[SourceCell]) -> list[SourceCell]:
    """Join neighbours that only define: none of them can fail, whatever the mutant does."""
    found: list[SourceCell] = []
    for defines, group in groupby(cells, key=lambda cell: only_defines(cell.source)):
        group = list(group)
        text = "\n\n".join(cell.source for cell in group)
        found += [dataclasses.replace(group[0], source=text)] if defines else group
    return found


@lru_cache(maxsize=1_000)
def only_defines(source: str) -> bool:
    """Whether a cell holds nothing but imports, functions and classes."""
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    return all(isinstance(node, kinds) for node in ast.parse(source).body)
