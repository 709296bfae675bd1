"""`gradschool watch`: check again whenever a file is saved."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(watch)


def watch(
    target: Annotated[
        str | None, typer.Argument(help="A stage (01, perceptron), an exercise, or a kernel file.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="A released stage; default: found from the working directory.")
    ] = None,
) -> None:
    """Check on every save: a kernel's own checks when it changes, functions when the notebook does."""
    from watchfiles import watch as changes_in

    from gradschool.errors import GradschoolError
    from gradschool.grading.check_view import print_checks
    from gradschool.grading.visible import run_checks
    from gradschool.grading.workplace import exercises_touched, find_target

    place = find_target(target, folder)
    typer.echo(f"Watching {place.folder}. Save a kernel or the notebook; stop with ctrl-C.")
    # The first turn comes from the running watcher, so a save during the first check is not lost.
    first = True
    for changes in changes_in(place.folder, raise_interrupt=False, yield_on_timeout=True, rust_timeout=200):
        saved = {Path(path) for _, path in changes}
        touched = place.exercises if first else exercises_touched(place, saved)
        first = False
        if not touched:
            continue
        try:
            print_checks(run_checks(place.folder, touched), place.folder.name)
        except GradschoolError as error:
            # A half-saved notebook is normal while someone works; the next save mends it.
            typer.echo(str(error))
