"""nbgrader keeps its gradebook, formgrader and feedback; scores come from isolated grading.

```
nbgrader generate_assignment   source/ ─▶ release/       ClearSolutionsByName: our stubs
nbgrader autograde             submitted/ ─▶ autograded/ RepairingExporter reads what can be read,
                                                         IsolatedGrading takes the place of Execute
nbgrader generate_feedback     autograded/ ─▶ feedback/  nbgrader's own, with our messages in it
nbgrader export                gradebook.db ─▶ CSV       nbgrader's own
```

`configure` (in `gradschool.nbgrader.config`) sets all of it from a course's `nbgrader_config.py`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_LAZY = {
    "ClearSolutionsByName": "gradschool.nbgrader.solutions",
    "IsolatedGrading": "gradschool.nbgrader.isolated",
    "RepairingExporter": "gradschool.nbgrader.exporter",
    "configure": "gradschool.nbgrader.config",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'gradschool.nbgrader' has no attribute {name!r}")
