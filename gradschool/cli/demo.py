"""`gradschool demo`: a small class hands in its work, and is graded before your eyes."""

from __future__ import annotations

import json
import os
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from gradschool.demo.run import DemoResult, Row
    from gradschool.pack import Stage

MOST_COMPLAINTS = 3


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("demo")(demo)


def demo(
    out: Annotated[Path, typer.Option(help="Where the class and its results go.")] = Path("gradschool-demo"),
    stage: Annotated[
        list[str] | None, typer.Option(help="A stage; repeatable. Default: the first two.")
    ] = None,
    keep: Annotated[
        bool, typer.Option(help="Keep an earlier demo's grades and do only what is missing.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, gpu, software or interpreter.")] = "auto",
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", help="Submissions side by side.")] = None,
    open_page: Annotated[
        bool | None,
        typer.Option("--open/--no-open", help="Open the report; default: in a desktop's terminal."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a small class of right, wrong, broken and hostile submissions and grade it."""
    from rich.console import Console

    from gradschool.demo.run import demo_options, run_demo
    from gradschool.grading.progress import GradeProgress
    from gradschool.pack import find_pack

    pack = find_pack()
    chosen = [pack.stage(name) for name in stage] if stage else pack.stages[:2]
    console = Console(highlight=False, quiet=as_json)
    _introduce(console, chosen)
    with GradeProgress(quiet=as_json) as progress:
        result = run_demo(
            pack,
            chosen,
            out,
            demo_options(device, jobs),
            keep=keep,
            on_total=progress.start,
            on_record=progress.advance,
        )
    if as_json:
        typer.echo(json.dumps(_summary(result), indent=2, ensure_ascii=False))
    else:
        _print_class(console, result)
    if open_page if open_page is not None else not as_json and _has_desktop():
        webbrowser.open(result.report.resolve().as_uri())
    if result.n_wrong:
        raise typer.Exit(1)


def _has_desktop() -> bool:
    """Whether somebody sits before a screen that can show a page."""
    if not sys.stdout.isatty() or os.environ.get("CI"):
        return False
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _introduce(console: Any, stages: list[Stage]) -> None:
    console.print(
        f"A small class hands in {' and '.join(stage.id for stage in stages)}:\n"
        "right, half done, wrong in known ways, broken, endless and hostile. Hidden\n"
        "tests grade each submission in a sandbox, kernels on a device and in an\n"
        "interpreter. Nothing stops the class, and nobody gets a point for nothing.\n",
        markup=False,
        soft_wrap=True,
    )


def _print_class(console: Any, result: DemoResult) -> None:
    from rich.table import Table
    from rich.text import Text

    from gradschool.report.text import first_line, points

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("")
    table.add_column("student", no_wrap=True)
    table.add_column("what they did, and what they are told", ratio=1)
    table.add_column("score", justify="right", no_wrap=True)
    stage = ""
    for row in sorted(result.rows, key=lambda row: row.stage):
        if row.stage != stage:
            stage = row.stage
            table.add_row("", "", Text(""), "")
            table.add_row("", Text(stage, style="bold cyan"), "", "")
        score = "" if row.record is None else f"{points(row.record.score)} / {points(row.record.max_score)}"
        story = Text(row.did)
        if row.feedback:
            story.append(f"\n{first_line(row.feedback, 200)}", style="dim")
        for sentence in row.wrong[:MOST_COMPLAINTS]:
            story.append(f"\nnot as expected: {first_line(sentence, 240)}", style="red")
        if len(row.wrong) > MOST_COMPLAINTS:
            story.append(f"\nand {len(row.wrong) - MOST_COMPLAINTS} more", style="red")
        table.add_row(_mark(row), row.student, story, score)
    console.print(table)
    _print_end(console, result)


def _mark(row: Row) -> Any:
    from rich.text import Text

    if row.wrong:
        return Text("✗", style="bold red")
    return Text("✓", style="green") if row.judged else Text("-", style="yellow")


def _print_end(console: Any, result: DemoResult) -> None:
    n_rows = len(result.rows)
    unjudged = sum(not row.judged for row in result.rows)
    style = "bold red" if result.n_wrong else "bold green"
    console.print()
    console.print(
        f"{n_rows - result.n_wrong - unjudged} of {n_rows} as expected, in {result.seconds:.0f} s "
        f"({result.seconds / max(1, n_rows):.1f} s each).",
        style=style,
    )
    record = next((row.record for row in result.rows if row.record is not None), None)
    if record is not None:
        console.print(
            f"Kernels ran on {record.device.name} ({record.device.kind}); isolation: {record.sandbox.level}.",
            markup=False,
        )
        for missing in record.sandbox.missing:
            console.print(f"  missing: {missing}", style="yellow", markup=False)
    if unjudged:
        console.print("Attacks (-) are judged only where submissions can be isolated fully.", style="yellow")
    console.print(f"Report: {result.report}", markup=False, soft_wrap=True)
    console.print(f"The work: {result.report.parent.parent / 'submissions'}", markup=False, soft_wrap=True)


def _summary(result: DemoResult) -> dict[str, Any]:
    return {
        "ok": result.n_wrong == 0,
        "seconds": round(result.seconds, 2),
        "report": str(result.report),
        "submissions": [
            {
                "student": row.student,
                "stage": row.stage,
                "did": row.did,
                "score": None if row.record is None else row.record.score,
                "max_score": None if row.record is None else row.record.max_score,
                "status": None if row.record is None else row.record.status,
                "feedback": row.feedback,
                "as_expected": not row.wrong if row.judged else None,
                "wrong": row.wrong,
                "device": None if row.record is None else row.record.device.kind,
                "sandbox": None if row.record is None else row.record.sandbox.level,
            }
            for row in result.rows
        ],
    }
