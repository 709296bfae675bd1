"""What a lesson calls: `gs.start`, `gs.check`, `gs.hint`, `gs.kernel`, `gs.show_kernel`.

They return None or a kernel, print nothing on stderr, and never raise for a learner's mistake
in a check. While grading, none of them does anything: see `gradschool.__getattr__`.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from gradschool.errors import GradschoolError
from gradschool.notebook.display import shell, show
from gradschool.notebook.kernels import LiveKernel
from gradschool.notebook.place import Place, find_place, guess_place

__all__ = ["CheckFailed", "check", "hint", "kernel", "show_kernel", "start"]

_started: Place | None = None


class CheckFailed(GradschoolError):
    """A visible check failed where a program, not a person, asked: `nbgrader validate`."""


def start(stage: str) -> None:
    """Say which stage this notebook is; the first cell of every lesson.

    Args:
        stage: Its id, such as `01_perceptron`.
    """
    global _started
    found = shell()
    if found is not None:
        from gradschool.notebook.errors_in_cells import install

        install(found)
    try:
        _started = find_place(stage, _caller())
    except GradschoolError as error:
        from gradschool.notebook.cards import error_card

        _started = None
        card = error_card(stage, error)
        show(card.html, card.text)


def check(exercise: str | None = None) -> None:
    """Run the visible checks of an exercise on what this notebook has defined, and show a card.

    Args:
        exercise: A function's name or a kernel's file name; default every exercise.

    Raises:
        CheckFailed: A check failed and nbgrader is running the notebook.
    """
    from gradschool.notebook.checks import run_visible

    namespace = _caller()
    failed = run_visible(lambda: _place(namespace), exercise, namespace)
    if failed and os.environ.get("NBGRADER_EXECUTION"):
        raise CheckFailed(failed)


def hint(exercise: str, level: int | None = None) -> None:
    """Show the next hint of an exercise: first a question, then the idea, at last nearly the answer.

    Which hints were opened is kept beside the notebook and handed in with it.

    Args:
        exercise: A function's name or a kernel's file name.
        level: 1, 2 or 3; default the first that was not opened yet.
    """
    from gradschool.hints import open_hint
    from gradschool.notebook.cards import error_card, hint_card

    try:
        place = _place(_caller())
        if place.is_lesson:
            return
        card = hint_card(open_hint(place.folder, exercise, level))
    except GradschoolError as error:
        card = error_card(exercise, error)
    show(card.html, card.text)


def kernel(name: str) -> LiveKernel:
    """Return the kernel in the file `name` as a callable.

    Arrays go in by the names of its bindings, the output array comes out:
    `add = kernel("add_forward.wgsl")`, then `out = add(a=a, b=b)`. The file is read again
    whenever it has changed.

    Raises:
        UsageError: There is no such file.
    """
    return LiveKernel(_place(_caller()).kernel(name))


def show_kernel(name: str) -> None:
    """Show the kernel's source with line numbers, and a link that opens the file in JupyterLab.

    Raises:
        UsageError: There is no such file.
    """
    from gradschool.notebook.wgsl_html import kernel_html, kernel_text

    place = _place(_caller())
    path = place.kernel(name)
    if place.is_lesson:
        return
    source = path.read_text(encoding="utf-8", errors="replace")
    link = os.path.relpath(path).replace(os.sep, "/")
    show(kernel_html(path.name, source, link), kernel_text(path.name, source))


def _place(namespace: dict[str, Any]) -> Place:
    return _started or guess_place(namespace)


def _caller() -> dict[str, Any]:
    """The namespace of the cell that called: two frames up."""
    return sys._getframe(2).f_globals
