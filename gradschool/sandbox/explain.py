"""Every ending of a learner's code as a sentence: what happened, what to do."""

from __future__ import annotations

import builtins
import re
from typing import TYPE_CHECKING

from gradschool.errors import (
    BadOutput,
    CallFailed,
    CallTimeout,
    MissingFunction,
    NotWritten,
    OutputTooLarge,
    SubmissionError,
    WireError,
    WorkerDied,
)
from gradschool.sandbox.limits import MIB, Limits
from gradschool.sandbox.messages import Problem, Refused
from gradschool.sandbox.quotes import Quotes
from gradschool.sandbox.stream import WireClosed

if TYPE_CHECKING:
    from gradschool.sandbox.loading import LoadReport


class _Lost:
    """Stands for an argument that a function turned into something that cannot travel."""

    def __repr__(self) -> str:
        return "<no longer plain data>"


LOST = _Lost()

_HELP_BY_TYPE = {
    "RecursionError": "The function calls itself without an end; check the case where it should stop.",
    "MemoryError": "It needs more memory than grading gives; look for an array that is larger than it should be.",
    "SystemExit": "Take out exit() and sys.exit(); a function ends with return.",
    "NameError": "Is it defined in a cell that is graded? Restart the kernel and run all cells to see the same.",
    "PermissionError": "Grading gives no access to files, network or other processes; an exercise needs none.",
    "KeyboardInterrupt": "Take out whatever interrupts the program.",
}


# What a released stub raises.
_STUB = re.compile(r"(\w{1,80}): your code here")
_MAX_PLACE = 100_000


def place(cell: int | None, line: int | None) -> str:
    """Where in the notebook, counted from 1 as a reader counts."""
    if cell is None or not 0 <= cell < _MAX_PLACE:
        return ""
    return f" (cell {cell + 1}, line {line})" if line and line < _MAX_PLACE else f" (cell {cell + 1})"


def raised(name: str, problem: Problem, quotes: Quotes) -> SubmissionError:
    """A function raised."""
    if problem.type == "NotImplementedError":
        return _not_written(name, problem.text, quotes)
    kind, text = quotes.of(name, problem.type, problem.text)
    if not kind:
        kind = problem.type if hasattr(builtins, problem.type) else "an exception"
    text = f": {text}" if text else ""
    return CallFailed(
        f"{name} raised {kind}{text}{place(problem.cell, problem.line)}",
        help=_HELP_BY_TYPE.get(problem.type, ""),
        exception_type=problem.type,
        exception_bases=problem.bases,
        exception_text=problem.text,
        cell=problem.cell,
        line=problem.line,
        trace=problem.trace,
    )


def _not_written(name: str, text: str, quotes: Quotes) -> NotWritten:
    found = _STUB.match(text)
    # The stub's own name is no quote: an unwritten function is told as often as it is called.
    function = found[1] if found and found[1] == name else name
    if found and found[1] != name:
        function = quotes.of(name, found[1])[0] or name
    calls = f"{name} calls {function}, which" if function != name else name
    return NotWritten(
        f"{calls} is not written yet.", help="Put your code where it says YOUR CODE HERE.", function=function
    )


def missing(name: str, found: str, report: LoadReport, quotes: Quotes) -> MissingFunction:
    """There is no such function; say which cell lost it."""
    if found:
        kind = quotes.of(name, found)[0]
        return MissingFunction(
            f"{name} is not a function but a value{f' of type {kind}' if kind else ''}.",
            help=f"Some cell assigns to the name {name}; use another name there.",
        )
    for cell in report.cells:
        if name in cell.lost:
            return MissingFunction(f"{name} is not defined: {cell.error}", help=cell.help)
    return MissingFunction(
        f"{name} is not defined in the notebook.",
        help="Was its cell deleted, or the function renamed? Take the cell from the released notebook again.",
    )


