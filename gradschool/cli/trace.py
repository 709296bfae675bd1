"""`gradschool trace`: watch a kernel run on a small example."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gradschool.errors import GradschoolError, UsageError


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(trace)


def trace(
    kernel: Annotated[str, typer.Argument(help="A kernel: a path, or a file name of a stage here.")],
    shape: Annotated[
        list[str] | None, typer.Option(help="Shape of an array, such as x=3x70; repeatable.")
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option(help="A parameter, such as alpha=0.5; repeatable.")
    ] = None,
    variable: Annotated[
        str | None, typer.Option(help="The buffer or workgroup array to draw; default: where a race is.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write the picture to step through as a page of its own.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts and findings as JSON.")] = False,
) -> None:
    """Watch a kernel run: what each line costs, who touches what, and where invocations race."""
    import json

    from gradschool.tracing.record import trace_file

    shapes = dict(_shape(text) for text in shape or [])
    params = dict(_param(text) for text in param or [])
    result = trace_file(find_kernel(kernel), params=params, shapes=shapes)
    if html is not None:
        from gradschool.tracing.page import trace_page

        html.write_text(trace_page(result.launch, result.story), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(result.to_dict(), indent=2))
    else:
        result.print(variable=variable)
        if html is not None:
            typer.echo(f"\nwritten: {html}")
    if any(finding.hard for finding in result.findings):
        raise typer.Exit(1)


def find_kernel(name: str) -> Path:
    """Return the kernel file that `name` means: a path, or a file of a stage at hand.

    Raises:
        UsageError: There is none, or more than one.
    """
    path = Path(name)
    if path.is_file():
        return path
    filename = path.name if path.suffix == ".wgsl" else f"{path.name}.wgsl"
    here = Path.cwd()
    found = sorted(
        {*here.glob(filename), *here.glob(f"*/{filename}"), *here.glob(f"assignments/*/{filename}")}
    )
    if not found:
        from gradschool.pack import find_pack

        try:
            found = [file for stage in find_pack().stages for file in stage.kernels if file.name == filename]
        except GradschoolError:
            found = []
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{filename} is in {len(found)} folders.", help=f"Name one: {found[0]}.")
    raise UsageError(
        f"There is no kernel {name}.", help="Name a .wgsl file, or run this in a stage's folder or above it."
    )


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, _, sizes = text.partition("=")
    parts = sizes.lower().split("x")
    if not name or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise UsageError(f"--shape {text} is no shape.", help="Write it like --shape x=3x70.")
    return name, tuple(int(part) for part in parts)


def _param(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    try:
        value = float(number)
    except ValueError:
        raise UsageError(f"--param {text} is no number.", help="Write it like --param alpha=0.5.") from None
    return name, int(value) if value.is_integer() and "." not in number else value
