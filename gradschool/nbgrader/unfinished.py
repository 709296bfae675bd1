"""Find autograded folders that a killed run left half written, and have them graded again.

nbgrader takes a folder's existence for a finished grading: after a `kill -9` or a power cut it
skips the submission with exit status 0, and the student keeps a zero. Here a submission is
finished when its notebook carries the mark that grading wrote into it, which nbgrader saves
after the scores.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from nbgrader.utils import rmtree

MARK = "gradschool_graded"


def redo_unfinished(converter: Any) -> list[str]:
    """Delete the unfinished autograded folders of what `converter` is about to process.

    Args:
        converter: nbgrader's `Autograde`, after it has found its submissions.

    Returns:
        The students whose work will be graded again.
    """
    pattern = converter._format_source("(?P<assignment_id>.*)", "(?P<student_id>.*)", escape=True)
    redone = []
    for source in sorted(converter.assignments):
        found = re.match(pattern, source)
        if found is None:
            continue
        folder = Path(converter._format_dest(found["assignment_id"], found["student_id"]))
        if folder.is_dir() and not is_finished(folder):
            converter.log.warning("%s was left half graded by an earlier run; it is graded again.", folder)
            rmtree(str(folder))
            redone.append(found["student_id"])
    return redone


def is_finished(folder: Path) -> bool:
    """Tell whether every notebook of an autograded folder was graded to the end."""
    notebooks = list(folder.glob("*.ipynb"))
    return bool(notebooks) and all(_has_mark(path) for path in notebooks)


def _has_mark(path: Path) -> bool:
    try:
        return MARK in json.loads(path.read_text(encoding="utf-8"))["metadata"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