def refused(name: str, answer: Refused, limits: Limits, quotes: Quotes) -> SubmissionError:
    """A function returned something that does not travel."""
    if answer.n_bytes:
        return OutputTooLarge(
            f"{name} returned {answer.n_bytes / MIB:,.0f} MiB; at most {limits.max_output_bytes // MIB} MiB are accepted.",
            help="Look at the shapes: a wrong broadcast or an outer product is the usual reason.",
        )
    where, what, help = quotes.of(name, answer.where, answer.what, answer.help)
    where = f" at {where}" if where else ""
    return BadOutput(f"{name} returned {what or 'what cannot be graded'}{where}.", help=help)


def unsendable(name: str, error: Exception) -> BadOutput:
    """What an earlier call returned, and the test hands on, has grown beyond what travels."""
    return BadOutput(
        f"{name} cannot be called with what an earlier function returned: {error}.",
        help="Keep in a cache what the backward needs, as a few arrays.",
    )


def timeout(name: str, seconds: float) -> CallTimeout:
    """A call took too long."""
    return CallTimeout(
        f"{name} did not return within {seconds:g} s and was stopped.",
        help="Look for a loop that never ends; where the data is large, use NumPy operations instead of loops.",
    )


def died(name: str, ending: str, error: WireError | None) -> WorkerDied:
    """A call ended the process, or wrote nonsense to the connection."""
    if error is not None and not isinstance(error, WireClosed):
        return WorkerDied(
            f"While {name} ran, something disturbed the connection to the grader ({error}).",
            help="An exercise computes and returns; take out code that writes to file descriptors.",
        )
    return WorkerDied(f"{name} ended the Python process: {ending}.", help=_help_for_ending(ending))


def broken(name: str, why: str) -> BadOutput:
    """An answer that no honest worker gives."""
    return BadOutput(
        f"{name} gave an answer that cannot be read ({why}).",
        help="An exercise computes and returns; take out code that reaches into the grader.",
    )


def cell_raised(index: int, problem: Problem) -> SubmissionError:
    """A cell raised while it was loaded."""
    line = problem.line if problem.cell == index else None
    where = f"Cell {index + 1}, line {line}" if line else f"Cell {index + 1}"
    text = f": {problem.text}" if problem.text else ""
    help = _HELP_BY_TYPE.get(problem.type, "Restart the kernel and run all cells to see the same.")
    if "SyntaxError" in problem.bases:
        help = "Python cannot read this cell; none of its functions exist until it is corrected."
    return SubmissionError(f"{where} raised {problem.type}{text}", help=help)


def cell_timeout(index: int, seconds: float) -> SubmissionError:
    """A cell took too long."""
    return SubmissionError(
        f"Cell {index + 1} did not end within {seconds:.2g} s; only its definitions were used.",
        help="Training and long loops belong in cells tagged demo, which grading does not run.",
    )


def cell_died(index: int, ending: str, error: WireError) -> SubmissionError:
    """A cell ended the process."""
    if not isinstance(error, WireClosed):
        return SubmissionError(
            f"Cell {index + 1} disturbed the connection to the grader ({error}); only its definitions were used.",
            help="Take out code that writes to file descriptors.",
        )
    return SubmissionError(
        f"Cell {index + 1} ended the Python process: {ending}; only its definitions were used.",
        help=_help_for_ending(ending),
    )


def cells_without_end(seconds: float) -> SubmissionError:
    """Cells hang or end the process again and again, each time it is started anew without them."""
    return SubmissionError(
        f"Its cells hung or ended the process again and again for {seconds:g} s; it was given up.",
        help="Restart the kernel and run all cells to see the same.",
    )


def out_of_time(index: int, seconds: float) -> SubmissionError:
    """All cells together took too long."""
    return SubmissionError(
        f"The notebook's cells took more than {seconds:g} s together; of cell {index + 1} only the definitions were used.",
        help="Training and long loops belong in cells tagged demo, which grading does not run.",
    )


def _help_for_ending(ending: str) -> str:
    if "status" in ending:
        return "Take out exit(), quit() and os._exit(); a function ends with return."
    if "SIGSEGV" in ending:
        return "Look for recursion without an end, and for code that changes the recursion limit."
    return "Run the cell in a fresh kernel to see what ends it."
