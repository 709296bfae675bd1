"""What a run found, in words a beginner understands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gradschool.wgsl.errors import Source

HARD = frozenset(
    ["race", "overwritten", "out-of-bounds-write", "divergent-barrier", "divergent-subgroup", "step-budget"]
)


@dataclass(slots=True)
class Finding:
    """One problem of a kernel.

    Attributes:
        kind: `race`, `out-of-bounds-write`, `out-of-bounds-read`, `divergent-barrier`, `uninitialised-read`,
            `atomic-order`, `overwritten`, `divergent-subgroup`, `subgroup-read` or `step-budget`.
        line: Line where it happens.
        other_line: The other line of a race, else None.
        variable: Name of the variable, or an empty string.
        binding: Its binding, or None.
        message: One paragraph with the source lines and the invocations.
        hard: Whether the kernel's results cannot be trusted.
        count: How often it was seen; the message describes the first time.
    """

    kind: str
    line: int
    other_line: int | None
    variable: str
    binding: int | None
    message: str
    hard: bool
    count: int = 1


def _triple(numbers: Any) -> str:
    x, y, z = (int(n) for n in numbers)
    return f"({x}, {y}, {z})" if z else (f"({x}, {y})" if y else str(x))


class Reporter:
    """Collects findings; the base of a run. The run provides lanes, ids and sizes."""

    source: Source
    local_ids: tuple[np.ndarray, np.ndarray, np.ndarray]
    workgroups: tuple[int, int, int]
    group_numbers: np.ndarray

    def __init__(self) -> None:
        self.found: dict[tuple, Finding] = {}

    def add(self, kind: str, line: int, other: int | None, memory: Any, make) -> None:
        """Add a finding, or count it if it is known; `make` writes the message of a new one."""
        name = memory.info.name if memory is not None else ""
        key = (kind, name, *sorted((line, other if other is not None else line)))
        if key in self.found:
            self.found[key].count += 1
            return
        binding = memory.info.binding if memory is not None and memory.info.binding >= 0 else None
        self.found[key] = Finding(kind, line, other, name, binding, make(), kind in HARD)

    # Words.

    def quote(self, line: int) -> str:
        """`line 12: `text``."""
        return f"line {line}: `{self.source.line_text(line).strip()[:120]}`"

    def describe_group(self, number: int) -> str:
        """Name of a workgroup."""
        nx, ny, _ = self.workgroups
        return f"workgroup {_triple((number % nx, number // nx % ny, number // (nx * ny)))}"

    def describe_lane(self, lane: int) -> str:
        """Name of an invocation by its local id and workgroup."""
        local = _triple(axis[lane] for axis in self.local_ids)
        return f"invocation {local} of {self.describe_group(int(self.group_numbers[lane]))}"

    def element(self, memory: Any, off: int) -> str:
        """Name of an element of a variable."""
        info = memory.info
        if info.space == "workgroup":
            off %= max(memory.limit, 1)
        return info.name + info.layout.path(info.ty, off)

    # Reports.

    def report_race(self, memory, word, one, two, line, other_line, stores, other_stores, across) -> None:
        """Two invocations or workgroups clash on a word."""

        def make() -> str:
            did = "writes" if stores else "reads"
            other = "writes" if other_stores else "reads"
            name = self.element(memory, word)
            if across:
                advice = "Nothing orders two workgroups: let each element be written by one workgroup, or use atomics"
            elif memory.info.space == "storage":
                advice = "Let one invocation own each element, use atomics, or put storageBarrier() between the two lines"
            else:
                advice = "Put workgroupBarrier() between the two"
            if line == other_line:
                how = f"{one} {did} {name} and {two} {other} it too, on the same {self.quote(line)}"
            else:
                how = f"{one} {did} {name} on {self.quote(line)}, and {two} {other} it on {self.quote(other_line)}"
            why = ", and no barrier says which comes first" if not across else ", in no fixed order"
            return f"data race: {how}{why}. {advice}."

        self.add("race", line, other_line, memory, make)

    def report_outside(self, memory, off, lanes, line, write) -> None:
        """Lanes access a variable outside its bounds or outside the contract."""
        lane = int(np.argmax(lanes))
        spot = int(off if isinstance(off, int) else np.broadcast_to(off, lanes.shape)[lane])
        kind = "out-of-bounds-write" if write else "out-of-bounds-read"

        def make() -> str:
            info = memory.info
            did = "writes" if write else "reads"
            n_lanes = int(np.count_nonzero(lanes))
            more = f" ({n_lanes} invocations do)" if n_lanes > 1 else ""
            where = info.name
            if info.space in ("storage", "uniform") and 0 <= spot < memory.size:
                where = self.element(memory, spot)
                what = f"{where}, which lies past the end of the data; the buffer is longer, but that part is not yours"
            else:
                what = f"outside {where}"
                if spot < 1 << 31:
                    what += f": at {info.name}{info.layout.path(info.ty, spot)}, which does not exist"
                elif spot < 1 << 33:
                    what += ": the index is negative or far too large"
            effect = (
                "the write is lost on one device and hits other data on another"
                if write
                else "what it gets differs by device"
            )
            guard = f"Guard it: compare the index with the size before {'writing' if write else 'reading'}."
            return f"{kind.replace('-', ' ')}: {self.describe_lane(lane)} {did} {what}{more}, on {self.quote(line)}; {effect}. {guard}"

        self.add(kind, line, None, memory, make)

    def report_fresh(self, memory, a, hit, m, line) -> None:
        """Lanes read memory that nothing has written."""
        lanes = hit.any(axis=0) if np.ndim(hit) == 2 else np.asarray(hit)
        lanes = np.broadcast_to(lanes, self.local_ids[0].shape)
        if m is not None:
            lanes = lanes & m
        if not lanes.any():
            return
        lane = int(np.argmax(lanes))
        index = np.asarray(a)
        if index.ndim == 2:
            column = lane if index.shape[1] > 1 else 0
            row = int(np.argmax(np.asarray(hit)[:, column]))
            spot = int(index[row, column])
        else:
            spot = int(index if index.ndim == 0 else index[lane])

        def make() -> str:
            what = (
                "Workgroup memory starts with garbage on real devices"
                if memory.info.space == "workgroup"
                else "This buffer starts with garbage"
            )
            return (
                f"uninitialised read: {self.describe_lane(lane)} reads {self.element(memory, spot)} on {self.quote(line)}, "
                f"but nothing has written it. {what}: write every element before reading it."
            )

        self.add("uninitialised-read", line, None, memory, make)

    def report_order(self, memory, line, changed: str) -> None:
        """A result changes when atomics take turns in another order."""

        def make() -> str:
            return (
                f"atomic order: {changed} depends on which invocation comes first at {memory.info.name}, on {self.quote(line)}. "
                "Devices take any order, so this result may differ from run to run. That is fine only if the order does not matter "
                "to whoever reads it."
            )

        self.add("atomic-order", line, None, memory, make)

    def report_overwritten(self, memory, line, changed: str) -> None:
        """An atomicStore in storage meets other workgroups' atomics, and the order of the two decides."""

        def make() -> str:
            return (
                f"overwritten: {changed} depends on which workgroup comes first at {memory.info.name}: the store on "
                f"{self.quote(line)} may happen after other workgroups have added to it already, and no barrier waits for "
                "another workgroup. Have the buffer cleared before the launch, or by a launch of its own."
            )

        self.add("overwritten", line, None, memory, make)

    def report_subgroup(self, name: str, lane: int, away: int, line: int) -> None:
        """Only part of a subgroup reaches an operation."""

        def make() -> str:
            return (
                f"divergent subgroup: {self.describe_lane(lane)} reaches {name}() on {self.quote(line)}, but invocation "
                f"{_triple(axis[away] for axis in self.local_ids)} of the same subgroup does not: it returned, left the loop "
                "or took another branch. Browsers refuse such a kernel, and devices differ in what they compute: let every "
                "invocation call it, and give those without data a value that changes nothing."
            )

        self.add("divergent-subgroup", line, None, None, make)

    def report_move(self, name: str, lanes: np.ndarray, line: int) -> None:
        """Lanes ask for the value of an invocation that is not there."""
        lane = int(np.argmax(lanes))

        def make() -> str:
            return (
                f"subgroup read: {self.describe_lane(lane)} asks {name}() on {self.quote(line)} for the value of an invocation "
                "that is outside its subgroup or takes no part; what it gets differs by device. Compare the index with "
                "subgroup_size, and use the result only where it is inside."
            )

        self.add("subgroup-read", line, None, None, make)

    def report_barrier(self, name: str, active: np.ndarray, line: int) -> None:
        """Only part of a workgroup reaches a barrier; `active` is the lanes of one workgroup that do, others that do not."""
        there = int(np.argmax(active))

        def make() -> str:
            group = self.group_numbers == self.group_numbers[there]
            away = int(np.argmax(group & ~active))
            return (
                f"divergent barrier: {self.describe_lane(there)} waits at {name}() on {self.quote(line)}, but invocation "
                f"{_triple(axis[away] for axis in self.local_ids)} of the same workgroup does not come: it returned, left the loop "
                "or took another branch. Every invocation of a workgroup must reach the barrier: move it out of the if, or guard "
                "the work and not the barrier."
            )

        self.add("divergent-barrier", line, None, None, make)
