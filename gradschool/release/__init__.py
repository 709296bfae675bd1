"""From the hidden half to what learners receive: `assignments/` and nbgrader's course folder."""

from gradschool.release.assignment import (
    StageState,
    build_assignment,
    companions,
    compare,
    find_leaks,
    prune,
    write,
)
from gradschool.release.notebook_file import build_notebook, grade_id, solution_id, write_notebook

__all__ = [
    "StageState",
    "build_assignment",
    "build_notebook",
    "companions",
    "compare",
    "find_leaks",
    "grade_id",
    "prune",
    "solution_id",
    "write",
    "write_notebook",
]
