"""`gradschool grade`: grade a folder of submissions."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(grade)


def grade(
    submissions: Annotated[Path, typer.Argument(help="Folder with <student>/<NN_stage>/ inside.")],
    out: Annotated[Path, typer.Option(help="Where records and feedback go.")] = Path("results"),
    stage: Annotated[list[str] | None, typer.Option(help="Only this stage; repeatable.")] = None,
    student: Annotated[list[str] | None, typer.Option(help="Only this student; repeatable.")] = None,
    exercise: Annotated[
        list[str] | None, typer.Option(help="Judge only this again, in records that exist; repeatable.")
    ] = None,
    changed: Annotated[bool, typer.Option(help="Grade only what another grader has graded.")] = False,
    force: Annotated[bool, typer.Option(help="Grade again what has a current record.")] = False,
    seed: Annotated[int | None, typer.Option(help="Seed of the hidden inputs; default: fresh.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Submissions side by side.")] = os.cpu_count()
    or 1,
    cluster: Annotated[
        str, typer.Option(help="Grade on the workers of this Dask scheduler, such as tls://host:8786.")
    ] = "",
    insecure_cluster: Annotated[
        bool, typer.Option(help="Accept a cluster without TLS: whoever reaches it can run code there.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, gpu, software or interpreter.")] = "auto",
    call_timeout: Annotated[float, typer.Option(help="Seconds one call may take.")] = 10.0,
    hint_cost: Annotated[
        str,
        typer.Option(
            help="Share of an exercise's points lost once hint 1, 2, 3 was opened, such as 0,0.1,0.25."
        ),
    ] = "",
    allow_weak_sandbox: Annotated[
        bool, typer.Option(help="Grade where submissions cannot be isolated.")
    ] = False,
    pack: Annotated[
        Path | None, typer.Option(help="The course's checkout; default: found from the working directory.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON summary.")] = False,
) -> None:
    """Grade every submission in a folder; what is graded already is kept."""
    from gradschool.grading.cluster import Cluster
    from gradschool.grading.coordinator import grade_class
    from gradschool.grading.local_slots import run_local
    from gradschool.grading.options import GradeOptions
    from gradschool.grading.progress import GradeProgress
    from gradschool.hints import read_costs
    from gradschool.pack import find_pack

    options = GradeOptions(
        seed=secrets.randbits(32) if seed is None else seed,
        device=device,
        call_timeout_s=call_timeout,
        n_slots=jobs,
        hint_costs=read_costs(hint_cost),
        allow_weak_sandbox=allow_weak_sandbox,
        force=force,
        students=tuple(student or ()),
        stages=tuple(stage or ()),
        exercises=tuple(exercise or ()),
        changed=changed,
    )
    run = Cluster(cluster, insecure_cluster) if cluster else run_local
    with GradeProgress(quiet=as_json) as progress:
        result = grade_class(
            submissions,
            out,
            options,
            pack=find_pack(pack),
            run=run,
            on_total=progress.start,
            on_record=progress.advance,
        )
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "n_graded": result.n_graded,
                    "n_kept": result.n_kept,
                    "n_left": result.n_left,
                    "failures": result.failures,
                    "results": str(out),
                    "seed": options.seed,
                }
            )
        )
    else:
        progress.summary(result, out)
    if result.failures:
        raise typer.Exit(1)
