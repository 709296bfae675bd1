"""What an instructor sees while a class is graded."""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from gradschool.grading.records import SubmissionRecord
from gradschool.report.text import clean, first_line

if TYPE_CHECKING:
    from gradschool.grading.coordinator import ClassResult


class Pace:
    """How fast submissions are graded just now, and how long the rest takes.

    Kept records do not count: they would promise a speed that grading does not have. The first
    submission counts as the start, for until then slots warm up.
    """

    N_RECENT = 60

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=self.N_RECENT)

    def count(self, now: float) -> None:
        """Note that a submission was graded."""
        self._recent.append(now)

    def words(self, now: float, n_left: int) -> str:
        """Return rate and time left, empty until they are known."""
        if len(self._recent) < 2 or now <= self._recent[0]:
            return ""
        per_second = (len(self._recent) - 1) / (now - self._recent[0])
        left = timedelta(seconds=round(n_left / per_second))
        return f"{60 * per_second:.0f}/min, {left} left"


class GradeProgress:
    """A progress bar with rate and time left, on stderr; in a log, a line now and then.

    Args:
        quiet: Show nothing.
        console: Where to; by default stderr.
    """

    LINE_EVERY_S = 30.0
    ROWS = 200
    """Most rows of the summary; a longer one is the class page."""

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, quiet=quiet)
        self._bar = Progress(
            TextColumn("[bold]grading"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}"),
            TextColumn("{task.fields[last]}", markup=False),  # holds a student's folder name
            console=self._console,
        )
        self._task: TaskID | None = None
        self._pace = Pace()
        self._next_line = 0.0

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
        """Say how many submissions there are; a second time, that there are fewer."""
        if self._task is None:
            self._task = self._bar.add_task("", total=n_submissions, last="", pace="")
            self._next_line = monotonic() + self.LINE_EVERY_S
        else:
            self._bar.update(self._task, total=n_submissions)

    def advance(self, record: SubmissionRecord, kept: bool) -> None:
        """Count one submission."""
        if self._task is None:
            return
        now = monotonic()
        if not kept:
            self._pace.count(now)
        shown = self._bar.tasks[self._task]
        done, total = int(shown.completed) + 1, int(shown.total or 0)
        pace = self._pace.words(now, total - done)
        name = f"{first_line(record.student, 40)}/{record.stage}"
        last = f"{name} {record.score:g}/{record.max_score:g}{' (kept)' if kept else ''}"
        self._bar.update(self._task, advance=1, last=last, pace=pace)
        if not self._console.is_terminal and now >= self._next_line:
            self._next_line = now + self.LINE_EVERY_S
            self._console.print(f"grading {done}/{total} {pace}", markup=False)

    def summary(self, result: ClassResult, out: Path) -> None:
        """Print the table of scores and where the pages are."""
        table = Table("student", "stage", "score", "status", "first thing to mend")
        for record in result.records[: self.ROWS]:
            first = next((item for item in record.exercises if item.message), None)
            text = record.problems[0] if record.problems else f"{first.id}: {first.message}" if first else ""
            table.add_row(
                escape(first_line(record.student, 80)),
                record.stage,
                f"{record.score:g}/{record.max_score:g}",
                record.status,
                escape(first_line(text, 70)),
            )
        console = Console(highlight=False)
        console.print(table)
        n_more = len(result.records) - self.ROWS
        if n_more > 0:
            console.print(f"{n_more} more are in {out / 'index.html'}", markup=False)
        left = f", left {result.n_left} that have no record to start from" if result.n_left else ""
        console.print(
            f"graded {result.n_graded}, kept {result.n_kept}{left}; pages and records are in {out}",
            markup=False,
        )
        for failure in result.failures:
            self._console.print(clean(failure), style="red", markup=False)
