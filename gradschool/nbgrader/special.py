"""Submissions that hold links, pipes or devices: nbgrader copies what they point at, or waits for ever."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any


def leave_out_special(converter: Any) -> list[str]:
    """Take submissions that are not all plain files off the list of what `converter` will process.

    A linked notebook would show another student's work on this one's feedback page. `gradschool grade`
    reads such a submission without following anything, and gives what its plain files earn.

    Args:
        converter: nbgrader's `Autograde`, after it has found its submissions.

    Returns:
        The folders that were left out.
    """
    left_out = []
    for source in sorted(converter.assignments):
        names = special_files(Path(source))
        if names:
            converter.log.error(
                "%s holds links or devices and is not graded: %s. Ask for plain files, or grade it with "
                "`gradschool grade`.",
                source,
                ", ".join(names[:5]),
            )
            del converter.assignments[source]
            left_out.append(source)
    return left_out


def special_files(folder: Path) -> list[str]:
    """Return what in a folder is neither a plain file nor a folder, relative to it."""
    found = []
    for place, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(place, name)
            mode = path.lstat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                found.append(path.relative_to(folder).as_posix())
    return sorted(found)
