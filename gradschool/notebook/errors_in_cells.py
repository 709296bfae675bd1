"""Errors a learner will meet, without the traceback that does not concern them."""

from __future__ import annotations

import dis
import linecache
import re
import symtable
import sys
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

from gradschool.errors import GradschoolError

_STUB = re.compile(r"^(?P<name>\w+): your code here$")
_RED, _PLAIN = "\x1b[31m", "\x1b[0m"
# What a cell raises that reads what another cell left out or half made.
_AFTER_EFFECTS = (NameError, LookupError, TypeError, ValueError)


def install(shell: Any) -> None:
    """Let IPython show our own errors, a call of an unwritten exercise, and what follows from it, as sentences."""
    unfinished = Unfinished()

    def show(
        shell: Any,
        kind: type[BaseException],
        error: BaseException,
        trace: TracebackType | None,
        tb_offset: int | None = None,
    ) -> None:
        frames = _frames_of_cells(trace, shell.user_ns)
        lines = sentences(error) or unfinished.sentences(error, frames)
        if lines is not None:
            if frames:
                unfinished.add(_source(frames[0]), lines)
            _show_sentences(error, lines)
        shell.showtraceback((kind, error, trace), tb_offset=tb_offset)

    shell.set_custom_exc((GradschoolError, NotImplementedError, *_AFTER_EFFECTS), show)
    shell.events.register("post_run_cell", unfinished.forget)


def sentences(error: BaseException) -> list[str] | None:
    """Return the lines to show for `error`, or None where its traceback is wanted."""
    if isinstance(error, GradschoolError):
        return str(error).split("\n")
    stub = _STUB.match(str(error))
    if isinstance(error, NotImplementedError) and stub:
        return [
            f"{stub['name']} is not written yet.",
            "Write it in its cell above, run that cell, then this one.",
        ]
    return None


class Unfinished:
    """The names that a stopped cell would have set, and why it stopped."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    def add(self, source: str, lines: list[str]) -> None:
        """Note that the cell `source` stopped with `lines`."""
        first_cause = lines[1] if lines[0].startswith("This cell needs ") else f"It said: {lines[0]}"
        self._reasons |= dict.fromkeys(_names_set_by(source), first_cause)

    def forget(self, result: Any) -> None:
        """Forget the names of a cell that ran to its end."""
        if result.success and result.info is not None and self._reasons:
            for name in _names_set_by(result.info.raw_cell):
                self._reasons.pop(name, None)

    def sentences(self, error: BaseException, frames: list[FrameType]) -> list[str] | None:
        """Return the lines to show if `error` comes of a name that another cell did not finish."""
        if not isinstance(error, _AFTER_EFFECTS) or not frames:
            return None
        missing = [error.name] if isinstance(error, NameError) else _containers_read_by(frames[-1])
        for name in missing:
            if name in self._reasons:
                return [
                    f"This cell needs {name}, and the cell above that makes it stopped.",
                    self._reasons[name],
                    "Mend that, run that cell to its end, then this one.",
                ]
        return None


def _frames_of_cells(trace: TracebackType | None, namespace: dict[str, Any]) -> list[FrameType]:
    """Return the frames of code that was written in cells, from the outermost inwards."""
    frames = []
    while trace is not None:
        if trace.tb_frame.f_globals is namespace:
            frames.append(trace.tb_frame)
        trace = trace.tb_next
    return frames


def _source(frame: FrameType) -> str:
    return "".join(linecache.getlines(frame.f_code.co_filename))


def _names_set_by(source: str) -> Iterator[str]:
    try:
        table = symtable.symtable(source, "cell", "exec")
    except SyntaxError:  # a cell with a magic command
        return
    for symbol in table.get_symbols():
        if symbol.is_assigned() or symbol.is_imported():
            yield symbol.get_name()


def _containers_read_by(frame: FrameType) -> Iterator[str]:
    """Return the names of the notebook that the code of `frame` reads and that may be half filled."""
    for step in dis.get_instructions(frame.f_code):
        if step.opname in ("LOAD_NAME", "LOAD_GLOBAL"):
            if isinstance(frame.f_globals.get(step.argval), (dict, list, set)):
                yield step.argval


def _show_sentences(error: BaseException, lines: list[str]) -> None:
    shown = [f"{_RED}{lines[0]}{_PLAIN}", *lines[1:]]
    # IPython asks an exception how it wants to be shown.
    error._render_traceback_ = lambda: shown  # type: ignore[attr-defined]
    # A figure begun before the error would be shown below it, with empty axes.
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
