"""Grade every mutant of some exercises and say which ones no hidden test notices."""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import msgspec

from gradschool.errors import UsageError
from gradschool.grading.options import GradeOptions
from gradschool.grading.records import DeviceRecord
from gradschool.mutation.equivalents import Equivalent, match
from gradschool.mutation.grade import Death, MutantSession
from gradschool.mutation.mutants import Mutant, mutants_of
from gradschool.mutation.records import ExerciseMutants, MutantRecord, MutationRecord
from gradschool.pack import Pack, Stage


class Work(msgspec.Struct, frozen=True):
    """One exercise's mutants, and which of them are listed as no mistakes."""

    stage: Stage
    exercise: str
    mutants: list[Mutant]
    listed: dict[str, Equivalent]


def plan(stages: Sequence[Stage], only: Sequence[str] = ()) -> list[Work]:
    """Make the mutants of the exercises `only`, default all, of `stages`.

    Raises:
        UsageError: No stage has an exercise of a name in `only`.
        PackError: A listed equivalent matches no mutant.
    """
    chosen = [
        (stage, exercise.id)
        for stage in stages
        for exercise in stage.exercises
        if not only or exercise.id in only
    ]
    missing = sorted(set(only) - {name for _, name in chosen})
    if missing:
        known = [exercise.id for stage in stages for exercise in stage.exercises]
        raise UsageError(
            f"There is no exercise {missing[0]!r} in {', '.join(stage.id for stage in stages)}.",
            help=f"Exercises there: {', '.join(known)}.",
        )
    work = []
    for stage, name in chosen:
        mutants = mutants_of(stage, name)
        work.append(Work(stage, name, mutants, match(stage, name, mutants)))
    return work


def mutate_pack(
    pack: Pack,
    work: Sequence[Work],
    options: GradeOptions,
    *,
    on_total: Callable[[int], None] = lambda n: None,
    on_mutant: Callable[[Mutant, Death | None], None] = lambda mutant, death: None,
) -> MutationRecord:
    """Grade every mutant, the listed ones too, and return what became of them.

    Args:
        pack: The course.
        work: What `plan` made.
        options: Seed, device and number of processes.
        on_total: Called once with the number of mutants.
        on_mutant: Called as each mutant is graded, with what noticed it.

    Raises:
        PackError: A reference fails its own tests.
    """
    started = time.monotonic()
    mutants = [mutant for item in work for mutant in item.mutants]
    on_total(len(mutants))
    device = DeviceRecord(name="none", kind="interpreter")
    deaths: dict[tuple[str, str], Death | None] = {}
    # Our own text in trusted processes, each with sandboxed workers of its own.
    with ProcessPoolExecutor(
        max_workers=max(1, min(options.n_slots, len(mutants))),
        mp_context=get_context("spawn"),
        initializer=_open_session,
        initargs=(str(pack.root), options),
    ) as pool:
        futures = {
            pool.submit(_try, mutant.stage, mutant.exercise, mutant.source): mutant for mutant in mutants
        }
        try:
            for future in as_completed(futures):
                mutant = futures[future]
                death, device = future.result()
                deaths[mutant.stage, mutant.id] = death
                on_mutant(mutant, death)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return MutationRecord(
        exercises=[count(item, deaths) for item in work],
        device=device,
        seed=options.seed,
        seconds=round(time.monotonic() - started, 1),
    )


def count(work: Work, deaths: Mapping[tuple[str, str], Death | None]) -> ExerciseMutants:
    """Sort one exercise's mutants by what noticed them, by stage and id in `deaths`."""
    found = ExerciseMutants(stage=work.stage.id, exercise=work.exercise, mutants=len(work.mutants))
    for mutant in work.mutants:
        death, entry = deaths[mutant.stage, mutant.id], work.listed.get(mutant.id)
        if death is None:
            kept, why = (found.survivors, "") if entry is None else (found.equivalent, entry.why)
            kept.append(MutantRecord(id=mutant.id, line=mutant.line, old=mutant.old, new=mutant.new, why=why))
        elif death.how == "fault":
            found.faults.append(f"{mutant.id} could not be graded: {death.test}: {death.message}")
        else:
            found.killed += 1
            found.not_compiled += death.how == "compile"
            found.endless += death.how == "hang"
            if entry is not None:
                found.faults.append(f"{mutant.id} is listed as equivalent, but {death.test} notices it.")
    return found


# One session per process of the pool; a pool gives its tasks no other place to keep it.
_SESSION: MutantSession | None = None


def _open_session(root: str, options: GradeOptions) -> None:
    global _SESSION
    _SESSION = MutantSession(Pack(Path(root)), options)
    _SESSION.__enter__()
    atexit.register(_SESSION.__exit__, None, None, None)


def _try(stage: str, exercise: str, source: str) -> tuple[Death | None, DeviceRecord]:
    assert _SESSION is not None
    death = _SESSION.try_answer(_SESSION.pack.stage(stage), exercise, source)
    return death, _SESSION.device_record()
