"""`gradschool hint`: one step of help, and a record that it was taken."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(hint)


def hint(
    exercise: Annotated[str, typer.Argument(help="An exercise, or a kernel file.")],
    level: Annotated[int | None, typer.Option(help="1 asks, 2 says the idea, 3 nearly the answer.")] = None,
    folder: Annotated[
        Path | None, typer.Option(help="A released stage; default: found from the working directory.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the hint as JSON.")] = False,
) -> None:
    """Show the next hint of an exercise; which hints you opened is handed in with your work."""
    from rich.console import Console
    from rich.text import Text

    from gradschool.errors import UsageError
    from gradschool.grading.workplace import find_target
    from gradschool.hints import open_hint

    place = find_target(exercise, folder)
    if len(place.exercises) != 1:
        raise UsageError(f"{exercise} is a stage.", help=f"Name one exercise: {', '.join(place.exercises)}.")
    found = open_hint(place.folder, place.exercises[0], level)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(found)))
        return
    console = Console(highlight=False)
    console.print(Text(f"{found.exercise}: hint {found.level} of {found.n_levels}", style="bold"))
    console.print(Text(f"  {found.text}"))
    console.print(Text(f"  {found.next_step}", style="dim"))
