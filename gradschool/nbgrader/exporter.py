"""How nbgrader reads submitted notebooks: nothing a student did to the file stops the class."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbgrader.converters import Autograde, NbGraderException

from gradschool.nbgrader.repair import repair_notebook
from gradschool.nbgrader.special import leave_out_special
from gradschool.nbgrader.unfinished import redo_unfinished


class RepairingExporter(NotebookExporter):
    """Reads a submission as it should have been; set as `c.Autograde.exporter_class`.

    nbgrader makes one exporter per command, after it has listed the submissions: the moment
    to clear away what a killed run left behind.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(self.parent, Autograde):
            leave_out_special(self.parent)
            redo_unfinished(self.parent)

    def from_file(self, file_stream: Any, resources: Any = None, **kw: Any) -> tuple[Any, Any]:
        """Read a notebook from an open file, repair it and convert it."""
        if not isinstance(self.parent, Autograde) or not resources or "nbgrader" not in resources:
            return super().from_file(file_stream, resources=resources, **kw)
        try:
            text = file_stream.read()
        except UnicodeDecodeError:
            text = ""
        notebook, notes = repair_notebook(text, self._released(resources["nbgrader"]))
        for note in notes:
            self.log.warning("%s: %s", resources["nbgrader"]["student"], note)
        return self.from_notebook_node(nbformat.from_dict(notebook), resources=resources, **kw)

    def _released(self, where: dict[str, str]) -> dict[str, Any]:
        """The notebook as nbgrader released it: the one whose cells its gradebook knows."""
        coursedir: Any = getattr(self.parent, "coursedir", None)
        folder = coursedir.format_path(coursedir.release_directory, ".", where["assignment"])
        path = Path(folder) / f"{where['notebook']}.ipynb"
        try:
            released = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise NbGraderException(
                f"{path} cannot be read; run 'nbgrader generate_assignment {where['assignment']}' first."
            ) from error
        for cell in released["cells"]:
            cell["source"] = "".join(cell["source"])
        return released
