"""One run of an entry point: batches of workgroups, barriers, the step budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gradschool.wgsl.cost import GROUP
from gradschool.wgsl.findings import Reporter
from gradschool.wgsl.masks import Masks
from gradschool.wgsl.memory import POISON, TRAP, Memory, PrivateMemory, WorkgroupMemory
from gradschool.wgsl.program import Info, Program
from gradschool.wgsl.races import RaceLog, Silent
from gradschool.wgsl.subgroups import Subgroups

# Lanes per batch: large enough that NumPy's cost per call vanishes, small enough for the cache.
BATCH_LANES = 1 << 14
MAX_PRIVATE_CELLS = 1 << 26
SUBGROUP_SIZE = 32


class OutOfSteps(Exception):
    """The step budget is spent."""


@dataclass(slots=True)
class BufferIn:
    """A buffer for a run.

    Attributes:
        data: Its bytes, a 1-D uint8 array; it is copied.
        logical_bytes: Bytes the contract covers; writes past them are findings, reads give poison. None: all.
        undefined: Its contents are garbage until written.
    """

    data: np.ndarray
    logical_bytes: int | None = None
    undefined: bool = False


class Run(Masks, Reporter, Subgroups):
    """State of a run; generated code calls its methods."""

    def __init__(
        self,
        program: Program,
        size,
        workgroups,
        max_steps: int,
        detect: bool,
        cost: Any,
        subgroup_size: int = SUBGROUP_SIZE,
    ) -> None:
        Reporter.__init__(self)
        self.program = program
        self.source = program.source
        self.size = size
        self.workgroups = workgroups
        self.detect = detect
        self.cost = cost
        self.subgroup_size = subgroup_size
        self.max_steps = max_steps
        self.steps = 0
        self.total_steps = 0
        self.memories: dict[str, Any] = {}
        self.inputs: dict[str, Any] = {}
        total = workgroups[0] * workgroups[1] * workgroups[2]
        self.many_groups = total > 1
        self.backwards = False  # atomics and workgroups take turns in reverse
        # Workgroups end one after the other: what one does first, others have done before it.
        self.one_by_one = False
        self.ordered: dict[Any, int] = {}  # memories whose atomics gave a value back, and a line that did
        self.stored: dict[Any, int] = {}  # storage that atomicStore overwrote, and a line that did

    # Buffers.

    def bind(self, info: Info, given: BufferIn) -> None:
        """Copy a buffer into memory the kernel can see."""
        granule = info.layout.granule
        size = len(given.data) // granule
        words = -(-size * granule // 4)
        data = np.full(words + TRAP, POISON, np.uint32)
        if not given.undefined:
            data.view(np.uint8)[: size * granule] = given.data[: size * granule]
        limit = size if given.logical_bytes is None else min(size, given.logical_bytes // granule)
        if limit < size:
            data.view(np.uint8)[limit * granule : size * granule] = np.full(
                words + 1, POISON, np.uint32
            ).view(np.uint8)[: (size - limit) * granule]
        memory = Memory(info, data, size, limit, self)
        memory.trap = words * 4 // granule
        self.memories[info.name] = memory
        granules = len(data) * 4 // granule
        if self.detect:
            watched = info.space == "storage" and info.access == "read_write"
            memory.log = (
                RaceLog(memory, self, size, True) if watched else (Silent() if given.undefined else None)
            )
            if given.undefined:
                memory.fresh = np.zeros(granules, bool)
                memory.fresh[:limit] = True
            if watched:
                memory.written = np.zeros(granules, bool)
        if self.cost is not None:
            memory.log = memory.log or Silent()
            memory.cost = self.cost

    def _workgroup(self, info: Info) -> None:
        cells = info.layout.size(info.ty)
        memory = WorkgroupMemory(info, cells, self)
        if self.detect:
            memory.log = RaceLog(memory, self, memory.trap, False)
            memory.fresh = np.zeros(len(memory.data), bool)
            memory.fresh[: memory.trap] = True
        if self.cost is not None:
            memory.log = memory.log or Silent()
            memory.cost = self.cost
        self.memories[info.name] = memory

    def local(self, info: Info, cells: int) -> PrivateMemory:
        """Memory of a function's variable; generated code calls this."""
        return PrivateMemory(info, cells, self)

    def _private(self, info: Info) -> None:
        memory = PrivateMemory(info, info.layout.size(info.ty), self)
        if info.init is not None:
            rows = memory.data.reshape(-1, self.lanes)
            for k, bits in enumerate(_cells(info.init)):
                rows[k] = bits
        self.memories[info.name] = memory

    # Execution.

    def execute(self) -> None:
        """Run all workgroups."""
        nx, ny, nz = self.workgroups
        total, width = nx * ny * nz, self.size[0] * self.size[1] * self.size[2]
        per_batch = 1 if self.one_by_one else max(1, BATCH_LANES // width)
        starts = range(0, total, per_batch)
        for start in reversed(starts) if self.backwards else starts:
            numbers = np.arange(start, min(total, start + per_batch))
            self._batch(numbers, width)
            self.total_steps += self.steps

    def _batch(self, numbers: np.ndarray, width: int) -> None:
        self._lanes(numbers, width)
        self.steps = 0
        for info in self.program.infos.values():
            if info.space == "workgroup":
                self._workgroup(info)
            elif info.space == "private":
                self._private(info)
        self.program.entry(self, None)
        for memory in self.memories.values():
            if memory.log is not None:
                memory.log.finish()

    def _lanes(self, numbers: np.ndarray, width: int) -> None:
        nx, ny, _ = self.workgroups
        sx, sy, sz = self.size
        self.groups, self.width = len(numbers), width
        self.lanes = self.groups * width
        self.lane = np.arange(self.lanes)
        self.group_of_lane = np.repeat(np.arange(self.groups), width)
        self.group_numbers = np.repeat(numbers, width)
        if self.cost is not None:
            # Groups of 32 neighbouring lanes, as hardware runs them; a workgroup's last one may be smaller.
            teams = -(-width // GROUP)
            self.team_of_lane = self.group_of_lane * teams + np.tile(np.arange(width) // GROUP, self.groups)
            starts = np.arange(self.groups)[:, None] * width + np.arange(teams)[None, :] * GROUP
            self.team_starts = starts.ravel()
            self.team_sizes = np.diff(np.r_[self.team_starts, self.lanes])
        index = np.arange(width, dtype=np.uint32)
        local = (index % sx, index // sx % sy, index // (sx * sy))
        self.local_ids = tuple(np.tile(axis, self.groups) for axis in local)  # type: ignore
        group = (numbers % nx, numbers // nx % ny, numbers // (nx * ny))
        group_lanes, locals_, globals_ = [], [], []
        for k, s in enumerate((sx, sy, sz)):
            # An axis of extent 1 stays one number for all lanes, which keeps its arithmetic free.
            same = self.workgroups[k] == 1 or self.groups == 1
            g = np.uint32(group[k][0]) if same else np.repeat(group[k].astype(np.uint32), width)
            i = np.uint32(0) if s == 1 else self.local_ids[k]
            group_lanes.append(g)
            locals_.append(i)
            globals_.append(g * np.uint32(s) + i)
        self.inputs = {
            "local_invocation_id": tuple(locals_),
            "workgroup_id": tuple(group_lanes),
            "global_invocation_id": tuple(globals_),
            "num_workgroups": tuple(np.uint32(n) for n in self.workgroups),
            "local_invocation_index": np.tile(index, self.groups) if width > 1 else np.uint32(0),
            "subgroup_size": np.uint32(self.subgroup_size),
            "subgroup_invocation_id": np.tile(index % np.uint32(self.subgroup_size), self.groups),
        }
        self.team = None

    def tick(self, line: int) -> None:
        """Count an iteration of a loop or a call."""
        self.steps += 1
        if self.steps > self.max_steps:
            self.add("step-budget", line, None, None, lambda: self._endless(line))
            raise OutOfSteps

    def _endless(self, line: int) -> str:
        return (
            f"step budget: the run had not ended after {self.max_steps} loop iterations and calls, so it was stopped at "
            f"{self.quote(line)}. It may never end: check that the loop's condition can become false and that its counter changes."
        )

    def barrier(self, kind: str, m: Any, line: int) -> None:
        """Wait at `workgroupBarrier` or `storageBarrier`."""
        if self.cost is not None:
            self.cost.barrier(line, m, self, kind)
        passed = None
        if m is not None:
            there = m.reshape(self.groups, self.width)
            full = there.all(axis=1)
            if self.detect:
                split = there.any(axis=1) & ~full
                if split.any():
                    self.report_barrier(f"{kind}Barrier", m & np.repeat(split, self.width), line)
            passed = None if full.all() else m
        if not self.detect:
            return
        for memory in self.memories.values():
            if memory.info.space != kind or memory.log is None:
                continue
            memory.log.close(passed)
            if kind == "workgroup" and memory.fresh is not None and not memory.fresh.any():
                memory.fresh = None

    def uniform_value(self, value: Any, m: Any) -> Any:
        """Result of workgroupUniformLoad: one number when there is one workgroup."""
        if isinstance(value, tuple) or self.groups > 1 or value.ndim != 1:
            return value
        return value[0 if m is None else int(np.argmax(m))]


def _cells(value: Any):
    """Bits of the scalars of a constant, in order of cells."""
    if isinstance(value, tuple):
        for part in value:
            yield from _cells(part)
        return
    for x in np.asarray(value).ravel():
        if x.dtype == np.bool_:
            yield np.uint32(x)
        elif x.dtype == np.float16:
            yield np.float32(x).view(np.uint32)
        else:
            yield x.view(np.uint32)
