"""`gradschool verify`: prove the pack."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(verify)


def verify(
    stages: Annotated[list[str] | None, typer.Argument(help="Stages; default all.")] = None,
    exercise: Annotated[
        list[str] | None, typer.Option(help="Only the misconceptions of this exercise; repeatable.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the hidden inputs; default: fresh.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Proofs side by side.")] = os.cpu_count() or 1,
    device: Annotated[str, typer.Option(help="auto, gpu, software or interpreter.")] = "auto",
    allow_weak_sandbox: Annotated[bool, typer.Option(help="Run where isolation is weak.")] = False,
    pack: Annotated[
        Path | None, typer.Option(help="The course's checkout; default: found from the working directory.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
) -> None:
    """Prove that references earn full marks, stubs none, and every known mistake is caught and named."""
    import msgspec

    from gradschool.grading.options import GradeOptions
    from gradschool.pack import find_pack
    from gradschool.verify import verify_pack
    from gradschool.verify.view import VerifyView

    course = find_pack(pack)
    chosen = [course.stage(name) for name in stages] if stages else course.stages
    options = GradeOptions(
        seed=secrets.randbits(32) if seed is None else seed,
        device=device,
        n_slots=jobs,
        allow_weak_sandbox=allow_weak_sandbox,
    )
    with VerifyView(quiet=as_json) as view:
        record = verify_pack(
            course, chosen, options, only=exercise or (), on_total=view.start, on_proof=view.advance
        )
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(record)).decode())
    else:
        view.summary(record)
    if not all(stage.holds for stage in record.stages):
        raise typer.Exit(1)
