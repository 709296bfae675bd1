"""Grade a class: find the submissions, share them among slots, keep every record.

Each record is written whole, under its final name, the moment its submission is done.
Whatever ends this process, a second run starts where it stopped.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from gradschool.errors import GradschoolError, UsageError
from gradschool.grading.options import GradeOptions
from gradschool.grading.records import DeviceRecord, SandboxRecord, SubmissionRecord
from gradschool.grading.slot import SlotTask
from gradschool.grading.slot_client import SlotClient, SlotDied
from gradschool.grading.submission_files import read_submission
from gradschool.grading.version import grader_version
from gradschool.pack import Pack
from gradschool.report import write_class, write_feedback
from gradschool.report.files import write_atomic

OnRecord = Callable[[SubmissionRecord, bool], None]


@dataclass
class ClassResult:
    """What a run did.

    Attributes:
        records: Every record of the class, old ones included, sorted.
        n_graded: How many were graded in this run.
        n_kept: How many had a current record already.
        failures: Sentences about submissions the grader itself could not judge.
    """

    records: list[SubmissionRecord] = field(default_factory=list)
    n_graded: int = 0
    n_kept: int = 0
    failures: list[str] = field(default_factory=list)


def find_submissions(submissions: Path, pack: Pack, options: GradeOptions) -> list[SlotTask]:
    """Return a task for each `SUBMISSIONS/<student>/<NN_stage>/`, sorted.

    Raises:
        UsageError: The folder is missing, or holds no submission of a stage that exists.
    """
    if not submissions.is_dir():
        raise UsageError(
            f"{submissions} is not a folder.", help="Name the folder that holds one folder per student."
        )
    wanted = {pack.stage(name).id for name in options.stages} or {stage.id for stage in pack.stages}
    tasks = []
    for student in sorted(submissions.iterdir()):
        # A linked folder could be another student's.
        if student.is_symlink() or not student.is_dir() or student.name.startswith("."):
            continue
        if options.students and student.name not in options.students:
            continue
        for stage in sorted(student.iterdir()):
            if stage.name in wanted and stage.is_dir() and not stage.is_symlink():
                tasks.append(SlotTask(student.name, stage.name, str(stage.resolve())))
    if not tasks:
        raise UsageError(
            f"{submissions} holds no submission.",
            help=f"Expected {submissions}/<student>/<stage>/ with a stage such as {pack.stages[0].id}.",
        )
    return tasks


def grade_class(
    submissions: Path,
    out: Path,
    options: GradeOptions | None = None,
    *,
    pack: Pack,
    on_total: Callable[[int], None] = lambda n: None,
    on_record: OnRecord = lambda record, kept: None,
) -> ClassResult:
    """Grade every submission and write records, feedback, tables and the class page to `out`.

    Args:
        submissions: `<student>/<NN_stage>/` folders.
        out: Where `<student>/<NN_stage>.json` and the pages go.
        options: Options of the run.
        pack: The course.
        on_total: Called once with the number of submissions.
        on_record: Called with each record and whether it was kept from an earlier run.

    Raises:
        UsageError: Nothing to grade.
        GradschoolError: No slot could be started.
    """
    options = options or GradeOptions()
    tasks = find_submissions(submissions, pack, options)
    on_total(len(tasks))
    result = ClassResult()
    pending: queue.Queue[SlotTask] = queue.Queue()
    for task in tasks:
        kept = None if options.force else _current_record(task, out, options, pack)
        if kept is None:
            pending.put(task)
        else:
            result.records.append(kept)
            result.n_kept += 1
            on_record(kept, True)
    if pending.qsize():
        _run_slots(pending, out, options, pack, result, on_record)
    result.records.sort(key=lambda record: (record.student, record.stage))
    write_class(result.records, out, "gradschool")
    return result


def record_path(out: Path, student: str, stage: str) -> Path:
    """Return where the record of one submission lies."""
    return out / student / f"{stage}.json"


def _current_record(task: SlotTask, out: Path, options: GradeOptions, pack: Pack) -> SubmissionRecord | None:
    """The record of an earlier run, if submission and grader are still the same."""
    path = record_path(out, task.student, task.stage)
    try:
        record = msgspec.json.decode(path.read_bytes(), type=SubmissionRecord)
    except (OSError, msgspec.DecodeError):
        return None
    stage = pack.stage(task.stage)
    current = read_submission(Path(task.folder), stage).digest
    same = record.submission_digest == current and record.grader_version == grader_version(stage)
    same = same and tuple(record.hint_costs) == options.hint_costs
    return record if same and record.status != "not-graded" else None


def _run_slots(
    pending: queue.Queue[SlotTask],
    out: Path,
    options: GradeOptions,
    pack: Pack,
    result: ClassResult,
    on_record: OnRecord,
) -> None:
    n_slots = max(1, min(options.n_slots, pending.qsize()))
    done: queue.Queue[SubmissionRecord | Exception | None] = queue.Queue()
    stop = threading.Event()
    clients: list[SlotClient] = []

    def serve() -> None:
        try:
            for record in _serve(pending, options, pack, stop, clients):
                done.put(record)
        except Exception as error:
            done.put(error)
        finally:
            done.put(None)

    threads = [threading.Thread(target=serve, daemon=True) for _ in range(n_slots)]
    for thread in threads:
        thread.start()
    n_running = n_slots
    try:
        while n_running:
            item = done.get()
            if item is None:
                n_running -= 1
            elif isinstance(item, Exception):
                raise item
            else:
                _keep(item, out, result, on_record)
    finally:
        # Reached on ctrl-C as well: what is finished is on disk, what is not is graded next time.
        stop.set()
        for client in list(clients):
            client.kill() if n_running else client.close()


def _serve(
    pending: queue.Queue[SlotTask],
    options: GradeOptions,
    pack: Pack,
    stop: threading.Event,
    clients: list[SlotClient],
) -> Iterator[SubmissionRecord]:
    client: SlotClient | None = None
    while not stop.is_set():
        try:
            task = pending.get_nowait()
        except queue.Empty:
            return
        for attempt in (1, 2):
            if client is None:
                client = SlotClient(pack.root, options)
                clients.append(client)
            try:
                answer = client.grade(task)
            except SlotDied as error:
                clients.remove(client)
                client = None
                # A slot can die for reasons of its own; only a second death speaks against the work.
                if attempt == 2 and not stop.is_set():
                    yield _not_graded(task, pack, options, str(error))
                continue
            yield answer.record or _not_graded(task, pack, options, answer.error)
            break


def _not_graded(task: SlotTask, pack: Pack, options: GradeOptions, reason: str) -> SubmissionRecord:
    stage = pack.stage(task.stage)
    return SubmissionRecord(
        student=task.student,
        stage=task.stage,
        score=0.0,
        max_score=float(stage.max_score),
        status="not-graded",
        exercises=[],
        device=DeviceRecord(name="none", kind="interpreter"),
        sandbox=SandboxRecord(level="none"),
        seed=options.seed,
        grader_version=grader_version(stage),
        seconds=0.0,
        problems=[f"The grader could not judge this submission: {reason} Your instructor was told."],
    )


def _keep(record: SubmissionRecord, out: Path, result: ClassResult, on_record: OnRecord) -> None:
    path = record_path(out, record.student, record.stage)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Feedback first: the record's presence means that everything of this submission is there.
        write_feedback(record, out)
        write_atomic(path, msgspec.json.format(msgspec.json.encode(record)))
    except OSError as error:
        raise GradschoolError(
            f"{path} cannot be written: {error.strerror}.",
            help="Free some room and run the same command again; finished work is kept.",
        ) from error
    result.records.append(record)
    result.n_graded += 1
    if record.status == "not-graded":
        result.failures.extend(f"{record.student}/{record.stage}: {text}" for text in record.problems)
    on_record(record, False)
