"""Errors a learner will meet, without the traceback that does not concern them."""

from __future__ import annotations

import re
import sys
from types import TracebackType
from typing import Any

from gradschool.errors import GradschoolError

_STUB = re.compile(r"^(?P<name>\w+): your code here$")
_RED, _PLAIN = "\x1b[31m", "\x1b[0m"


def install(shell: Any) -> None:
    """Let IPython show our own errors, and a call of an unwritten exercise, as sentences."""
    shell.set_custom_exc((GradschoolError, NotImplementedError), _show)


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


def _show(
    shell: Any,
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
    tb_offset: int | None = None,
) -> None:
    lines = sentences(error)
    if lines is not None:
        shown = [f"{_RED}{lines[0]}{_PLAIN}", *lines[1:]]
        # IPython asks an exception how it wants to be shown.
        error._render_traceback_ = lambda: shown  # type: ignore[attr-defined]
        # A figure begun before the error would be shown below it, with empty axes.
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
