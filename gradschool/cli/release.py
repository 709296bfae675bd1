"""`gradschool release`: make assignments/, prove that it is fresh, or write an nbgrader course."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gradschool.errors import UsageError
from gradschool.pack import Pack, Stage, find_pack
from gradschool.release import StageState, build_assignment, compare, prune, write


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("release")(release)


def release(
    stages: Annotated[list[str] | None, typer.Argument(help="Stages, by id or number; default: all.")] = None,
    check: Annotated[bool, typer.Option(help="Write nothing; exit 1 if assignments/ is not fresh.")] = False,
    prune_stray: Annotated[
        bool, typer.Option("--prune", help="Delete files in assignments/ that the pack does not make.")
    ] = False,
    nbgrader: Annotated[
        Path | None,
        typer.Option("--nbgrader", metavar="DIR", help="Write an nbgrader course to DIR instead."),
    ] = None,
    pack: Annotated[Path | None, typer.Option(help="The course's checkout; default: found.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make what learners receive from solutions/, shaders/ and graders/."""
    if check and (prune_stray or nbgrader):
        raise UsageError("--check only looks; it goes with neither --prune nor --nbgrader.")
    course = find_pack(pack)
    chosen = [course.stage(name) for name in stages] if stages else course.stages
    if nbgrader:
        _write_course(course, chosen, nbgrader, as_json)
        return
    states = [_release_stage(stage, check=check, prune_stray=prune_stray) for stage in chosen]
    folders = [] if stages else _stray_folders(course)
    fresh = not folders and not any(state.stale or state.stray for state in states)
    if as_json:
        record = {"fresh": fresh, "stages": [asdict(state) for state in states], "stray_folders": folders}
        typer.echo(json.dumps(record, indent=2))
    else:
        _print_states(states, folders, check=check, pruned=prune_stray)
    if check and not fresh:
        if not as_json:
            typer.echo(f"Mend this with: {_mend(stages, states)}", err=True)
        raise typer.Exit(1)


def _release_stage(stage: Stage, *, check: bool, prune_stray: bool) -> StageState:
    files = build_assignment(stage)
    state = compare(stage, files)
    if not check:
        write(stage, files, state)
        if prune_stray:
            prune(stage, state)
    return state


def _stray_folders(course: Pack) -> list[str]:
    """Folders of assignments/ that no lesson makes."""
    known = {stage.id for stage in course.stages}
    folder = course.root / "assignments"
    found = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return [name for name in found if name not in known and not name.startswith(".")]


def _print_states(states: list[StageState], folders: list[str], *, check: bool, pruned: bool) -> None:
    for state in states:
        verb = "stale" if check else "written"
        typer.echo(f"{state.id}: {len(state.stale)} {verb}, {len(state.fresh)} unchanged")
        for name in state.stale:
            typer.echo(f"  {verb:8} {name}")
        for name in state.stray:
            typer.echo(f"  {'deleted' if pruned else 'stray':8} {name}")
    for name in folders:
        typer.echo(f"assignments/{name}: no lesson makes this folder")
    if not pruned and any(state.stray for state in states):
        typer.echo("Stray files are made by no lesson and were left alone; --prune deletes them.")


def _mend(stages: list[str] | None, states: list[StageState]) -> str:
    words = ["gradschool", "release", *(stages or [])]
    if any(state.stray for state in states):
        words.append("--prune")
    return shlex.join(words)


def _write_course(course: Pack, chosen: list[Stage], folder: Path, as_json: bool) -> None:
    from gradschool.release.course import write_course

    written, stray = write_course(course, chosen, folder)
    if as_json:
        ids = [stage.id for stage in chosen]
        typer.echo(json.dumps({"course": str(folder), "stages": ids, "written": written, "stray": stray}))
        return
    typer.echo(f"{folder}: an nbgrader course with {len(chosen)} stages, {len(written)} files written")
    for name in stray:
        typer.echo(f"  stray    {name}: not made here, and nbgrader will give it to learners")
    typer.echo("Next, in that folder:")
    for stage in chosen:
        typer.echo(f"  nbgrader generate_assignment {stage.id}")
