"""How visible checks look in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from gradschool.grading.records import ExerciseRecord


def print_checks(records: Sequence[ExerciseRecord], title: str) -> None:
    """Print one line per exercise, and below a failed one what is wrong and what to do."""
    console = Console(highlight=False)
    n_right = sum(record.score == record.max_score for record in records)
    console.print(Text(f"{title}: {n_right} of {len(records)} exercises pass their checks", style="bold"))
    for record in records:
        right = record.score == record.max_score
        line = Text("  pass  " if right else "  FAIL  ", style="green" if right else "red")
        line.append(record.id, style="default")
        console.print(line)
        for test in record.tests:
            if test.outcome == "passed":
                continue
            name = test.name.removeprefix("test_").replace("_", " ")
            console.print(Text(f"        {name}", style="bold"))
            for text in test.message.splitlines():
                console.print(Text(f"          {text}"), soft_wrap=True)
