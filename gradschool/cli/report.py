"""`gradschool report`: make the pages again from the records, and show the class."""

from __future__ import annotations

import json
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gradschool.grading.records import SubmissionRecord
from gradschool.report import read_records, write_class, write_feedback
from gradschool.report.statistics import MisconceptionView, misconceptions
from gradschool.report.text import clean, first_line, percent, points

STATUS_WORDS = {"graded": "graded", "partial": "partly graded", "not-graded": "not graded"}


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("report")(report)


def report(
    results: Annotated[Path, typer.Argument(help="The folder that `gradschool grade --out` wrote.")],
    title: Annotated[str, typer.Option(help="Heading of the class page.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    open_page: Annotated[bool, typer.Option("--open", help="Open the class page in a browser.")] = False,
) -> None:
    """Make feedback pages and tables again from the grade records, and show the class."""
    records, complaints = read_records(results)
    pages = [path for record in records for path in write_feedback(record, results)]
    if records:
        pages += write_class(records, results, title or f"Class report: {results.resolve().name}")
    if as_json:
        typer.echo(json.dumps(_summary(records, complaints, pages), indent=2, ensure_ascii=False))
    else:
        _print_class(records, complaints, results / "index.html")
    if open_page and records:
        webbrowser.open((results / "index.html").resolve().as_uri())
    if complaints or not records:
        raise typer.Exit(1)


def _summary(records: Sequence[SubmissionRecord], complaints: list[str], pages: list[Path]) -> dict:
    return {
        "submissions": [
            {
                "student": record.student,
                "stage": record.stage,
                "score": record.score,
                "max_score": record.max_score,
                "status": record.status,
                "problems": record.problems,
            }
            for record in records
        ],
        "misconceptions": [
            {
                "stage": item.stage,
                "exercise": item.exercise,
                "id": item.id,
                "count": item.count,
                "help": item.help,
            }
            for item in misconceptions(records)
        ],
        "unreadable": complaints,
        "pages": [str(path) for path in pages],
    }


def _print_class(records: Sequence[SubmissionRecord], complaints: list[str], index: Path) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    if not records:
        console.print(f"No grade records in {index.parent}.", markup=False)
        console.print("Grade a class first: gradschool grade SUBMISSIONS --out RESULTS", markup=False)
    else:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("student", overflow="fold")
        table.add_column("stage")
        table.add_column("score", justify="right")
        table.add_column("", justify="right", style="dim")
        table.add_column("status")
        for record in records:
            status, style = STATUS_WORDS[record.status], "" if record.status == "graded" else "yellow"
            if record.problems:
                status += f": {first_line(record.problems[0], 70)}"
            table.add_row(
                escape(clean(record.student)),
                record.stage,
                f"{points(record.score)} / {points(record.max_score)}",
                f"{percent(record.score, record.max_score)}%",
                escape(status),
                style=style,
            )
        console.print(table)
        _print_misconceptions(console, misconceptions(records, most=5))
        console.print(f"\nClass page: {index}", markup=False, soft_wrap=True)
    for complaint in complaints:
        console.print(f"unreadable: {complaint}", style="red", markup=False)


def _print_misconceptions(console: Any, found: list[MisconceptionView]) -> None:
    if not found:
        return
    console.print("\nMost frequent mistakes", style="bold")
    for item in found:
        console.print(
            f"  {item.count} time{'s' if item.count > 1 else ''} in {item.exercise}: {item.help}",
            markup=False,
        )
