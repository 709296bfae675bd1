"""Everything trusted about one stage, opened once: tests, references, catalogue."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

import pytest

from gradschool.errors import PackError
from gradschool.grading.host import Host, mark_value, split_name
from gradschool.grading.naming import Namer
from gradschool.grading.plugin import Bench, GradingPlugin
from gradschool.grading.reference import Signatures, load_reference
from gradschool.grading.replay import KernelReplays
from gradschool.pack import Stage

_LAUNCHES = re.compile(r"\bgs\.(kernel|to_device)\b")


class StageBench:
    """The hidden tests of one stage in an open pytest session, with their oracles.

    Raises:
        PackError: The tests cannot be collected, or two share a name.
    """

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.plugin = GradingPlugin(Bench())
        self.signatures = Signatures.of_stage(stage)
        self.host = Host(sorted(stage.graders.glob("test_*.py")), self.plugin)
        self.points: dict[str, int] = {}
        self._by_exercise: dict[str, dict[str, list[pytest.Function]]] = {}
        for item in self.host.items:
            self._add(item)

    def _add(self, item: pytest.Function) -> None:
        name, _ = split_name(item)
        exercise, points = mark_value(item, "exercise"), mark_value(item, "points")
        if not isinstance(exercise, str) or not isinstance(points, int):
            raise PackError(f"The hidden test {name} of {self.stage.id} lacks its exercise or points mark.")
        tests = self._by_exercise.setdefault(exercise, {})
        known = tests.setdefault(name, [])
        owner = next((e for e, names in self._by_exercise.items() if name in names and e != exercise), None)
        if owner or (known and known[0].path != item.path):
            raise PackError(f"Two hidden tests of {self.stage.id} are called {name}.")
        known.append(item)
        self.points[name] = points

    def tests_of(self, exercise: str) -> list[tuple[str, list[pytest.Function]]]:
        """Return the tests of an exercise, each with its cases."""
        return list(self._by_exercise.get(exercise, {}).items())

    @cached_property
    def reference(self) -> Any:
        """The reference functions."""
        return load_reference(self.stage)

    @cached_property
    def launching(self) -> frozenset[str]:
        """The functions that are to launch kernels, as the reference does."""
        return frozenset(
            cell.exercise
            for cell in self.stage.cells
            if cell.role == "solution" and cell.exercise and _LAUNCHES.search(cell.source)
        )

    @cached_property
    def namer(self) -> Namer:
        """The catalogue of misconceptions."""
        return Namer(self.stage, KernelReplays(self.stage))

    def close(self) -> None:
        """End the pytest session."""
        self.host.close()
