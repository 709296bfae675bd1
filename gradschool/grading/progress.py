"""What an instructor sees while a class is graded."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from gradschool.grading.records import SubmissionRecord
from gradschool.report.text import first_line

if TYPE_CHECKING:
    from gradschool.grading.coordinator import ClassResult


class GradeProgress:
    """A progress bar with rate and time left, on stderr.

    Args:
        quiet: Show nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False, quiet=quiet)
        self._bar = Progress(
            TextColumn("[bold]grading"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[last]}", markup=False),  # holds a student's folder name
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

    def start(self, n_submissions: int) -> None:
        """Say how many submissions there are."""
        self._task = self._bar.add_task("", total=n_submissions, last="", rate="")

    def advance(self, record: SubmissionRecord, kept: bool) -> None:
        """Count one submission."""
        if self._task is None:
            return
        elapsed = self._bar.tasks[self._task].elapsed or 0
        done = self._bar.tasks[self._task].completed + 1
        last = f"{record.student}/{record.stage} {record.score:g}/{record.max_score:g}" + (
            " (kept)" if kept else ""
        )
        rate = f"{60 * done / elapsed:.0f}/min" if elapsed else ""
        self._bar.update(self._task, advance=1, last=last, rate=rate)

    def summary(self, result: ClassResult, out: Path) -> None:
        """Print the table of scores and where the pages are."""
        table = Table("student", "stage", "score", "status", "first thing to mend")
        for record in result.records:
            first = next((item for item in record.exercises if item.message), None)
            text = record.problems[0] if record.problems else f"{first.id}: {first.message}" if first else ""
            table.add_row(
                escape(record.student),
                record.stage,
                f"{record.score:g}/{record.max_score:g}",
                record.status,
                escape(first_line(text, 70)),
            )
        Console(highlight=False).print(table)
        Console(highlight=False).print(
            f"graded {result.n_graded}, kept {result.n_kept}; pages and records are in {out}", markup=False
        )
        for failure in result.failures:
            self._console.print(failure, style="red", markup=False)
