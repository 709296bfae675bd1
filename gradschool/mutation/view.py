"""What an author sees while mutants are graded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from gradschool.mutation.grade import Death
from gradschool.mutation.mutants import Mutant
from gradschool.mutation.records import ExerciseMutants, MutantRecord, MutationRecord
from gradschool.mutation.run import Work


class MutationView:
    """A progress bar on stderr, then a table.

    Args:
        quiet: Show nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False, emoji=False, quiet=quiet)
        self._bar = Progress(
            TextColumn("[bold]mutants"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[last]}"),
            console=self._console,
        )
        self._task = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def start(self, n_mutants: int) -> None:
        """Say how many mutants there are."""
        self._task = self._bar.add_task("", total=n_mutants, last="")

    def advance(self, mutant: Mutant, death: Death | None) -> None:
        """Count one mutant."""
        if self._task is not None:
            self._bar.update(self._task, advance=1, last=mutant.id)


def summary(record: MutationRecord) -> None:
    """Print a table per stage, the survivors and what is wrong with the list of equivalents."""
    console = Console(highlight=False, emoji=False)
    for stage in dict.fromkeys(one.stage for one in record.exercises):
        console.print(_table(stage, [one for one in record.exercises if one.stage == stage]))
    for one in record.exercises:
        for survivor in one.survivors:
            where = f"{one.stage}, line {survivor.line}: {survivor.id} survives"
            console.print(where, style="red", markup=False, soft_wrap=True)
            _show_change(console, survivor)
        for fault in one.faults:
            console.print(f"{one.stage}: {fault}", style="red", markup=False, soft_wrap=True)
    console.print(_totals(record), markup=False, soft_wrap=True)


def _table(stage: str, exercises: Sequence[ExerciseMutants]) -> Table:
    table = Table(Column(stage, no_wrap=True), box=SIMPLE)
    for name in ("mutants", "killed", "equivalent", "survivors"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in exercises:
        counts = (one.mutants, one.killed, len(one.equivalent), len(one.survivors))
        table.add_row(one.exercise, *(str(count or "") for count in counts))
    return table


def _totals(record: MutationRecord) -> str:
    def total(count: Callable[[ExerciseMutants], int]) -> int:
        return sum(map(count, record.exercises))

    n_mutants = total(lambda one: one.mutants)
    return (
        f"{n_mutants} mutants: {total(lambda one: one.killed)} killed "
        f"({total(lambda one: one.not_compiled)} do not compile, {total(lambda one: one.endless)} never end), "
        f"{total(lambda one: len(one.equivalent))} equivalent, {total(lambda one: len(one.survivors))} survive; "
        f"device {record.device.name} ({record.device.kind}), seed {record.seed}, {record.seconds:g} s, "
        f"{record.seconds / max(n_mutants, 1):.3f} s each"
    )


def show_list(work: Sequence[Work]) -> None:
    """Print every mutant without grading it."""
    console = Console(highlight=False, emoji=False)
    for item in work:
        for mutant in item.mutants:
            listed = "  (equivalent)" if mutant.id in item.listed else ""
            console.print(f"{mutant.id}  line {mutant.line}{listed}", markup=False, soft_wrap=True)
            _show_change(console, mutant)
    console.print(f"{sum(len(item.mutants) for item in work)} mutants", markup=False)


def _show_change(console: Console, change: Mutant | MutantRecord) -> None:
    old, new = change.old.splitlines() or [""], change.new.splitlines() or [""]
    # Lines around the change are quoted to say which of several like it is meant.
    for end in (0, -1):
        while len(old) > 1 and len(new) > 1 and old[end] == new[end]:
            del old[end], new[end]
    for sign, lines in (("-", old), ("+", new)):
        for line in lines:
            console.print(f"  {sign} {line.strip()}", markup=False, soft_wrap=True)
