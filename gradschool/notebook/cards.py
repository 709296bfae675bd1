"""What `check` shows: one small card per exercise, as HTML and as text.

The same card, with points, is the message of a grade cell on nbgrader's feedback page.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import msgspec

from gradschool.errors import GradschoolError
from gradschool.grading.records import ExerciseRecord
from gradschool.hints import Hint
from gradschool.notebook.theme import CODE, INK, LINE, MONO, PAPER, QUIET, SANS, SOFT, STATE_COLORS
from gradschool.report.text import Block, blocks, spans
from gradschool.report.view import ExerciseView, exercise_view, is_unwritten

_AS_ABOVE = ("As above.",)  # what a page says; on a card, saying nothing is enough


@dataclass(frozen=True)
class Card:
    """One thing to show, in both forms."""

    html: str
    text: str


def check_card(record: ExerciseRecord, *, unwritten: bool = False, has_hints: bool = False) -> Card:
    """Return the card of an exercise's visible checks; `unwritten` is said of an empty kernel."""
    view = _view(record)
    total = len(view.tests)
    if unwritten or is_unwritten(record):
        return _unwritten(record, view)
    if view.passed == total:
        said = f"{total} of {total} checks passed" if total > 1 else "the check passed"
        return _card("full", "✓", record.id, said, [], [])
    said = f"{view.passed} of {total} checks passed" if view.passed else "not yet"
    rows = _rows(view)
    if has_hints:
        rows.append(_Row("quiet", "?", f'Stuck? gs.hint("{record.id}") asks you a question.', "", []))
    return _card("some" if view.passed else "none", "✗", record.id, said, view.help, rows)


def grade_card(record: ExerciseRecord) -> Card:
    """Return the card of an exercise's hidden tests, with points."""
    view = _view(record)
    state = view.state if view.state in STATE_COLORS else "quiet"
    said = f"{view.score} of {view.max_score} points"
    if view.state == "full":
        return _card(state, view.mark, record.id, said, [], [])
    help_shown = view.help or view.message
    return _card(state, view.mark, record.id, said, help_shown, _rows(view, with_points=True))


def error_card(title: str, error: GradschoolError) -> Card:
    """Return the card of something that could not be checked at all."""
    return _card("none", "✗", title, "could not be checked", blocks(str(error)), [])


def hint_card(hint: Hint) -> Card:
    """Return the card of one hint."""
    said = f"hint {hint.level} of {hint.n_levels}"
    shown = [Block("text", hint.text), Block("text", hint.next_step)]
    return _card("quiet", "?", hint.exercise, said, shown, [])


def note_card(title: str, sentence: str) -> Card:
    """Return a quiet card that says one thing."""
    return _card("quiet", "-", title, "", [Block("text", sentence)], [])


def _view(record: ExerciseRecord) -> ExerciseView:
    if record.tests and not record.misconception:
        # Without a name for the mistake, the exercise's message is its first test's: it is said there.
        record = msgspec.structs.replace(record, message="")
    return exercise_view(record, 0)


@dataclass(frozen=True)
class _Row:
    state: str
    mark: str
    sentence: str
    aside: str
    message: list[Block]


def _rows(view: ExerciseView, *, with_points: bool = False) -> list[_Row]:
    """One row per test; a message that several tests share is said once."""
    rows, said = [], set()
    for test in view.tests:
        key = tuple(block.text for block in test.message)
        message = [] if key in said or key == _AS_ABOVE else test.message
        said.add(key)
        state = {"passed": "full", "not-run": "quiet"}.get(test.outcome, "none")
        rows.append(_Row(state, test.mark, test.sentence, test.score if with_points else "", message))
    return rows


def _unwritten(record: ExerciseRecord, view: ExerciseView) -> Card:
    where = f"Open {record.id}, write it" if record.id.endswith(".wgsl") else "Write it in the cell above"
    checks = "one check" if len(view.tests) == 1 else f"{len(view.tests)} checks"
    sentence = f"{where}, then run this cell again: {checks} will try it."
    return _card("quiet", "○", record.id, "not written yet", [Block("text", sentence)], [])


def _card(state: str, mark: str, title: str, said: str, help_shown: list[Block], rows: list[_Row]) -> Card:
    color = STATE_COLORS[state]
    head = (
        f'<div><span style="color:{color};font-weight:700">{escape(mark)}</span>&ensp;'
        f'<span style="{CODE};font-weight:600;color:{INK}">{escape(title)}</span>&ensp;'
        f'<span style="color:{QUIET}">{escape(said)}</span></div>'
    )
    body = _html_blocks(help_shown) + "".join(_html_row(row) for row in rows)
    html = (
        f'<div style="border:1px solid {LINE};border-left:4px solid {color};border-radius:5px;'
        f"background:{PAPER};color:{INK};font-family:{SANS};font-size:13.5px;line-height:1.5;"
        f'padding:7px 14px;margin:3px 0;max-width:52em">{head}{body}</div>'
    )
    text = [f"{mark} {title}" + (f": {said}" if said else ""), *_text_blocks(help_shown, "    ")]
    for row in rows:
        aside = f" ({row.aside})" if row.aside else ""
        text += [f"  {row.mark} {row.sentence}{aside}", *_text_blocks(row.message, "      ")]
    return Card(html, "\n".join(text))


def _html_row(row: _Row) -> str:
    aside = f'&ensp;<span style="color:{QUIET}">{escape(row.aside)}</span>' if row.aside else ""
    message = _html_blocks(row.message)
    indent = f'<div style="margin-left:1.55em">{message}</div>' if message else ""
    return (
        f'<div style="margin-top:5px"><span style="display:inline-block;width:1.2em;font-weight:700;'
        f'color:{STATE_COLORS[row.state]}">{escape(row.mark)}</span>&thinsp;{escape(row.sentence)}{aside}'
        f"{indent}</div>"
    )


def _html_blocks(shown: list[Block]) -> str:
    parts = []
    for block in shown:
        if block.kind == "code":
            parts.append(
                f'<pre style="font-family:{MONO};font-size:12px;line-height:1.4;background:{SOFT};color:{INK};'
                f'border-radius:4px;padding:6px 9px;margin:4px 0;overflow-x:auto">{escape(block.text)}</pre>'
            )
        else:
            parts.append(f'<div style="margin:3px 0">{_html_sentence(block.text)}</div>')
    return "".join(parts)


def _html_sentence(line: str) -> str:
    pieces = []
    for is_code, piece in spans(line):
        text = escape(piece)
        style = f"{CODE};background:{SOFT};padding:0 3px;border-radius:3px"
        pieces.append(f'<code style="{style}">{text}</code>' if is_code else text)
    return "".join(pieces)


def _text_blocks(shown: list[Block], indent: str) -> list[str]:
    return [indent + line for block in shown for line in block.text.split("\n")]
