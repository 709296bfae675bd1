"""nbgrader's removal of solutions, with stubs that name their exercise."""

from __future__ import annotations

from typing import Any

from nbgrader.preprocessors import ClearSolutions

from gradschool.lesson_file import BEGIN_SOLUTION
from gradschool.release.stubs import stub_function


class ClearSolutionsByName(ClearSolutions):
    """`ClearSolutions`, but a stub says which function is still to be written.

    Cells without an exercise of ours are left to nbgrader.
    """

    def preprocess_cell(self, cell: Any, resources: Any, cell_index: int) -> tuple[Any, Any]:
        """Replace the solution regions of one cell."""
        exercise = cell.metadata.get("gradschool", {}).get("exercise")
        if exercise and cell.cell_type == "code" and BEGIN_SOLUTION in cell.source:
            cell.source = stub_function(cell.source, exercise)
            return cell, resources
        return super().preprocess_cell(cell, resources, cell_index)
