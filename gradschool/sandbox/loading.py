"""Load a notebook cell by cell, and survive any of them.

A cell that hangs or ends the process is tried again in a new process for its
definitions alone, and left out if that fails too; the cells before it are simply
run again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from gradschool.errors import SubmissionError, WireError
from gradschool.sandbox import explain, messages
from gradschool.sandbox.cells import names_defined
from gradschool.sandbox.limits import Limits
from gradschool.sandbox.process import WorkerProcess
from gradschool.sandbox.quotes import add_attempts
from gradschool.sandbox.stream import Deadline, WireTimeout
from gradschool.sandbox.wire import Channel

_DEFINED_ONLY = frozenset({"demo", "check", "test", "trace"})
_DEFINITIONS_S = 2.0
_PATIENCE = 3
"""How many times the time of all cells their restarts may take."""

_MAX_SOURCE_CHARS = 200_000

_RUN, _DEFINE, _SKIP = 0, 1, 2

Connect = Callable[[], tuple[WorkerProcess, Channel[messages.FromWorker]]]


class CellSource(msgspec.Struct, frozen=True):
    """A code cell of a submission.

    Attributes:
        index: Position in the notebook, from 0.
        id: The cell's own id.
        role: "demo", "check", "test" and "trace" cells only define.
        source: Its text.
    """

    index: int
    id: str
    role: str
    source: str


class CellReport(msgspec.Struct, frozen=True):
    """What became of one cell.

    Attributes:
        index: Position in the notebook.
        ok: Whether it ran, or was rightly not run.
        error: A sentence for the learner, or "".
        help: What to do about it, or "".
        exception_type: Name of the exception's class; "" for none, or when the process ended.
        line: Line in the cell, or None.
        defines: Functions and classes it defined.
        lost: Functions and classes it would have defined.
        stdout: The start of what it printed.
    """

    index: int
    ok: bool
    error: str = ""
    help: str = ""
    exception_type: str = ""
    line: int | None = None
    defines: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    stdout: str = ""


class LoadReport(msgspec.Struct, frozen=True):
    """What became of all cells.

    Attributes:
        cells: One report per cell, in order.
        functions: Everything that can be called.
        attempts: What the cells tried that the sandbox refused.
    """

    cells: tuple[CellReport, ...]
    functions: tuple[str, ...]
    attempts: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[CellReport, ...]:
        """The cells that failed."""
        return tuple(cell for cell in self.cells if not cell.ok)


class Loader:
    """Loads one submission, as often as its process must be replaced.

    Args:
        cells: Code cells in order.
        limits: Time per cell and in all.
    """

    def __init__(self, cells: Sequence[CellSource], limits: Limits) -> None:
        self._cells = tuple(cells)
        self._limits = limits
        self._modes = {cell.index: _DEFINE if cell.role in _DEFINED_ONLY else _RUN for cell in cells}
        self._endings: dict[int, SubmissionError] = {}
        self._attempts: dict[str, None] = {}

    def load(self, connect: Connect, close: Callable[[], None]) -> LoadReport:
        """Load all cells into a new process.

        Args:
            connect: Starts a process.
            close: Ends it.

        Raises:
            SubmissionError: Cell after cell hung or ended the process; some notebooks are nothing else.
        """
        deadline = Deadline(self._limits.load_s)
        patience_s = _PATIENCE * self._limits.load_s
        patience = Deadline(patience_s)
        while patience.left_s():
            process, channel = connect()
            reports = self._run_all(process, channel, deadline)
            if reports is not None:
                functions = self._functions(channel)
                if functions is not None:
                    return LoadReport(tuple(reports), functions, tuple(self._attempts))
                self._demote_unknown(explain.died("The notebook", process.kill(), None))
            close()
        raise explain.cells_without_end(patience_s)

    def _run_all(
        self, process: WorkerProcess, channel: Channel[messages.FromWorker], deadline: Deadline
    ) -> list[CellReport] | None:
        """Run the cells; None when a cell ended the process and was demoted."""
        reports = []
        for cell in self._cells:
            if deadline.left_s() == 0.0 and self._modes[cell.index] == _RUN:
                self._demote(cell.index, explain.out_of_time(cell.index, self._limits.load_s))
            if self._modes[cell.index] == _SKIP:
                reports.append(self._skipped(cell))
                continue
            try:
                done = self._run(channel, cell, deadline)
            except WireTimeout:
                process.kill()
                self._demote(cell.index, explain.cell_timeout(cell.index, self._seconds(cell, deadline)))
                return None
            except WireError as error:
                self._demote(cell.index, explain.cell_died(cell.index, process.kill(), error))
                return None
            reports.append(self._report(cell, done))
        return reports

    def _run(
        self, channel: Channel[messages.FromWorker], cell: CellSource, deadline: Deadline
    ) -> messages.CellDone:
        define = self._modes[cell.index] == _DEFINE
        order = messages.RunCell(cell.index, define, cell.source, self._limits.max_print_bytes)
        if len(cell.source) > _MAX_SOURCE_CHARS:
            order = msgspec.structs.replace(
                order, source="raise MemoryError('this cell is too long to be graded')"
            )
        seconds = self._seconds(cell, deadline)
        channel.send(order, (), seconds)
        answer, _ = channel.receive(seconds)
        if not isinstance(answer, messages.CellDone) or answer.index != cell.index:
            raise WireError("an answer came to something that was not asked")
        return answer

    def _seconds(self, cell: CellSource, deadline: Deadline) -> float:
        if self._modes[cell.index] == _DEFINE:
            return _DEFINITIONS_S
        return min(self._limits.cell_s, max(deadline.left_s(), 0.1))

    def _demote(self, index: int, ending: SubmissionError) -> None:
        """Run the cell's definitions only from now on, or nothing when that was tried."""
        self._modes[index] = _DEFINE if self._modes[index] == _RUN else _SKIP
        self._endings.setdefault(index, ending)

    def _demote_unknown(self, ending: SubmissionError) -> None:
        """Some cell left something behind that breaks the process between orders: the last one, or any."""
        last = self._cells[-1].index
        known = self._modes[last] == _SKIP
        for cell in self._cells if known else self._cells[-1:]:
            self._demote(cell.index, ending)

    def _report(self, cell: CellSource, done: messages.CellDone) -> CellReport:
        add_attempts(self._attempts, done.side.attempts)
        error: SubmissionError | None = self._endings.get(cell.index)
        if error is None and done.problem is not None:
            error = explain.cell_raised(cell.index, done.problem)
        problem = done.problem
        return CellReport(
            cell.index,
            error is None,
            error.message if error else "",
            error.help if error else "",
            problem.type if problem else "",
            problem.line if problem else None,
            done.defines,
            done.lost,
            done.side.printed,
        )

    def _skipped(self, cell: CellSource) -> CellReport:
        ending = self._endings[cell.index]
        return CellReport(cell.index, False, ending.message, ending.help, lost=names_defined(cell.source))

    def _functions(self, channel: Channel[Any]) -> tuple[str, ...] | None:
        try:
            channel.send(messages.ListFunctions(), (), self._limits.start_s)
            answer, _ = channel.receive(self._limits.start_s)
        except WireError:
            return None
        return answer.names if isinstance(answer, messages.Functions) else None
