"""Grids of cells in SVG: the invocations of a workgroup, and the elements of each variable."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from gradschool.notebook.theme import INK, LINE, MONO, QUIET, SOFT
from gradschool.tracing.frames import Frame, Story, Touched

if TYPE_CHECKING:
    from gradschool.tracing.launch import Launch

MOST_ROWS = 40
MOST_COLUMNS = 256
MOST_CELLS = 6000
WRAP = 32
RED = "#d93025"


def hue(lane: int, lanes: int) -> str:
    """Colour of an invocation, never red; the script uses the same formula."""
    return f"hsl({45 + int(lane * 280 / lanes + 0.5)}, 58%, 44%)"


def workers_panel(launch: Launch, frame: Frame, group: int) -> str:
    """The invocations of a workgroup, those that take part lit."""
    x, y, z = launch.workgroup_size
    columns, lanes = (min(x, WRAP), x * y * z) if y * z == 1 else (x, x * y * z)
    active = {int(lane) for g, lane, _ in frame.touches if group in (-1, g)}
    size = 18 if columns > 8 else 20
    cells = []
    for lane in range(lanes):
        on = lane in active
        fill, ink = (hue(lane, lanes), "#ffffff") if on else (SOFT, INK)
        place = (lane % columns * size, lane // columns * size)
        cells.append(_cell("who", "", place, size, fill, LINE, 1.0, str(lane), ink, f"invocation {lane}"))
    return _panel("invocations", "", columns * size, -(-lanes // columns) * size, "".join(cells))


def variable_panels(launch: Launch, story: Story, frame: Frame, group: int) -> str:
    """A grid of elements for every variable that was touched."""
    left = MOST_CELLS
    x, y, z = launch.workgroup_size
    lanes = x * y * z
    panels = []
    for number, variable in enumerate(story.variables.values()):
        text, used = _variable(story, variable, number, frame, group, left, lanes)
        left -= used
        panels.append(text)
    return "".join(panels)


def _variable(
    story: Story, variable: Touched, number: int, frame: Frame, group: int, left: int, lanes: int
) -> tuple[str, int]:
    rows, columns = variable.shape
    wrapped = rows == 1 and columns > WRAP
    across = WRAP if wrapped else min(columns, MOST_COLUMNS)
    down = -(-columns // WRAP) if wrapped else rows
    down = max(1, min(down, MOST_ROWS, left // max(across, 1)))
    size = 18 if across <= 40 else max(6, 720 // across)
    states = _states(story, variable, frame, group)
    cells = []
    for row in range(down):
        for column in range(across):
            word = row * (across if wrapped else columns) + column
            if word >= variable.size:
                break
            fill, stroke, opacity, text, ink = _look(states.get(word), frame, lanes)
            place = (column * size, row * size)
            cells.append(
                _cell(
                    "cell",
                    f"{number}:{word}",
                    place,
                    size,
                    fill,
                    stroke,
                    opacity,
                    text,
                    ink,
                    variable.element(word),
                )
            )
    shown = down * across
    dims = (
        f"({variable.dims})"
        if variable.dims
        else ("workgroup memory" if variable.space == "workgroup" else "")
    )
    if shown < variable.size:
        dims += f", the first {min(shown, variable.size)} of {variable.size}"
    return _panel(variable.name, dims, across * size, down * size, "".join(cells)), shown


def _states(story: Story, variable: Touched, frame: Frame, group: int) -> dict[int, set[int]]:
    """Invocations that touch each element in the frame the picture opens with; with -1 for a race."""
    states: dict[int, set[int]] = {}
    if frame.variable == variable.name:
        for g, lane, word in frame.touches.tolist():
            if group in (-1, g):
                states.setdefault(word, set()).add(lane)
    for race in story.races:
        if (
            race.variable == variable.name
            and race.second <= frame.number < race.until
            and group in (-1, race.group)
        ):
            states[race.element] = {-1, *states.get(race.element, ())}
    return states


def _look(who: set[int] | None, frame: Frame, lanes: int) -> tuple[str, str, float, str, str]:
    """Fill, border, opacity, text and colour of the text of a cell."""
    if not who:
        return SOFT, LINE, 1.0, "", INK
    if -1 in who:
        people = sorted(who - {-1})
        return RED, RED, 1.0, str(people[0]) if len(people) == 1 else "!" if people else "", "#ffffff"
    lane = next(iter(who))
    color = hue(lane, lanes) if len(who) == 1 else "#6b7280"
    text = str(lane) if len(who) == 1 else f"{len(who)}x"
    if frame.kind == "read":
        return color, color, 0.4, text, INK
    return color, color, 1.0, text, "#ffffff"


def _cell(
    part: str,
    key: str,
    place: tuple[int, int],
    size: int,
    fill: str,
    stroke: str,
    opacity: float,
    text: str,
    ink: str,
    title: str,
) -> str:
    x, y = place
    label = ""
    if size >= 14:
        label = (
            f'<text x="{x + size / 2}" y="{y + size / 2 + 3}" text-anchor="middle" '
            f'style="fill:{ink};font-size:8.5px;font-family:{MONO};pointer-events:none">{escape(text)}</text>'
        )
    named = f' data-key="{key}"' if key else ""
    gap = 1 if size > 8 else 0.5
    return (
        f'<g data-part="{part}"{named}><rect x="{x + gap}" y="{y + gap}" width="{size - 2 * gap}" '
        f'height="{size - 2 * gap}" rx="{2 if size > 8 else 0}" '
        f'style="fill:{fill};stroke:{stroke};fill-opacity:{opacity};stroke-width:{1 if size > 8 else 0.4}">'
        f"<title>{escape(title)}</title></rect>{label}</g>"
    )


def _panel(name: str, aside: str, width: int, height: int, cells: str) -> str:
    return (
        f'<div><div style="margin-bottom:3px"><span style="font-family:{MONO};font-size:12px;font-weight:600">'
        f'{escape(name)}</span> <span style="color:{QUIET};font-size:12px">{escape(aside)}</span></div>'
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(name)}" style="display:block;max-width:100%;height:auto">{cells}</svg></div>'
    )
