"""One small change of a text, and the part of a text that may be changed."""

from __future__ import annotations

from typing import NamedTuple

from gradschool.errors import PackError
from gradschool.lesson_file import BEGIN_SOLUTION, END_SOLUTION


class Edit(NamedTuple):
    """Replace `text[start:end]` by `new`; `operator` is the kind of change, a word of an id."""

    start: int
    end: int
    new: str
    operator: str

    def apply(self, text: str) -> str:
        """Return the changed text."""
        return text[: self.start] + self.new + text[self.end :]


def edit_between(text: str, changed: str, operator: str) -> Edit:
    """Return the shortest edit that turns `text` into `changed`."""
    shortest = min(len(text), len(changed))
    start = 0
    while start < shortest and text[start] == changed[start]:
        start += 1
    n_end = 0
    # What both begin with must not be counted as what both end with: "aa" and "a" share only one letter.
    while n_end < shortest - start and text[-1 - n_end] == changed[-1 - n_end]:
        n_end += 1
    return Edit(start, len(text) - n_end, changed[start : len(changed) - n_end], operator)


def solution_regions(text: str, comment: str) -> list[tuple[int, int]]:
    """Return the offsets between each pair of solution markers.

    Args:
        text: A solution cell or a kernel file.
        comment: The comment leader of the markers, `###` or `//`.

    Raises:
        PackError: There is no pair, or one does not close.
    """
    regions: list[tuple[int, int]] = []
    begin: int | None = None
    offset = 0
    for line in text.splitlines(keepends=True):
        bare = line.strip()
        if bare == f"{comment} {BEGIN_SOLUTION}":
            begin = offset + len(line)
        elif bare == f"{comment} {END_SOLUTION}" and begin is not None:
            regions.append((begin, offset))
            begin = None
        offset += len(line)
    if begin is not None or not regions:
        raise PackError(f"There is no closed pair of `{comment} {BEGIN_SOLUTION}` and `{END_SOLUTION}`.")
    return regions


def line_of(text: str, offset: int) -> int:
    """Return the line, from 1, that holds `offset`."""
    return text.count("\n", 0, offset) + 1


def quote(text: str, changed: str) -> tuple[str, str]:
    """Return what differs as `(old, new)`, in whole lines, enough of them for `old` to be in `text` once.

    Putting `new` for `old` in `text` gives `changed`.
    """
    edit = edit_between(text, changed, "")
    start = text.rfind("\n", 0, edit.start) + 1
    end = text.find("\n", edit.end)
    end = len(text) if end < 0 else end
    # The indentation of the first line is part of both and says nothing.
    first = start + len(text[start:end]) - len(text[start:end].lstrip())
    first = min(first, edit.start)
    while text.count(text[first:end]) != 1 and start > 0:
        first = start = text.rfind("\n", 0, start - 1) + 1
    while text.count(text[first:end]) != 1 and end < len(text):
        end = text.find("\n", end + 1)
        end = len(text) if end < 0 else end
    new = text[first : edit.start] + edit.new + text[edit.end : end]
    return text[first:end], new
