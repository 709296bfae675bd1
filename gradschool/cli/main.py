"""The `gradschool` command: one module per subcommand, loaded when named."""

from __future__ import annotations

import sys
from importlib import import_module

import typer

from gradschool.errors import GradschoolError

# The order is the order of `gradschool --help`: learner, instructor, author.
COMMANDS = (
    "doctor",
    "check",
    "hint",
    "trace",
    "watch",
    "grade",
    "report",
    "demo",
    "release",
    "verify",
    "mutate",
)


def build_app() -> typer.Typer:
    """Return the application with every subcommand registered."""
    app = typer.Typer(
        name="gradschool",
        help="Perceptron to transformer, in NumPy and WGSL, graded.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    # One import per named command keeps `gradschool check` fast.
    named = [name for name in COMMANDS if name in sys.argv[1:2]]
    for name in named or COMMANDS:
        import_module(f"gradschool.cli.{name}").register(app)
    if named:
        app.callback()(_keep_subcommands)
    return app


def _keep_subcommands() -> None:
    """Perceptron to transformer, in NumPy and WGSL, graded."""


def main() -> None:
    """Run the command line; a known error is a sentence and exit code 2, never a traceback."""
    try:
        build_app()()
    except GradschoolError as error:
        from rich.console import Console

        console = Console(stderr=True, highlight=False)
        console.print(f"error: {error.message}", style="red", markup=False)
        if error.help:
            console.print(error.help, markup=False)
        raise SystemExit(2) from None
