"""`gradschool check`: run the visible checks of a stage or an exercise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(check)


def check(
    target: Annotated[
        str | None, typer.Argument(help="A stage (01, perceptron), an exercise, or a kernel file.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="A released stage; default: found from the working directory.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Check your own work: every visible check of a stage, or of one exercise."""
    import msgspec

    from gradschool.grading.check_view import print_checks
    from gradschool.grading.visible import run_checks
    from gradschool.grading.workplace import find_target

    place = find_target(target, folder)
    records = run_checks(place.folder, place.exercises)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(records)).decode())
    else:
        print_checks(records, place.folder.name)
    if any(record.score < record.max_score for record in records):
        raise typer.Exit(1)
