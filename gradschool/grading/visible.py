"""Visible checks: what a learner runs while working, in the words graders use.

The checks lie beside the notebook (`checks*.py`). A notebook gives its own namespace, so
that a function is checked as it stands in memory; a terminal has the notebook's cells run
in a worker, so that an endless loop ends. Kernels always run in a process that can be killed.
"""

from __future__ import annotations

import atexit
import contextlib
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from gradschool.contract import Contract, parse_contract
from gradschool.errors import (
    CallFailed,
    GradschoolError,
    KernelError,
    MissingFunction,
    NotWritten,
    PackError,
    SubmissionError,
    UsageError,
)
from gradschool.gpu.device_log import DeviceLog, device_log
from gradschool.grading.arguments import changed_arguments, resolve_functions, snapshot
from gradschool.grading.calls import Evidence
from gradschool.grading.host import Host, mark_value, split_name
from gradschool.grading.plugin import Bench, GradingPlugin
from gradschool.grading.probe import KernelBench, KernelProbe
from gradschool.grading.proxy import FunctionBackend
from gradschool.grading.records import ExerciseRecord, TestRecord
from gradschool.grading.reference import Signatures
from gradschool.grading.submission_files import SourceCell, parse_notebook

CALL_TIMEOUT_S = 10.0
KERNEL_TIMEOUT_S = 10.0


def run_checks(
    folder: Path, exercises: Sequence[str] | None = None, namespace: Mapping[str, Any] | None = None
) -> list[ExerciseRecord]:
    """Run the visible checks of a stage's folder.

    Args:
        folder: A released stage: notebook, kernels, `checks*.py`.
        exercises: Only these; default all that have a check.
        namespace: Where functions are looked up; default the folder's notebook, whose
            cells are run in a worker.

    Raises:
        UsageError: The folder holds no checks, or none for an exercise that was named.
    """
    folder = folder.resolve()
    checks = _checks_of(folder)
    wanted = list(exercises) if exercises is not None else list(checks.by_exercise)
    for exercise in wanted:
        if exercise not in checks.by_exercise:
            raise UsageError(
                f"There is no check for {exercise!r} in {folder.name}.",
                help=f"Checks here: {', '.join(checks.by_exercise)}.",
            )
    with contextlib.ExitStack() as stack:
        needs_functions = any(not name.endswith(".wgsl") for name in wanted)
        functions: FunctionBackend | None = None
        if namespace is not None:
            functions = NamespaceFunctions(namespace)
        elif needs_functions:
            functions = _worker_functions(folder, stack)
        checks.plugin.bench = Bench(
            functions=functions,
            signatures=Signatures(cell.source for cell in _cells(folder)),
            make_probe=_probe_factory(folder),
            seed=0,
        )
        return [_run_exercise(checks, exercise) for exercise in wanted]


def checked_exercises(folder: Path) -> list[str]:
    """Return the exercises that the visible checks of `folder` know, in order."""
    return list(_checks_of(folder.resolve()).by_exercise)


@dataclass(frozen=True)
class FolderChecks:
    """The open pytest session over a folder's checks."""

    host: Host
    plugin: GradingPlugin
    by_exercise: dict[str, dict[str, list[Any]]]


def _checks_of(folder: Path) -> FolderChecks:
    files = sorted(folder.glob("checks*.py"))
    if not files:
        raise UsageError(
            f"{folder} holds no checks.",
            help="Run this in a stage's folder of assignments/, or name the stage.",
        )
    return _open_checks(tuple(files), tuple(path.stat().st_mtime_ns for path in files))


@lru_cache(maxsize=32)
def _open_checks(files: tuple[Path, ...], changed: tuple[int, ...]) -> FolderChecks:
    """Open a session once per state of the files; `changed` is their time stamps."""
    plugin = GradingPlugin(Bench())
    host = Host(files, plugin)
    atexit.register(host.close)
    by_exercise: dict[str, dict[str, list[Any]]] = {}
    for item in host.items:
        exercise = mark_value(item, "exercise")
        if not isinstance(exercise, str):
            raise PackError(f"The check {item.name} names no exercise.")
        by_exercise.setdefault(exercise, {}).setdefault(split_name(item)[0], []).append(item)
    return FolderChecks(host, plugin, by_exercise)


def _run_exercise(checks: FolderChecks, exercise: str) -> ExerciseRecord:
    tests = []
    for name, items in checks.by_exercise[exercise].items():
        checks.plugin.bench.fresh_evidence()
        results = (checks.host.run(item) for item in items)
        worst = next((result for result in results if result.outcome != "passed"), None)
        tests.append(
            TestRecord(
                name=name,
                score=0.0 if worst else 1.0,
                max_score=1.0,
                outcome=worst.outcome if worst else "passed",
                message=worst.message if worst else "",
            )
        )
    return ExerciseRecord(
        id=exercise,
        score=sum(test.score for test in tests),
        max_score=float(len(tests)),
        message=next((test.message for test in tests if test.message), ""),
        tests=tests,
    )


