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

from gradschool.errors import KernelError, SandboxError, SubmissionError
from gradschool.gpu.worker_backend import WorkerBackend
from gradschool.gpu.worker_client import GpuWorker
from gradschool.grading.bench import StageBench
from gradschool.grading.budget import KernelJobs, TimeBudget
from gradschool.grading.calls import Evidence
from gradschool.grading.functions import CourseFunctions, MixedFunctions, WorkerFunctions
from gradschool.grading.judge import Judgement, charge_hints, judge, judge_again, record_of
from gradschool.grading.kernel_desk import KernelDesk, course_kernels
from gradschool.grading.options import GradeOptions
from gradschool.grading.plugin import Bench
from gradschool.grading.probe import KernelBench, KernelProbe
from gradschool.grading.records import (
    DeviceRecord,
    SandboxRecord,
    SubmissionRecord,
)
from gradschool.grading.submission_files import SubmissionFiles, brief, read_submission
from gradschool.grading.version import grader_version
from gradschool.pack import CONTENT_FOLDERS, Pack, Stage
from gradschool.sandbox import CellSource, Limits, Worker, Zygote, capabilities


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
        self._courses: dict[str, CourseFunctions] = {}
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
        for course in self._courses.values():
            course.close()
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
        upstream: bool = False,
    ) -> SubmissionRecord:
        """Grade a submission that was read already.

        Args:
            student: Name for the record.
            stage: Stage of the submission.
            files: The submission as data.
            only: Exercises to judge; default all.
            upstream: Judge what comes before them as well, where one fails: it may be to blame.
        """
        started = time.monotonic()
        bench = self.bench(stage.id)
        problems = list(files.problems)
        self._faults.clear()
        with contextlib.ExitStack() as stack:
            needs_functions = not only or any(not name.endswith(".wgsl") for name in only)
            functions = self._functions(stack, stage, files, problems) if needs_functions else None
            problems = brief(problems)
            probe = self._probe_factory(stage, files)
            bench.plugin.bench = Bench(
                functions=functions,
                signatures=bench.signatures,
                reference=bench.reference,
                make_probe=probe,
                seed=self.options.seed,
            )
            found = [
                judge(bench, exercise.id) for exercise in stage.exercises if not only or exercise.id in only
            ]
            if functions and functions.broken is None:
                earlier = self._earlier(bench, found) if upstream else []
                found = self._look_again(stack, bench, files, found, earlier)
            self._faults += [fault for judgement in found for fault in judgement.faults]
            exercises = [
                charge_hints(
                    record_of(bench, judgement),
                    files.hints.get(judgement.exercise, 0),
                    self.options.hint_costs,
                )
                for judgement in found
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
        worker.desk = self._desk(stage)
        functions = self._worker_functions(worker, stage)
        try:
            report = worker.load(_cells_of(files))
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

    def _earlier(self, bench: StageBench, found: Sequence[Judgement]) -> list[Judgement]:
        """Judge the functions that come before the last failure among `found` and are not among them."""
        names = [item.id for item in bench.stage.exercises if not item.id.endswith(".wgsl")]
        lost = [names.index(item.exercise) for item in found if item.lost and item.exercise in names]
        judged = {item.exercise for item in found}
        before = names[: max(lost, default=0)]
        return [judge(bench, name) for name in before if name not in judged]

    def _look_again(
        self,
        stack: contextlib.ExitStack,
        bench: StageBench,
        files: SubmissionFiles,
        found: Sequence[Judgement],
        earlier: Sequence[Judgement] = (),
    ) -> list[Judgement]:
        """Judge again, with the course's functions for earlier ones that failed, what lost points.

        In the lesson's order, and in a worker of its own: by the time a course's function answers to the
        learner's code, the exercise it is the answer to has been judged.
        """
        by_name = {item.exercise: item for item in (*earlier, *found)}
        in_order = [by_name[item.id] for item in bench.stage.exercises if item.id in by_name]
        failed = [item.exercise for item in in_order if item.lost and not item.exercise.endswith(".wgsl")]
        others = {
            item.exercise: failed[: failed.index(item.exercise)] for item in found if item.exercise in failed
        }
        ended = {item.exercise for item in in_order if item.ended}
        again = [
            item
            for item in found
            # What hung without the help of another would hang again.
            if (names := others.get(item.exercise)) and not item.unwritten
            if not item.ended or ended.intersection(names)
        ]
        if not again:
            return list(found)
        worker = stack.enter_context(self._zygote.spawn())
        worker.desk = self._desk(bench.stage)
        worker.course = course = self._course_functions(bench.stage)
        try:
            worker.load(_cells_of(files))
        except SubmissionError:  # it loaded before; whoever cannot be loaded twice is judged once
            return list(found)
        own = self._worker_functions(worker, bench.stage)
        second = {}
        for item in again:
            stand_ins = others[item.exercise]
            worker.stand_in(stand_ins)
            bench.plugin.bench.functions = MixedFunctions(own, course, frozenset(stand_ins))
            second[item.exercise] = judge_again(bench, item, stand_ins)
        return [second.get(item.exercise, item) for item in found]

    def _worker_functions(self, worker: Worker, stage: Stage) -> WorkerFunctions:
        launching = self.bench(stage.id).launching
        return WorkerFunctions(worker, self.options.call_timeout_s, self._budget(), launching)

    def _budget(self) -> TimeBudget:
        # Calls, kernels and a second look: together less than a slot is waited for.
        return TimeBudget(self.options.submission_timeout_s / 4)

    def _course_functions(self, stage: Stage) -> CourseFunctions:
        if stage.id not in self._courses:
            self._courses[stage.id] = CourseFunctions(
                self._zygote, stage, self._desk(stage), self.options.call_timeout_s
            )
        return self._courses[stage.id]

    def _desk(self, stage: Stage) -> KernelDesk:
        return KernelDesk(
            course_kernels(stage.shaders), lambda: WorkerBackend(self._course.info, self._course.run)
        )

    def _probe_factory(self, stage: Stage, files: SubmissionFiles) -> Any:
        jobs = KernelJobs(self._gpu, self.options.kernel_timeout_s, self._budget())

        def run(job: Any, buffers: Mapping[int, Any]) -> Any:
            self._kernels_ran = True
            return jobs.run(job, buffers)

        hung: dict[str, KernelError] = {}
        bench = KernelBench(run, has_device=self._gpu.info.kind != "interpreter", hung=hung)

        def make(evidence: Evidence) -> KernelProbe:
            return KernelProbe(stage.contracts, files.kernels, bench, evidence)

        return make

    def _device_record(self) -> DeviceRecord:
        info = self._gpu.info
        return DeviceRecord(name=info.name, kind=info.kind, driver=info.driver)


def _cells_of(files: SubmissionFiles) -> list[CellSource]:
    return [CellSource(cell.index, cell.id, cell.role, cell.source) for cell in files.cells or ()]
