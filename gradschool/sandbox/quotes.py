"""How much of a learner's own words a message repeats.

Nothing helps a learner more than the exception their code raised. But code that is called with hidden
inputs can put them into its words: the text or the name of an exception, the type of what it returns, the
path of a file it asks for. So where inputs are hidden a quote is one short line without long numbers, and
each function is quoted a few times only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_CHARS = 160
MAX_NAME_CHARS = 60
PER_FUNCTION = 3
MAX_ATTEMPTS = 12

# Decimals, exponents, many digits and long rows of numbers are data; shapes, indices and counts stay.
_DATA = re.compile(r"\d*\.\d+(?:[eE][-+]?\d+)?|\d+\.(?![\w.])|\d{6,}|\d[eE][-+]?\d+|\[[-+\d.,;eE\s\[\]]{12,}")


class Quotes:
    """Decides what is quoted of one submission.

    Args:
        discreet: Whether its functions are called with hidden inputs; otherwise everything is quoted.
    """

    def __init__(self, *, discreet: bool) -> None:
        self._discreet = discreet
        self._told: dict[str, set[tuple[str, ...]]] = {}

    def of(self, function: str, name: str, *texts: str) -> tuple[str, ...]:
        """Return a name and texts that came out of `function`, as far as they may be repeated."""
        if not self._discreet:
            return name, *texts
        quote = (brief(name, MAX_NAME_CHARS), *map(brief, texts))
        told = self._told.setdefault(function, set())
        if quote not in told and len(told) == PER_FUNCTION:
            return ("",) * len(quote)
        told.add(quote)
        return quote


def brief(text: str, limit: int = MAX_CHARS) -> str:
    """Return one line of at most `limit` characters, with `…` for numbers that look like data."""
    line = _DATA.sub("…", " ".join(text.split()))
    return line if len(line) <= limit else f"{line[: limit - 1].rstrip()}…"


def add_attempts(known: dict[str, None], attempts: Iterable[str]) -> None:
    """Add what was tried and refused to what is known of it, a few short lines in all."""
    for attempt in attempts:
        if len(known) == MAX_ATTEMPTS:
            return
        known[brief(attempt, MAX_NAME_CHARS)] = None
