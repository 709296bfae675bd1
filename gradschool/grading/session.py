"""One slot of grading: warm workers, open test sessions, one submission after another."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from gradschool.errors import CallTimeout, KernelError, SandboxError, SubmissionError, WorkerDied
from gradschool.gpu.worker_backend import WorkerBackend
from gradschool.gpu.worker_client import GpuWorker
from gradschool.grading.bench import StageBench
from gradschool.grading.calls import Evidence
from gradschool.grading.host import CaseResult
from gradschool.grading.kernel_desk import KernelDesk, course_kernels
from gradschool.grading.options import GradeOptions
from gradschool.grading.plugin import Bench
from gradschool.grading.probe import KernelBench, KernelProbe
from gradschool.grading.records import (
    DeviceRecord,
    ExerciseRecord,
    SandboxRecord,
    SubmissionRecord,
    TestRecord,
)
from gradschool.grading.submission_files import SubmissionFiles, read_submission
from gradschool.grading.version import grader_version
from gradschool.hints import cost_of
from gradschool.pack import CONTENT_FOLDERS, Pack, Stage
from gradschool.sandbox import CallResult, CellSource, Limits, Worker, Zygote, capabilities


class GradingSession:
    """Grades submissions with warm workers; use as a context manager.

    Args:
        pack: The course with its hidden half.
        stages: Stage ids to be ready for; default all. Each is loaded on first use.
        options: What was asked for.

    Raises:
        SandboxError: This platform cannot isolate a submission and that was not allowed.
    """

    def __init__(self, pack: Pack, stages: Sequence[str] = (), options: GradeOptions | None = None) -> None:
        self.pack = pack
        self.options = options or GradeOptions()
        self._stages = {stage.id: stage for stage in pack.stages if not stages or stage.id in stages}
        self._benches: dict[str, StageBench] = {}
        self._faults: list[str] = []
        self.sandbox = self._require_sandbox()
        self._zygote = Zygote(
            limits=Limits(call_s=self.options.call_timeout_s),
            hidden=[pack.root / name for name in CONTENT_FOLDERS],
        )
        self._gpu = GpuWorker(device=self.options.device)
        self._kernels_ran = False
        # The course's own kernels never run where a learner's do.
        self._course = GpuWorker(device="interpreter")

    def _require_sandbox(self) -> SandboxRecord:
        found = capabilities()
        record = msgspec.convert({"level": found.level, "missing": list(found.missing)}, SandboxRecord)
        if record.level != "full" and not self.options.allow_weak_sandbox:
            raise SandboxError(
                f"This platform cannot isolate submissions: it lacks {', '.join(record.missing)}.",
                help="Grade on Linux, or accept the risk with --allow-weak-sandbox; the record will say so.",
            )
        return record

    def __enter__(self) -> Self:
        self._zygote.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for bench in self._benches.values():
            bench.close()
        self._gpu.close()
        self._course.close()
        self._zygote.close()

    def bench(self, stage_id: str) -> StageBench:
        """Return the open test session of a stage."""
        if stage_id not in self._benches:
            self._benches[stage_id] = StageBench(self._stages[stage_id])
        return self._benches[stage_id]

    def grade(self, student: str, stage_id: str, folder: Path) -> SubmissionRecord:
        """Grade the work in `folder` and return its record."""
        stage = self._stages[stage_id]
        return self.grade_files(student, stage, read_submission(folder, stage))

    def grade_files(
        self,
        student: str,
        stage: Stage,
        files: SubmissionFiles,
        *,
        only: Sequence[str] = (),
    ) -> SubmissionRecord:
        """Grade a submission that was read already.

        Args:
            student: Name for the record.
            stage: Stage of the submission.
            files: The submission as data.
            only: Exercises to judge; default all.
        """
        started = time.monotonic()
        bench = self.bench(stage.id)
        problems = list(files.problems)
        self._faults.clear()
        with contextlib.ExitStack() as stack:
            needs_functions = not only or any(not name.endswith(".wgsl") for name in only)
            functions = self._functions(stack, stage, files, problems) if needs_functions else None
            probe = self._probe_factory(stage, files)
            bench.plugin.bench = Bench(
                functions=functions,
                signatures=bench.signatures,
                reference=bench.reference,
                make_probe=probe,
                seed=self.options.seed,
            )
            exercises = [
                self._charge(self._judge(bench, exercise.id), files.hints.get(exercise.id, 0))
                for exercise in stage.exercises
                if not only or exercise.id in only
            ]
            status = "partial" if problems else "graded"
            problems += functions.attempts if functions else []
            if self._faults:
                # Never the student's fault, so never silently a score: the next run grades it again.
                status = "not-graded"
                problems.insert(0, f"The grader itself failed ({self._faults[0]}). Your instructor was told.")
        if self._kernels_ran:
            # Nothing of one student's kernels stays on the device for the next.
            self._gpu.recycle()
            self._kernels_ran = False
        return SubmissionRecord(
            student=student,
            stage=stage.id,
            score=sum(item.score for item in exercises),
            max_score=sum(item.max_score for item in exercises),
            status=status,
            exercises=exercises,
            device=self._device_record(),
            sandbox=self.sandbox,
            seed=self.options.seed,
            grader_version=grader_version(stage),
            seconds=round(time.monotonic() - started, 3),
            problems=problems,
            hint_costs=list(self.options.hint_costs),
            submission_digest=files.digest,
            graded_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def _functions(
        self, stack: contextlib.ExitStack, stage: Stage, files: SubmissionFiles, problems: list[str]
    ) -> WorkerFunctions | None:
        if files.cells is None:
            return None
        worker = stack.enter_context(self._zygote.spawn())
        worker.desk = KernelDesk(
            course_kernels(stage.shaders), lambda: WorkerBackend(self._course.info, self._course.run)
        )
        functions = WorkerFunctions(worker, self.options.call_timeout_s)
        cells = [CellSource(cell.index, cell.id, cell.role, cell.source) for cell in files.cells]
        try:
            report = worker.load(cells)
        except SubmissionError as error:
            problems.append(f"The notebook could not be run: {error.message}")
            functions.broken = error
            return functions
        problems.extend(
            f"{cell.error} {cell.help}".strip()
            for cell in report.cells
            # A cell that tries out a function which is not written yet is no damage.
            if not cell.ok and cell.exception_type != "NotImplementedError"
        )
        return functions

    def _probe_factory(self, stage: Stage, files: SubmissionFiles) -> Any:
        def run(job: Any, buffers: Mapping[int, Any]) -> Any:
            self._kernels_ran = True
            return self._gpu.run(job, dict(buffers), timeout_s=self.options.kernel_timeout_s)

        hung: dict[str, KernelError] = {}
        bench = KernelBench(run, has_device=self._gpu.info.kind != "interpreter", hung=hung)

        def make(evidence: Evidence) -> KernelProbe:
            return KernelProbe(stage.contracts, files.kernels, bench, evidence)

        return make

    def _device_record(self) -> DeviceRecord:
        info = self._gpu.info
        return DeviceRecord(name=info.name, kind=info.kind, driver=info.driver)

    def _charge(self, record: ExerciseRecord, level: int) -> ExerciseRecord:
        """Note which hints were opened, and take what they cost."""
        share = cost_of(level, self.options.hint_costs)
        cost = min(record.score, share * record.max_score)
        message = record.message
        if cost > 0:
            message = f"{message}\nHints up to level {level} were opened: {cost:g} points.".strip()
        return msgspec.structs.replace(
            record, score=record.score - cost, message=message, hints=level, hint_cost=cost
        )

    def _judge(self, bench: StageBench, exercise: str) -> ExerciseRecord:
        tests: list[TestRecord] = []
        failed: list[Evidence] = []
        passed: list[Evidence] = []
        for name, items in bench.tests_of(exercise):
            worst = _run_test(bench, items, failed, passed)
            if worst is not None and worst.fault:
                self._faults.append(f"{exercise}, {name}: {worst.fault}")
            points = bench.points[name]
            tests.append(
                TestRecord(
                    name=name,
                    score=float(points) if worst is None else 0.0,
                    max_score=float(points),
                    outcome="passed" if worst is None else worst.outcome,
                    message="" if worst is None else worst.message,
                )
            )
        found, explains_all = bench.namer.name(exercise, failed, passed) if failed else (None, False)
        message = next((test.message for test in tests if test.message), "")
        if found:
            message = found.help if explains_all else f"{message}\n{found.help}"
        return ExerciseRecord(
            id=exercise,
            score=sum(test.score for test in tests),
            max_score=float(sum(bench.points[name] for name, _ in bench.tests_of(exercise))),
            message=message,
            misconception=found.id if found else None,
            tests=tests,
        )


def _run_test(
    bench: StageBench, items: Sequence[Any], failed: list[Evidence], passed: list[Evidence]
) -> CaseResult | None:
    """Run every case of a test and return the first failure; later cases still tell mistakes apart."""
    worst = None
    for item in items:
        evidence = bench.plugin.bench.fresh_evidence()
        result = bench.host.run(item)
        (passed if result.outcome == "passed" else failed).append(evidence)
        if result.outcome != "passed" and worst is None:
            worst = result
    return worst


class WorkerFunctions:
    """A learner's functions in the sandboxed worker, with patience that ends.

    A function that hung once is not called again for this submission: thirty hidden tests
    would otherwise wait thirty times.
    """

    def __init__(self, worker: Worker, timeout_s: float) -> None:
        self._worker = worker
        self._timeout_s = timeout_s
        self._given_up: dict[str, SubmissionError] = {}
        self.broken: SubmissionError | None = None

    @property
    def attempts(self) -> list[str]:
        """Sentences about what the submission tried and was refused."""
        return [f"The submission tried to {attempt}; this was refused." for attempt in self._worker.attempts]

    def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> CallResult:
        """Call the function `name` in the worker."""
        if self.broken is not None:
            raise self.broken
        if name in self._given_up:
            raise self._given_up[name]
        try:
            return self._worker.call(name, args, dict(kwargs), timeout_s=self._timeout_s)
        except SubmissionError as error:
            if isinstance(error, CallTimeout | WorkerDied):
                self._given_up[name] = error
            raise
