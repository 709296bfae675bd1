"""A trace as HTML: the listing, and a picture to step through.

Everything is inline, so it works offline and in exported notebooks. The picture is drawn here
in its first state; the script only repaints its cells. Where scripts are not run, the first
race (or the first step) is still there to see.
"""

from __future__ import annotations

import json
import uuid
from functools import cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from gradschool.notebook.theme import INK, LINE, MONO, PAPER, QUIET, SANS, SOFT
from gradschool.notebook.wgsl_html import highlight
from gradschool.tracing.frames import Frame, Story
from gradschool.tracing.panels import variable_panels, workers_panel
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
    from gradschool.tracing.launch import Launch

MOST_FRAMES = 600
MOST_TOUCHES = 60_000
RED = "#d93025"
KIND_COLORS = {"read": "#3b82c4", "write": "#2e8b57", "atomic": "#8e5bb5", "barrier": "#8a8f98"}
_BUTTON = (
    f"font-family:{SANS};font-size:12px;padding:2px 9px;border:1px solid {LINE};border-radius:4px;"
    f"background:{SOFT};color:{INK};cursor:pointer"
)


def trace_html(launch: Launch, story: Story) -> str:
    """Return the trace as one HTML fragment for a notebook's output."""
    name = f"gradschool-trace-{uuid.uuid4().hex[:12]}"
    frames, start = _shown(story)
    body = [_head(launch), _findings(launch), _listing(launch)]
    attribute = ""
    if frames:
        group = _first_group(story)
        body.append(_player(launch, story, frames, start, group))
        data = _data(launch, story, frames, start, group)
        attribute = f" data-story='{escape(json.dumps(data, separators=(',', ':')), quote=True)}'"
    script = f"<script>{_player_script().replace('TRACE_ID', name)}</script>" if frames else ""
    return (
        f'<div id="{name}"{attribute} style="border:1px solid {LINE};border-radius:5px;background:{PAPER};color:{INK};'
        f'font-family:{SANS};font-size:13px;line-height:1.45;margin:3px 0;overflow:hidden">{"".join(body)}</div>{script}'
    )


