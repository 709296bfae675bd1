"""From the log of a run to frames: which invocation touches which element, one statement at a time.

A frame is one statement's loads or stores by all invocations, or a barrier. Elements keep a
mark of what touched them since the last barrier, because that is what a race is made of.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gradschool.wgsl.access_log import AccessLog, Wait
from gradschool.wgsl.types import Array, Atomic, Mat, Struct, Vec

if TYPE_CHECKING:
    from gradschool.tracing.launch import Launch


@dataclass(frozen=True)
class Touched:
    """A variable that was touched, and how to draw it.

    Attributes:
        shape: Rows and columns of the drawing, in scalars.
        dims: Names of the axes, for a buffer whose contract names them.
    """

    name: str
    space: str
    shape: tuple[int, int]
    dims: str
    info: Any

    @property
    def size(self) -> int:
        """Number of scalars."""
        return self.shape[0] * self.shape[1]

    def element(self, word: int) -> str:
        """Name of an element, such as `partial[3]` or, of a buffer with two axes, `x[1, 2]`."""
        if self.space == "storage" and self.shape[0] > 1:
            return f"{self.name}[{word // self.shape[1]}, {word % self.shape[1]}]"
        if self.space == "storage":
            return f"{self.name}[{word}]"
        return self.name + self.info.layout.path(self.info.ty, word)


@dataclass(frozen=True)
class Frame:
    """One statement's accesses of one variable, or a barrier.

    Attributes:
        number: Position in the run, from 0.
        kind: `read`, `write`, `atomic` or `barrier`.
        variable: What is touched; of a barrier, the memory it orders.
        touches: Rows of (workgroup, invocation, element).
        groups: Workgroups that wait, for a barrier.
    """

    number: int
    line: int
    kind: str
    variable: str
    touches: np.ndarray
    groups: tuple[int, ...] = ()


@dataclass(frozen=True)
class RaceMark:
    """An element in a race: from the frame in which the second one touches it to the next barrier."""

    variable: str
    group: int
    element: int
    first: int
    second: int
    until: int
    one: tuple[int, int]
    other: tuple[int, int]


@dataclass
class Story:
    """All frames of a run, the variables in them, and the races shown on them."""

    variables: dict[str, Touched]
    frames: list[Frame]
    races: list[RaceMark] = field(default_factory=list)
    cut: bool = False

    @property
    def first_race(self) -> RaceMark | None:
        """The race to show first."""
        return min(self.races, key=lambda race: (race.second, race.element), default=None)


def make_story(launch: Launch) -> Story:
    """Return the frames of a launch that was logged."""
    log: AccessLog = launch.result.cost
    variables = {name: _touched(launch, name, info) for name, info in log.infos.items()}
    frames = []
    for number, event in enumerate(log.events):
        if isinstance(event, Wait):
            groups = tuple(int(g) for g in event.groups)
            nothing = np.empty((0, 3), np.int64)
            frames.append(Frame(number, event.line, "barrier", event.kind, nothing, groups))
            continue
        size = variables[event.variable].size
        rows = np.stack([event.groups, event.lanes, event.words], axis=1).astype(np.int64)
        frames.append(Frame(number, event.line, event.kind, event.variable, rows[event.words < size]))
    order = {spec.name: k for k, spec in enumerate(launch.contract.arrays)}
    ordered = sorted(variables.values(), key=lambda v: (v.space != "storage", order.get(v.name, 99)))
    story = Story({v.name: v for v in ordered}, frames, cut=log.cut)
    for finding in launch.result.findings:
        if finding.kind == "race":
            story.races += _marks(story, finding)
    return story


def _touched(launch: Launch, name: str, info: Any) -> Touched:
    spec = next((spec for spec in launch.contract.arrays if spec.binding == info.binding), None)
    if info.space == "storage" and spec is not None:
        shape = spec.shape(launch.example.params)
        columns = shape[-1] if shape else 1
        rows = int(np.prod(shape[:-1], dtype=np.int64)) if shape else 1
        return Touched(name, "storage", (rows, columns), ", ".join(spec.dims), info)
    return Touched(name, info.space, _grid(info.ty), "", info)


def _grid(ty: Any) -> tuple[int, int]:
    """Rows and columns in which a variable's scalars are drawn."""
    if isinstance(ty, Array) and not isinstance(ty.el, (Array, Vec, Mat, Struct)):
        return 1, ty.count or 1
    if isinstance(ty, Array):
        rows, columns = _grid(ty.el)
        return (ty.count or 1) * rows, columns
    if isinstance(ty, Mat):
        return ty.cols, ty.rows
    if isinstance(ty, Vec):
        return 1, ty.n
    if isinstance(ty, Struct):
        return 1, sum(int(np.prod(_grid(f.type))) for f in ty.fields)
    assert not isinstance(ty, Atomic) or ty.el is not None
    return 1, 1


# Races.


def _marks(story: Story, finding: Any) -> list[RaceMark]:
    """Elements of the race a finding names, wherever its two lines clash."""
    lines = {finding.line, finding.other_line}
    known = story.variables.get(finding.variable)
    storage = known is not None and known.space == "storage"
    epochs: dict[int, int] = {}
    ends: dict[tuple[int, int], int] = {}
    seen: dict[tuple, dict[tuple, tuple[int, bool]]] = {}
    marks: dict[tuple, RaceMark] = {}
    orders = "storage" if storage else "workgroup"
    for frame in story.frames:
        if frame.kind == "barrier":
            if frame.variable == orders:
                for group in frame.groups:
                    ends[group, epochs.get(group, 0)] = frame.number
                    epochs[group] = epochs.get(group, 0) + 1
            continue
        if frame.variable != finding.variable or frame.line not in lines or frame.kind == "atomic":
            continue
        for group, lane, word in frame.touches.tolist():
            epoch = epochs.get(group, 0)
            # Two workgroups never meet in workgroup memory, and a barrier ends what went before.
            place = (word,) if storage else (word, group, epoch)
            others = seen.setdefault(place, {})
            stores = frame.kind == "write"
            key = (word, group, epoch)
            if key not in marks:
                clash = _clash(others, (group, lane, epoch), stores)
                if clash is not None:
                    marks[key] = RaceMark(
                        finding.variable, group, word, clash[1], frame.number, -1, clash[0], (group, lane)
                    )
            if stores or (group, lane, epoch) not in others:
                others[group, lane, epoch] = (frame.number, stores)
    last = len(story.frames)
    return [replace(mark, until=ends.get((group, epoch), last)) for (_, group, epoch), mark in marks.items()]


def _clash(
    others: dict[tuple, tuple[int, bool]], me: tuple[int, int, int], stores: bool
) -> tuple[tuple[int, int], int] | None:
    """Someone else who touched the element with no barrier between, if one of the two stores."""
    group, lane, epoch = me
    for (their_group, their_lane, their_epoch), (number, their_store) in others.items():
        if not (stores or their_store) or (their_group, their_lane) == (group, lane):
            continue
        if their_group != group or their_epoch == epoch:
            return (their_group, their_lane), number
    return None


def accesses_of(story: Story, variable: str) -> list[Frame]:
    """Frames that touch a variable."""
    return [frame for frame in story.frames if frame.variable == variable and frame.kind != "barrier"]
