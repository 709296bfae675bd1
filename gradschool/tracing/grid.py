"""Which invocation touches which element, as a grid of letters for a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gradschool.errors import UsageError
from gradschool.tracing.frames import Frame, RaceMark, Story

if TYPE_CHECKING:
    from gradschool.tracing.launch import Launch

MOST_ROWS = 24
_LETTERS = {"read": "r", "write": "w", "atomic": "a"}
_MEANING = {
    "r": "reads",
    "w": "writes",
    "b": "reads and writes",
    "a": "atomic",
    "R": "reads in a race",
    "W": "writes in a race",
    "B": "both in a race",
}

Who = tuple[int, int]


@dataclass(frozen=True)
class Grid:
    """Letters, ready to colour.

    Attributes:
        heads: Lines above the grid: a label, and a character per column.
        rows: A label and a character per column for each element.
        wide: Whether there is room for a space between columns.
    """

    title: str
    heads: list[tuple[str, list[str]]]
    rows: list[tuple[str, list[str]]]
    legend: list[tuple[str, str]]
    notes: list[str]
    wide: bool


def make_grid(launch: Launch, story: Story, variable: str | None, width: int) -> Grid | None:
    """Return the grid of a variable, by default of the first race or else of the most telling one.

    Raises:
        UsageError: Nothing of that name was touched.
    """
    race = story.first_race
    if variable is None:
        variable = race.variable if race else _telling(launch, story)
    if variable not in story.variables:
        if variable is None:
            return None
        raise UsageError(
            f"The run touches no variable {variable!r}.", help=f"It touches {', '.join(story.variables)}."
        )
    if race is None or race.variable != variable:
        races = [mark for mark in story.races if mark.variable == variable]
        race = races[0] if races else None
    frames, when = _phase(story, variable, race)
    cells = _letters(story, frames, variable)
    for mark in story.races:
        if mark.variable == variable and frames and frames[0].number <= mark.second <= frames[-1].number:
            for who in (mark.one, mark.other):
                letter = cells.get((mark.element, who))
                if letter is not None:
                    cells[mark.element, who] = letter.upper()
    return _layout(story, variable, cells, race, width, when)


def _telling(launch: Launch, story: Story) -> str | None:
    """Workgroup memory shows cooperation; without it, the output shows who owns what."""
    shared = [v.name for v in story.variables.values() if v.space == "workgroup" and v.size > 1]
    outputs = [spec.name for spec in launch.contract.outputs if spec.name in story.variables]
    return next(iter([*shared, *outputs, *story.variables]), None)


def _phase(story: Story, variable: str, race: RaceMark | None) -> tuple[list[Frame], str]:
    """Frames to draw: those between two barriers around a race, else the whole run."""
    if race is None:
        return [f for f in story.frames if f.variable == variable and f.kind != "barrier"], "the whole run"
    orders = story.variables[variable].space
    before = [f.number for f in story.frames[: race.first] if f.kind == "barrier" and f.variable == orders]
    start = max(before, default=-1)
    chosen = [
        f for f in story.frames[start + 1 : race.until] if f.variable == variable and f.kind != "barrier"
    ]
    return chosen, f"steps {start + 2} to {race.until}, between two barriers"


def _letters(story: Story, frames: list[Frame], variable: str) -> dict[tuple[int, Who], str]:
    cells: dict[tuple[int, Who], str] = {}
    for frame in frames:
        letter = _LETTERS[frame.kind]
        for group, lane, element in frame.touches.tolist():
            key = (element, (group, lane))
            old = cells.get(key, letter)
            cells[key] = letter if old == letter else ("a" if "a" in (old, letter) else "b")
    return cells


def _layout(
    story: Story,
    variable: str,
    cells: dict[tuple[int, Who], str],
    race: RaceMark | None,
    width: int,
    when: str,
) -> Grid:
    touched = story.variables[variable]
    group = race.other[0] if race else min((who[0] for _, who in cells), default=0)
    groups = {group} | ({race.one[0]} if race else set())
    if touched.space == "storage" and race is None:
        groups = {who[0] for _, who in cells}
    people = sorted({who for _, who in cells if who[0] in groups})
    columns, left_out = _window(people, width, race.other if race else None, race.one if race else None)
    visible = set(columns)
    elements = sorted({element for element, who in cells if who in visible})
    rows, rows_out = _window(elements, MOST_ROWS, race.element if race else None, None)
    lines = [(touched.element(e), [cells.get((e, who), "·") for who in columns]) for e in rows]
    letters = [c for c in "rwbaRWB" if any(c in line for _, line in lines)]
    several = len({who[0] for who in columns}) > 1
    notes = []
    if rows_out or left_out:
        more = [
            f"{rows_out} more elements" if rows_out else "",
            f"{left_out} more invocations" if left_out else "",
        ]
        notes.append(f"not shown: {' and '.join(word for word in more if word)}")
    named = f"{variable}, {'elements by invocations' if several else f'by invocations of workgroup {group}'}, {when}"
    legend = [(c, _MEANING[c]) for c in letters]
    return Grid(named, _heads(columns, several), lines, legend, notes, 2 * len(columns) <= width)


def _heads(columns: list[Who], several: bool) -> list[tuple[str, list[str]]]:
    """The numbers of the invocations, written downwards."""
    heads = []
    if several:
        heads += _digits("workgroup", [group for group, _ in columns])
    return heads + _digits("invocation", [lane for _, lane in columns])


def _digits(label: str, numbers: list[int]) -> list[tuple[str, list[str]]]:
    size = len(str(max(numbers, default=0)))
    texts = [str(number).rjust(size) for number in numbers]
    return [(label if k == size - 1 else "", [text[k] for text in texts]) for k in range(size)]


def _window(things: list[Any], size: int, must: Any, also: Any) -> tuple[list[Any], int]:
    """A stretch of `things` that holds what must be seen, and how many stay out."""
    if len(things) <= size:
        return things, 0
    at = things.index(must) if must in things else 0
    start = max(0, min(at - size // 3, len(things) - size))
    shown = things[start : start + size]
    if also in things and also not in shown:
        shown = sorted([*(shown[1:] if shown[0] != must else shown[:-1]), also])
    return shown, len(things) - len(shown)
