"""Counted work of a run."""

from __future__ import annotations

from typing import Any


class Cost:
    """Counts; filled in later."""

    def __init__(self, source: Any) -> None:
        self.source = source

    def line(self, line, m, ops):
        """Count a statement."""

    def access(self, memory, a, m, line, width, write, atomic=False):
        """Count a load or store."""

    def barrier(self, line, m, run):
        """Count a barrier."""

    def finish(self, run):
        """End of the run."""
