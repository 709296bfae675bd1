"""A trace as text: the listing with its counts, totals, findings, steps, and a grid of touches."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from gradschool.tracing.frames import Story
from gradschool.tracing.grid import make_grid
from gradschool.tracing.words import (
    COLUMNS,
    frame_sentence,
    launch_sentence,
    line_cells,
    listed_lines,
    race_sentence,
    totals,
)

if TYPE_CHECKING:
    from gradschool.tracing.grid import Grid
    from gradschool.tracing.launch import Launch
    from gradschool.wgsl import Finding

MOST_STEPS = 18
_KIND_STYLES = {"read": "cyan", "write": "green", "atomic": "magenta", "barrier": "bold"}
_CELL_STYLES = {
    "r": "cyan",
    "w": "bold green",
    "b": "bold yellow",
    "a": "magenta",
    "R": "bold white on red",
    "W": "bold white on red",
    "B": "bold white on red",
}


def print_trace(launch: Launch, story: Story, console: Console, variable: str | None = None) -> None:
    """Print everything about a run."""
    console.print(Text.assemble((launch.filename, "bold"), "  ", (launch_sentence(launch), "dim")))
    console.print()
    console.print(listing(launch, story, console.width))
    console.print()
    for label, text in totals(launch):
        console.print(Text.assemble((f"{label:>13}  ", "dim"), text))
    console.print()
    console.print(findings(launch))
    if not story.frames:
        return
    console.print(Rule("steps", style="dim", align="left"))
    console.print(steps(story, console.width))
    grid = make_grid(launch, story, variable, max(8, console.width - 22))
    if grid is not None:
        console.print(Rule(grid.title, style="dim", align="left"))
        console.print(picture(grid))


def listing(launch: Launch, story: Story, width: int) -> RenderableType:
    """The source with the counts of each line; lines of a race are marked."""
    racing = _marked_lines(launch)
    rows = {number: line_cells(launch.result.cost.lines.get(number)) for number in listed_lines(launch)}
    used = [k for k in range(len(COLUMNS)) if any(cells[k] for cells in rows.values())]
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim", width=width)
    table.add_column("", justify="right", style="dim", no_wrap=True)
    for k in used:
        table.add_column(COLUMNS[k][0], justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, overflow="ellipsis", ratio=1)
    lines = launch.source.split("\n")
    for number, cells in rows.items():
        style = "bold red" if number in racing else ("" if any(cells) else "dim")
        waits = getattr(launch.result.cost.lines.get(number), "barriers", 0)
        source = Text(lines[number - 1], style=style or ("bold" if waits else ""))
        table.add_row(Text(str(number), style=style or "dim"), *(cells[k] for k in used), source)
    return table


def findings(launch: Launch) -> RenderableType:
    """What is wrong, each with the lines it names."""
    found = launch.result.findings
    if not found:
        return Text("No races, no access outside, nothing read before it is written.", style="green")
    parts: list[RenderableType] = []
    for finding in found:
        parts.append(Text(f"{'✗' if finding.hard else '!'} {_headline(finding)}", style=_severity(finding)))
        parts.append(Padding(Text(finding.message.partition(": ")[2]), (0, 0, 0, 2)))
        for number in sorted({finding.line, finding.other_line or finding.line}):
            quoted = Text.assemble((f"{number:>6} | ", "dim"), launch.source.split("\n")[number - 1].strip())
            parts.append(quoted)
        parts.append(Text(""))
    return Group(*parts)


def steps(story: Story, width: int) -> RenderableType:
    """One line per step; of a long run, those around the first race."""
    first = story.first_race
    middle = first.second if first else 0
    start = max(0, min(middle - MOST_STEPS // 2, len(story.frames) - MOST_STEPS))
    shown = story.frames[start : start + MOST_STEPS]
    text = Text()
    if start:
        text.append(f"      ... {start} before\n", style="dim")
    said = set()
    for frame in shown:
        text.append(f"{frame.number + 1:>4}  ", style="dim")
        text.append(f"line {frame.line:<4} ", style="dim")
        text.append(frame_sentence(story, frame) + "\n", style=_KIND_STYLES[frame.kind])
        races = [race for race in story.races if race.second == frame.number]
        if races and (races[0].variable, frame.line) not in said:
            said.add((races[0].variable, frame.line))
            more = f" (and {len(races) - 1} more elements)" if len(races) > 1 else ""
            said_here = textwrap.wrap(f"race: {race_sentence(story, races[0])}{more}", max(40, width - 6))
            text.append("".join(f"      {line}\n" for line in said_here), style="bold red")
    left = len(story.frames) - start - len(shown)
    if left:
        text.append(f"      ... {left} more; a notebook shows them all: gs.trace(...)\n", style="dim")
    text.rstrip()
    return text


def picture(grid: Grid) -> RenderableType:
    """Elements down, invocations across."""
    text = Text()
    gap = " " if grid.wide else ""
    for label, heads in grid.heads:
        text.append(f"{label:>18}  ", style="dim")
        text.append(gap.join(heads) + "\n", style="dim")
    for label, cells in grid.rows:
        text.append(f"{label:>18}  ", style="" if any(c in "RWB" for c in cells) else "dim")
        for k, cell in enumerate(cells):
            text.append(cell, style=_CELL_STYLES.get(cell, "bright_black"))
            if gap and k + 1 < len(cells):
                text.append(gap)
        text.append("\n")
    text.append(" " * 20)
    for letter, word in grid.legend:
        text.append(letter, style=_CELL_STYLES.get(letter, ""))
        text.append(f" {word}   ")
    for note in grid.notes:
        text.append(f"\n{'':20}{note}", style="dim")
    return text


def _marked_lines(launch: Launch) -> set[int]:
    hard = [finding for finding in launch.result.findings if finding.hard]
    return {line for finding in hard for line in (finding.line, finding.other_line) if line}


def _headline(finding: Finding) -> str:
    kind = finding.kind.replace("-", " ")
    name = finding.variable
    lines = sorted({finding.line, finding.other_line or finding.line})
    where = f"line {lines[0]}" if len(lines) == 1 else f"lines {lines[0]} and {lines[1]}"
    return f"{kind}{' on ' + name if name else ''}, {where}"


def _severity(finding: Finding) -> str:
    return "bold red" if finding.hard else "bold yellow"