@dataclass(frozen=True)
class NamespaceAnswer:
    """The answer of a function called in this process."""

    value: Any
    changed: tuple[int | str, ...]
    device_log: DeviceLog


class NamespaceFunctions:
    """Functions looked up in a dict, normally a notebook's globals."""

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self._namespace = namespace

    def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> NamespaceAnswer:
        """Call the function `name` and turn what it raises into a sentence."""
        function = self._namespace.get(name)
        if not callable(function):
            raise MissingFunction(
                f"There is no function {name}.", help=f"Run the cell that defines {name}, then check again."
            )
        args = resolve_functions(args, self._namespace.get)
        named = resolve_functions(dict(kwargs), self._namespace.get)
        before, named_before = snapshot(args), snapshot(named)
        try:
            with device_log() as log:
                value = function(*args, **named)
            return NamespaceAnswer(value, changed_arguments(before, named_before, args, named), log)
        except NotImplementedError as error:
            raise NotWritten(
                f"{name} is not written yet.", help="Replace the `raise NotImplementedError` line."
            ) from error
        except Exception as error:
            line = traceback.extract_tb(error.__traceback__)[-1].lineno
            raise CallFailed(
                f"{name} raised {type(error).__name__}: {error} (line {line} of its cell).",
                exception_type=type(error).__name__,
                exception_bases=tuple(base.__name__ for base in type(error).__mro__),
                exception_text=str(error),
                line=line,
            ) from error


def _notebook_of(folder: Path) -> Path | None:
    named = folder / f"{folder.name}.ipynb"
    if named.exists():
        return named
    return next(iter(sorted(folder.glob("*.ipynb"))), None)


def _cells(folder: Path) -> list[SourceCell]:
    path = _notebook_of(folder)
    problems: list[str] = []
    return (parse_notebook(path.read_bytes(), path.name, problems) if path else None) or []


def _worker_functions(folder: Path, stack: contextlib.ExitStack) -> FunctionBackend:
    from gradschool.gpu.worker_backend import WorkerBackend
    from gradschool.grading.functions import WorkerFunctions
    from gradschool.grading.kernel_desk import KernelDesk, learners_kernels
    from gradschool.sandbox import CellSource

    path = _notebook_of(folder)
    if path is None:
        raise UsageError(f"{folder} holds no notebook.")
    problems: list[str] = []
    cells = parse_notebook(path.read_bytes(), path.name, problems)
    if cells is None:
        raise UsageError(problems[0])
    worker = stack.enter_context(_zygote().spawn())
    worker.desk = KernelDesk(
        learners_kernels(folder), lambda: WorkerBackend(gpu_worker().info, gpu_worker().run)
    )
    functions = WorkerFunctions(worker, CALL_TIMEOUT_S)
    try:
        worker.load([CellSource(cell.index, cell.id, cell.role, cell.source) for cell in cells])
    except SubmissionError as error:
        functions.broken = error
    return functions


@lru_cache(maxsize=1)
def _zygote() -> Any:
    from gradschool.sandbox import Limits, Zygote

    zygote = Zygote(limits=Limits(call_s=CALL_TIMEOUT_S))
    zygote.start()
    atexit.register(zygote.close)
    return zygote


@lru_cache(maxsize=1)
def gpu_worker() -> Any:
    """Return the worker that runs a learner's own kernels on their own machine."""
    from gradschool.gpu.worker_client import GpuWorker

    # A learner's own kernels on the learner's own machine: killable, not locked down.
    worker = GpuWorker(sandbox=False)
    atexit.register(worker.close)
    return worker


def _probe_factory(folder: Path) -> Any:
    def make(evidence: Evidence) -> KernelProbe:
        worker = gpu_worker()
        bench = KernelBench(
            lambda job, buffers: worker.run(job, buffers, timeout_s=KERNEL_TIMEOUT_S),
            has_device=worker.info.kind != "interpreter",
        )
        return KernelProbe(FolderContracts(folder), FolderKernels(folder), bench, evidence, strict=True)

    return make


class FolderKernels(dict[str, str]):
    """Kernel text by file name, read from a folder when asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def get(self, key: str, default: Any = None) -> Any:
        """Return the text of the kernel file `key`."""
        path = self._folder / key
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else default


class FolderContracts(dict[str, Contract]):
    """Contracts by file name, read from the learner's own kernel headers."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._kernels = FolderKernels(folder)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the contract in the header of the kernel file `key`."""
        text = self._kernels.get(key)
        if text is None:
            raise KernelError(f"{key} is missing.", help="Copy it from the released assignment.")
        if not text.strip():
            raise KernelError(
                f"{key} is empty.", help="Copy it from the released assignment and start there."
            )
        try:
            return parse_contract(text, key)
        except GradschoolError as error:
            raise KernelError(
                f"The header comment of {key} was changed: {error.message}",
                help="Restore the lines above `struct Params` from the released file.",
            ) from error
