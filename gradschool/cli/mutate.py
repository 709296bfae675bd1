"""`gradschool mutate`: change every reference a little, and see whether the hidden tests notice."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(mutate)


def mutate(
    stages: Annotated[list[str] | None, typer.Argument(help="Stages; default all.")] = None,
    exercise: Annotated[
        list[str] | None, typer.Option(help="Only the mutants of this exercise; repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the hidden inputs.")] = 0,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Mutants side by side.")] = os.cpu_count() or 1,
    device: Annotated[
        str,
        typer.Option(help="interpreter, auto, gpu or software. What only one driver notices is not noticed."),
    ] = "interpreter",
    allow_weak_sandbox: Annotated[bool, typer.Option(help="Run where isolation is weak.")] = False,
    pack: Annotated[
        Path | None, typer.Option(help="The course's checkout; default: found from the working directory.")
    ] = None,
    list_only: Annotated[bool, typer.Option("--list", help="Print the mutants and grade none.")] = False,
    as_toml: Annotated[
        bool, typer.Option("--toml", help="Print the survivors as entries of equivalent_mutants.toml.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
) -> None:
    """Change each reference in one place at a time: a hidden test must fail, or a proof be listed why none can."""
    import msgspec

    from gradschool.grading.options import GradeOptions
    from gradschool.mutation import mutate_pack, plan
    from gradschool.mutation.equivalents import template
    from gradschool.mutation.view import MutationView, show_list, summary
    from gradschool.pack import find_pack

    course = find_pack(pack)
    chosen = [course.stage(name) for name in stages] if stages else course.stages
    work = plan(chosen, exercise or ())
    if list_only:
        show_list(work)
        return
    options = GradeOptions(seed=seed, device=device, n_slots=jobs, allow_weak_sandbox=allow_weak_sandbox)
    with MutationView(quiet=as_json or as_toml) as view:
        record = mutate_pack(course, work, options, on_total=view.start, on_mutant=view.advance)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(record)).decode())
    elif as_toml:
        typer.echo(template(record), nl=False)
    else:
        summary(record)
    if not record.holds:
        raise typer.Exit(1)
