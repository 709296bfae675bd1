"""The result of a trace: text in a terminal, a picture in a notebook, JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from gradschool.tracing.frames import Story, make_story
from gradschool.tracing.launch import Launch, outputs_of, run_launch


class Trace:
    """One watched run.

    Attributes:
        launch: What ran, on which arguments, and the interpreter's result.
        story: The run in steps.
    """

    def __init__(self, launch: Launch) -> None:
        self.launch = launch

    @cached_property
    def story(self) -> Story:
        """The run in steps."""
        return make_story(self.launch)

    @property
    def findings(self) -> list[Any]:
        """What is wrong; empty for a sound kernel."""
        return self.launch.result.findings

    @property
    def cost(self) -> Any:
        """Counted work, per line and in total."""
        return self.launch.result.cost

    @property
    def outputs(self) -> dict[str, np.ndarray]:
        """What the kernel wrote, by name."""
        return outputs_of(self.launch)

    def print(self, console: Any = None, variable: str | None = None) -> None:
        """Print the trace to a rich console, by default the terminal."""
        from rich.console import Console

        from gradschool.tracing.terminal import print_trace

        print_trace(self.launch, self.story, console or Console(highlight=False), variable)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the single steps, as plain values."""
        cost = self.cost
        return {
            "kernel": self.launch.filename,
            "params": dict(self.launch.example.params),
            "workgroup_size": list(self.launch.workgroup_size),
            "workgroups": list(self.launch.workgroups),
            "findings": [
                {slot.name: getattr(finding, slot.name) for slot in fields(finding)}
                for finding in self.findings
            ],
            "total": _counts(cost.total)
            | {
                "distinct_load_bytes": cost.distinct_load_bytes,
                "distinct_store_bytes": cost.distinct_store_bytes,
                "intensity": cost.intensity,
                "lane_use": cost.lane_use,
            },
            "lines": {str(number): _counts(row) for number, row in sorted(cost.lines.items())},
            "steps": len(self.story.frames),
        }

    def __str__(self) -> str:
        from rich.console import Console

        text = StringIO()
        self.print(Console(file=text, width=110, highlight=False, color_system=None))
        return text.getvalue()

    def __repr__(self) -> str:
        return f"<trace of {self.launch.filename}: {len(self.findings)} findings, {len(self.story.frames)} steps>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from gradschool.tracing.page import trace_html

        return {"text/html": trace_html(self.launch, self.story), "text/plain": str(self)}


def trace_file(
    path: Path,
    arrays: Mapping[str, np.ndarray] | None = None,
    params: Mapping[str, float] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> Trace:
    """Trace the kernel file at `path`.

    Args:
        path: The `.wgsl` file.
        arrays: Input arrays by name; the others are made up.
        params: Fields of `Params` by name.
        shapes: Shapes by array name, for arrays that are made up.

    Raises:
        GradschoolError: It is no kernel, does not compile, or the arguments do not fit.
    """
    return Trace(run_launch(path, arrays, params, shapes))


def _counts(row: Any) -> dict[str, int]:
    return {slot.name: getattr(row, slot.name) for slot in fields(row)}
