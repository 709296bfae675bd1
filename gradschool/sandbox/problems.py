"""Exceptions of learner's code as data: type, text, cell, line, and only their own frames."""

from __future__ import annotations

import linecache
import re
import traceback

from gradschool.sandbox.messages import Problem

_MAX_FRAMES = 12
_MAX_TEXT = 2_000
_FILENAME = re.compile(r"^<cell (\d+)>$")


def register(index: int, source: str) -> str:
    """Make a cell's lines available to tracebacks; returns the file name to compile it under."""
    filename = f"<cell {index}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    return filename


def describe(error: BaseException) -> Problem:
    """Describe an exception; never raises, whatever the exception's own methods do."""
    kind = type(error)
    bases = tuple(_clean(base.__name__, 200) for base in kind.__mro__ if base not in (object, BaseException))
    cell, line, trace = _frames(error)
    if isinstance(error, SyntaxError):
        found = _FILENAME.match(str(error.filename))
        if found:
            cell, line = int(found[1]), error.lineno
    return Problem(_clean(kind.__name__, 200), bases[:16], _text(error), cell, line, trace)


def _frames(error: BaseException) -> tuple[int | None, int | None, tuple[str, ...]]:
    try:
        frames = traceback.extract_tb(error.__traceback__)
    except Exception:  # memory may be short, or the traceback absurd
        return None, None, ()
    own = [frame for frame in frames if _FILENAME.match(frame.filename)]
    if not own:
        return None, None, ()
    lines = [_clean(f"line {frame.lineno}, in {frame.name}: {frame.line}", 300) for frame in own]
    if len(lines) > _MAX_FRAMES:
        half = _MAX_FRAMES // 2
        lines = [*lines[:half], f"... {len(lines) - 2 * half} more ...", *lines[-half:]]
    found = _FILENAME.match(own[-1].filename)
    return int(found[1]) if found else None, own[-1].lineno, tuple(lines)


def _text(error: BaseException) -> str:
    try:
        if isinstance(error, SyntaxError):
            return _clean(str(error.msg), _MAX_TEXT)
        if isinstance(error, SystemExit) and error.code is None:
            return ""
        return _clean(str(error), _MAX_TEXT)
    except BaseException:
        return ""


def _clean(text: object, limit: int) -> str:
    return str(text)[:limit].encode("utf-8", "replace").decode()
