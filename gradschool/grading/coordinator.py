"""Grade a class: find the submissions, give them out, keep every record.

Each record is written whole, under its final name, the moment its submission is done.
Whatever ends this process, a second run starts where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gradschool.grading.local_slots import Graded, run_local
from gradschool.grading.options import GradeOptions
from gradschool.grading.plan import decide, find_submissions, merge
from gradschool.grading.records import DeviceRecord, SandboxRecord, SubmissionRecord, lost_functions
from gradschool.grading.results import Results
from gradschool.grading.slot_messages import SlotAnswer, SlotTask
from gradschool.grading.version import grader_version
from gradschool.pack import Pack

OnRecord = Callable[[SubmissionRecord, bool], None]


class Run(Protocol):
    """Has submissions graded somewhere; closing the iterator ends the work."""

    def __call__(
        self, tasks: Sequence[SlotTask], pack: Pack, options: GradeOptions
    ) -> Generator[Graded, None, None]:
        """Yield each task with its answer, in any order."""
        ...


@dataclass
class ClassResult:
    """What a run did.

    Attributes:
        records: The records of the submissions that were asked for, old ones included, sorted.
        n_graded: How many were graded in this run, wholly or in part.
        n_kept: How many had a current record already.
        n_left: How many have no record that a regrade by exercise or grader could start from.
        failures: Sentences about submissions the grader itself could not judge, and about files among
            the results that are no records.
    """

    records: list[SubmissionRecord] = field(default_factory=list)
    n_graded: int = 0
    n_kept: int = 0
    n_left: int = 0
    failures: list[str] = field(default_factory=list)


def grade_class(
    submissions: Path,
    out: Path,
    options: GradeOptions | None = None,
    *,
    pack: Pack,
    run: Run = run_local,
    on_total: Callable[[int], None] = lambda n: None,
    on_record: OnRecord = lambda record, kept: None,
) -> ClassResult:
    """Grade every submission and write records, feedback, tables and the class page to `out`.

    Args:
        submissions: `<student>/<NN_stage>/` folders.
        out: Where `<student>/<NN_stage>.json` and the pages go.
        options: Options of the run.
        pack: The course.
        run: Where submissions are graded; by default on this machine.
        on_total: Called with the number of submissions, and again when some of them are left.
        on_record: Called with each record and whether it was kept from an earlier run.

    Raises:
        UsageError: Nothing to grade, or another run writes to `out`.
        GradschoolError: No slot could be started, or a record cannot be written.
    """
    options = options or GradeOptions()
    tasks = find_submissions(submissions, pack, options)
    result = ClassResult()
    with Results(out) as results:
        keeper = _Keeper(results, options, pack, result, on_record)
        on_total(len(tasks))
        pending = [task for task in map(keeper.plan, tasks) if task is not None]
        if result.n_left:
            on_total(len(tasks) - result.n_left)
        if pending:
            with closing(run(pending, pack, options)) as answers:
                for task, answer in answers:
                    keeper.keep(task, answer)
        records, complaints = results.write_class("gradschool")
    asked = {(task.student, task.stage) for task in tasks}
    # While grading, no record stays in memory; now the class is read once.
    result.records = [record for record in records if (record.student, record.stage) in asked]
    result.failures += complaints
    return result


class _Keeper:
    """Decides what is to be graded, and keeps what came of it."""

    def __init__(
        self, results: Results, options: GradeOptions, pack: Pack, result: ClassResult, on_record: OnRecord
    ) -> None:
        self._results = results
        self._options = options
        self._stages = {stage.id: stage for stage in pack.stages}
        self._result = result
        self._on_record = on_record

    def plan(self, task: SlotTask) -> SlotTask | None:
        """Return the work to do on a submission, None when there is none."""
        record = self._results.read(task.student, task.stage)
        decision = decide(task, record, self._options, self._stages[task.stage])
        if decision.what == "grade":
            lost = lost_functions(record) if record is not None and decision.only else ()
            return SlotTask(task.student, task.stage, task.folder, decision.only, tuple(lost))
        if decision.what == "leave" or record is None:
            self._result.n_left += 1
            return None
        self._results.mend_pages(record)
        self._result.n_kept += 1
        self._on_record(record, True)
        return None

    def keep(self, task: SlotTask, answer: SlotAnswer) -> None:
        """Write the record of a submission that was graded."""
        record = answer.record or self._not_graded(task, answer.error)
        failed = record.status == "not-graded"
        if failed:
            name = f"{record.student}/{record.stage}"
            self._result.failures += [f"{name}: {text}" for text in record.problems]
        if task.only:
            old = self._results.read(task.student, task.stage)
            if failed or old is None:
                # The record of the whole stays: a part that could not be judged says nothing against it.
                return
            record = merge(old, record, self._stages[task.stage])
        self._results.keep(record)
        self._result.n_graded += 1
        self._on_record(record, False)

    def _not_graded(self, task: SlotTask, reason: str) -> SubmissionRecord:
        stage = self._stages[task.stage]
        return SubmissionRecord(
            student=task.student,
            stage=task.stage,
            score=0.0,
            max_score=float(stage.max_score),
            status="not-graded",
            exercises=[],
            device=DeviceRecord(name="none", kind="interpreter"),
            sandbox=SandboxRecord(level="none"),
            seed=self._options.seed,
            grader_version=grader_version(stage),
            seconds=0.0,
            problems=[f"The grader could not judge this submission: {reason} Your instructor was told."],
        )
