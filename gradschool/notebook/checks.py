"""Run visible checks and show what came of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradschool.errors import GradschoolError
from gradschool.hints import load_hints
from gradschool.notebook.cards import Card, check_card, error_card, note_card
from gradschool.notebook.display import show
from gradschool.notebook.place import Place
from gradschool.release.stubs import is_unwritten_kernel


def run_visible(find: Callable[[], Place], exercise: str | None, namespace: dict[str, Any]) -> str:
    """Run the checks of `exercise`, show a card for each, and return what failed in one sentence.

    Args:
        find: Finds the notebook's stage; asked here so that its errors become a card too.
        exercise: A function's name or a kernel's file name; None checks every exercise.
        namespace: What the notebook has defined so far.

    Returns:
        "" when everything passed, or when an author runs the lesson itself.
    """
    title = exercise or "checks"
    try:
        place = find()
        if place.is_lesson:
            return ""
        from gradschool.grading import run_checks

        records = run_checks(place.folder, [exercise] if exercise else None, namespace)
        hints = load_hints(place.folder)
    except GradschoolError as error:
        _show(error_card(title, error))
        return f"{title} could not be checked: {error}"
    except KeyboardInterrupt:
        _show(note_card(title, "Interrupted. If it ran for long, look for a loop that never ends."))
        return f"{title} was interrupted."
    for record in records:
        unwritten = _is_empty_kernel(place, record.id)
        _show(check_card(record, unwritten=unwritten, has_hints=record.id in hints))
    failed = [
        record for record in records if any(test.outcome in ("failed", "error") for test in record.tests)
    ]
    return "\n".join(check_card(record).text for record in failed)


def _is_empty_kernel(place: Place, exercise: str) -> bool:
    path = place.kernels / exercise
    if path.suffix != ".wgsl" or not path.is_file():
        return False
    return is_unwritten_kernel(path.read_text(encoding="utf-8", errors="replace"))


def _show(card: Card) -> None:
    show(card.html, card.text)