def trace_page(launch: Launch, story: Story) -> str:
    """Return a whole page, light or dark as the reader's system is."""
    dark = (
        "--jp-content-font-color1:#e6e6e6;--jp-content-font-color2:#a9adb5;--jp-border-color2:#43464d;"
        "--jp-layout-color1:#17181b;--jp-layout-color2:#25272c;--jp-content-link-color:#7cb2ff;"
        "--jp-mirror-editor-keyword-color:#c792ea;--jp-mirror-editor-builtin-color:#6fc3df;"
        "--jp-mirror-editor-def-color:#82aaff;--jp-mirror-editor-number-color:#9ad17b;"
        "--jp-mirror-editor-meta-color:#e0a959"
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(launch.filename)}: trace</title><style>body{{margin:16px auto;max-width:1080px;"
        f"background:{PAPER}}}@media (prefers-color-scheme: dark){{:root{{{dark};color-scheme:dark}}}}</style></head>"
        f"<body>{trace_html(launch, story)}</body></html>"
    )


@cache
def _player_script() -> str:
    return files("gradschool.tracing").joinpath("player.js").read_text(encoding="utf-8")


def _shown(story: Story) -> tuple[list[Frame], int]:
    """Frames for the player, and the one to open with: the first race, else the first store."""
    frames, touches = [], 0
    for frame in story.frames[:MOST_FRAMES]:
        touches += len(frame.touches)
        if touches > MOST_TOUCHES:
            break
        frames.append(frame)
    race = story.first_race
    if race and race.second < len(frames):
        return frames, race.second
    return frames, next((f.number for f in frames if f.kind == "write"), 0)


def _first_group(story: Story) -> int:
    """The workgroup to follow: that of the first race, or all of them when it is between two."""
    race = story.first_race
    if race is not None and race.one[0] != race.other[0]:
        return -1
    if race is not None:
        return race.group
    return 0 if any(v.space == "workgroup" for v in story.variables.values()) else -1


def _data(launch: Launch, story: Story, frames: list[Frame], start: int, group: int) -> dict[str, Any]:
    sizes = launch.workgroup_size
    order = {name: k for k, name in enumerate(story.variables)}
    shown = []
    for frame in frames:
        entry: dict[str, Any] = {"l": frame.line, "k": frame.kind, "s": _sentence(story, frame)}
        if frame.kind == "barrier":
            entry |= {"g": list(frame.groups), "t": []}
        else:
            entry |= {"v": order[frame.variable], "t": frame.touches.tolist()}
        shown.append(entry)
    races = [
        {
            "v": order[race.variable],
            "g": race.group,
            "e": race.element,
            "s": race.second,
            "u": race.until,
            "w": race_sentence(story, race),
        }
        for race in sorted(story.races, key=lambda race: race.second)[:2000]
        if race.second < len(frames)
    ]
    lines = launch.source.split("\n")
    source = {frame.line: lines[frame.line - 1].strip() for frame in frames}
    return {
        "frames": shown,
        "races": races,
        "source": source,
        "lanes": sizes[0] * sizes[1] * sizes[2],
        "start": start,
        "group": group,
    }


def _sentence(story: Story, frame: Frame) -> str:
    text = frame_sentence(story, frame)
    return text[0].upper() + text[1:] + "."


def _head(launch: Launch) -> str:
    return (
        f'<div style="background:{SOFT};border-bottom:1px solid {LINE};padding:4px 12px">'
        f'<span style="font-family:{MONO};font-weight:600">{escape(launch.filename)}</span>&ensp;'
        f'<span style="color:{QUIET}">{escape(launch_sentence(launch))}</span></div>'
    )


def _findings(launch: Launch) -> str:
    found = launch.result.findings
    if not found:
        sentence = "No races, no access outside, nothing read before it is written."
        return f'<div style="padding:6px 12px;color:{KIND_COLORS["write"]}">✓ {sentence}</div>'
    parts = []
    lines = launch.source.split("\n")
    for finding in found:
        color = RED if finding.hard else "#c08a1e"
        quoted = "".join(
            f'<div><span style="display:inline-block;min-width:3ch;text-align:right;color:{QUIET}">{number}</span>'
            f"&ensp;{highlight(lines[number - 1].strip())}</div>"
            for number in sorted({finding.line, finding.other_line or finding.line})
        )
        head, _, rest = finding.message.partition(": ")
        parts.append(
            f'<div style="border-left:4px solid {color};padding:3px 10px;margin:6px 12px">'
            f'<span style="color:{color};font-weight:700">{escape(head)}</span>: {escape(rest)}'
            f'<div style="font-family:{MONO};font-size:12px;margin-top:3px">{quoted}</div></div>'
        )
    return "".join(parts)


def _listing(launch: Launch) -> str:
    rows = {number: line_cells(launch.result.cost.lines.get(number)) for number in listed_lines(launch)}
    used = [k for k in range(len(COLUMNS)) if any(cells[k] for cells in rows.values())]
    hard = [f for f in launch.result.findings if f.hard]
    racing = {line for f in hard for line in (f.line, f.other_line) if line}
    # Boxes, not a table: JupyterLab has a style of its own for tables in outputs.
    wide = {k: max(len(COLUMNS[k][0]), *(len(cells[k]) for cells in rows.values())) + 2 for k in used}
    digits = len(str(max(rows)))
    heads = "".join(_number(COLUMNS[k][0], wide[k], COLUMNS[k][2]) for k in used)
    lines = launch.source.split("\n")
    body = []
    for number, cells in rows.items():
        back = "rgba(217,48,37,0.13)" if number in racing else ""
        code = lines[number - 1]
        body.append(
            f'<div data-part="line" data-line="{number}" data-back="{back}" style="display:flex;padding:0 12px;'
            f'background:{back}"><span style="flex:none;width:{digits}ch;margin-right:1.4em;text-align:right;'
            f'color:{QUIET};opacity:0.7;user-select:none">{number}</span>'
            f'<span title="{escape(code.strip())}" style="flex:1;min-width:12em;white-space:pre;overflow:hidden;'
            f'text-overflow:ellipsis">{highlight(code) or " "}</span>{"".join(_number(cells[k], wide[k]) for k in used)}</div>'
        )
    said = "".join(
        f'<span style="margin-right:22px"><span style="color:{QUIET}">{escape(label)}</span> {escape(text)}</span>'
        for label, text in totals(launch)
    )
    return (
        f'<div style="border-top:1px solid {LINE};font-family:{MONO};font-size:12px;line-height:1.4">'
        f'<div style="display:flex;padding:2px 12px;color:{QUIET};overflow-y:hidden;scrollbar-gutter:stable"><span style="flex:1"></span>{heads}</div>'
        '<div data-part="listing" style="position:relative;overflow-y:auto;scrollbar-gutter:stable;max-height:420px">'
        f"{''.join(body)}</div></div>"
        f'<div style="border-top:1px solid {LINE};padding:5px 12px;font-size:12px">{said}</div>'
    )


def _number(text: str, width: int, title: str = "") -> str:
    named = f' title="{escape(title)}"' if title else ""
    return f'<span{named} style="flex:none;width:{width}ch;text-align:right">{text}</span>'


def _player(launch: Launch, story: Story, frames: list[Frame], start: int, group: int) -> str:
    bars = "".join(
        f'<span data-part="bar" title="{escape(_title(story, frame))}" style="flex:1 1 0;height:14px;cursor:pointer;'
        f"min-width:1px;background:{_bar_color(story, frame)};"
        f'opacity:{1 if frame.number == start else 0.38}"></span>'
        for frame in frames
    )
    frame = frames[start]
    race = next((race for race in story.races if race.second == start), None)
    race_text = f"Race: {race_sentence(story, race)}." if race else ""
    line = launch.source.split("\n")[frame.line - 1].strip()
    left = len(story.frames) - len(frames)
    note = f'<div style="color:{QUIET}">{left} more steps are not shown.</div>' if left or story.cut else ""
    return (
        f'<div style="border-top:1px solid {LINE};padding:8px 12px">'
        f'<div data-part="controls" style="display:none;gap:6px;align-items:center;flex-wrap:wrap">{_buttons(launch, story, len(frames), start, group)}</div>'
        f'<div style="display:flex;gap:1px;margin:6px 0">{bars}</div>'
        f'<div style="min-height:5.9em"><span data-part="count" style="color:{QUIET}">step {start + 1} of {len(frames)}</span>&ensp;'
        f'<span data-part="said">{escape(_sentence(story, frame))}</span>'
        f'<div data-part="code" style="font-family:{MONO};font-size:12px;color:{QUIET};overflow:hidden;white-space:nowrap;'
        f'text-overflow:ellipsis">line {frame.line}: {escape(line)}</div>'
        f'<div data-part="race" style="color:{RED};font-weight:600">{escape(race_text)}</div></div>{note}'
        f'<div style="display:flex;flex-wrap:wrap;gap:14px 26px;align-items:flex-start">'
        f"{workers_panel(launch, frame, group)}{variable_panels(launch, story, frame, group)}</div>{_legend()}</div>"
    )


def _buttons(launch: Launch, story: Story, n_frames: int, start: int, group: int) -> str:
    names = [("first", "|◀"), ("back", "◀"), ("play", "play"), ("next", "▶"), ("barrier", "next barrier")]
    if not any(frame.kind == "barrier" for frame in story.frames):
        names.pop()
    buttons = "".join(f'<button data-part="{part}" style="{_BUTTON}">{text}</button>' for part, text in names)
    if story.races:
        buttons += (
            f'<button data-part="torace" style="{_BUTTON};color:{RED};border-color:{RED}">next race</button>'
        )
    total = launch.workgroups[0] * launch.workgroups[1] * launch.workgroups[2]
    options = [(-1, "all workgroups"), *((g, f"workgroup {g}") for g in range(min(total, 64)))]
    chosen = "".join(
        f'<option value="{value}"{" selected" if value == group else ""}>{text}</option>'
        for value, text in options
    )
    chooser = f'<select data-part="group" style="{_BUTTON}">{chosen}</select>' if total > 1 else ""
    slider = (
        f'<input data-part="slider" type="range" min="0" max="{n_frames - 1}" value="{start}" '
        'aria-label="step" style="flex:1 1 160px">'
    )
    return buttons + slider + chooser


def _bar_color(story: Story, frame: Frame) -> str:
    if any(race.second == frame.number for race in story.races):
        return RED
    return KIND_COLORS[frame.kind]


def _title(story: Story, frame: Frame) -> str:
    return f"{frame.number + 1}. line {frame.line}: {frame_sentence(story, frame)}"


def _legend() -> str:
    def chip(color: str, opacity: float, text: str) -> str:
        return (
            f'<span style="display:inline-block;width:11px;height:11px;border:1px solid {color};border-radius:2px;'
            f'vertical-align:-1px;margin-right:5px;background:{color};opacity:{opacity}"></span>{text}'
        )

    chips = [
        chip("#3b82c4", 0.4, "read by the invocation whose number it shows"),
        chip("#3b82c4", 1, "written"),
        chip("#3b82c4", 0.2, "touched since the last barrier"),
        chip(RED, 1, "race"),
    ]
    spans = "".join(f'<span style="margin-right:18px">{text}</span>' for text in chips)
    return (
        f'<div style="margin-top:9px;font-size:12px;color:{QUIET}">{spans}'
        "a colour per invocation; 8x: eight invocations at once</div>"
    )
