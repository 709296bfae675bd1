"""Counted work of a run: exact, and the same on every machine.

A group of 32 neighbouring invocations of a workgroup stands for the hardware's unit of execution. Global memory
moves in transactions of 128 bytes per group; workgroup memory has 32 banks of 4 bytes, and a group that asks one
bank for several words takes as many turns.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from gradschool.wgsl.errors import Source

GROUP = 32
TRANSACTION_BYTES = 128
BANKS = 32


@dataclass(slots=True)
class LineCost:
    """Work of one source line, summed over all invocations.

    Attributes:
        executions: Invocations that ran it, counted each time.
        lane_slots: Lanes of the groups of 32 that ran it; executions / lane_slots is the share of lanes in use.
        ops: Arithmetic operations, integer ones too.
        flops: Arithmetic operations on floats; a fused multiply-add is two.
        loads: Loads from storage buffers, one per invocation whatever their width.
        load_bytes: Bytes of those loads.
        stores: Stores to storage buffers.
        store_bytes: Bytes of those stores.
        transactions: 128-byte transactions of those loads and stores.
        atomics: Atomic operations, in any memory.
        workgroup_loads: Loads from workgroup memory.
        workgroup_stores: Stores to workgroup memory.
        bank_conflicts: Extra turns that workgroup memory took.
        barriers: Barriers, counted once per workgroup.
    """

    executions: int = 0
    lane_slots: int = 0
    ops: int = 0
    flops: int = 0
    loads: int = 0
    load_bytes: int = 0
    stores: int = 0
    store_bytes: int = 0
    transactions: int = 0
    atomics: int = 0
    workgroup_loads: int = 0
    workgroup_stores: int = 0
    bank_conflicts: int = 0
    barriers: int = 0


class Cost:
    """Counts of a run.

    Attributes:
        lines: Work per source line.
        total: Work of the whole run.
        distinct_load_bytes: Bytes of storage buffers that were loaded at least once.
        distinct_store_bytes: Bytes of storage buffers that were stored at least once.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.lines: dict[int, LineCost] = {}
        self.total = LineCost()
        self.distinct_load_bytes = 0
        self.distinct_store_bytes = 0
        self._touched: dict[tuple[str, bool], tuple[np.ndarray, int]] = {}

    @property
    def intensity(self) -> float:
        """Float operations per byte of global traffic."""
        moved = self.total.load_bytes + self.total.store_bytes
        return self.total.flops / moved if moved else 0.0

    @property
    def lane_use(self) -> float:
        """Share of lanes in use, over all statements."""
        return self.total.executions / self.total.lane_slots if self.total.lane_slots else 0.0

    # What generated code and memories call.

    def at(self, line: int) -> LineCost:
        """Counts of a line."""
        if line not in self.lines:
            self.lines[line] = LineCost()
        return self.lines[line]

    def line(self, line: int, m: Any, ops: int, flops: int, run: Any) -> None:
        """Count a statement."""
        row = self.at(line)
        if m is False:
            return
        if m is None:
            active, slots = run.lanes, run.lanes
        else:
            active = int(np.count_nonzero(m))
            slots = int(run.team_sizes[np.logical_or.reduceat(m, run.team_starts)].sum())
        row.executions += active
        row.lane_slots += slots
        row.ops += ops * active
        row.flops += flops * active

    def access(
        self,
        memory: Any,
        a: Any,
        m: Any,
        line: int,
        width: int,
        write: bool,
        atomic: bool = False,
    ) -> None:
        """Count a load, a store or an atomic; a column of indices is one access of a vector."""
        run, space = memory.run, memory.info.space
        if space == "uniform":
            return
        who = run.lane if m is None else np.flatnonzero(m)
        index = np.asarray(a)
        if index.ndim == 0 or index.shape[-1] == 1:
            index = np.broadcast_to(index.reshape(-1, 1), (index.size, len(who)))
        else:
            index = np.atleast_2d(index)[:, who]
        row, teams = self.at(line), run.team_of_lane[who]
        if atomic:
            row.atomics += len(who)
        if space == "workgroup":
            self._workgroup(row, index, teams, write, atomic, run)
        else:
            self._global(row, memory, index, teams, width, write, atomic)

    def _workgroup(self, row: LineCost, index, teams, write: bool, atomic: bool, run: Any) -> None:
        if not atomic:
            if write:
                row.workgroup_stores += index.size
            else:
                row.workgroup_loads += index.size
        for words in index:
            # Lanes that ask for the same word share one turn.
            pairs = np.unique(teams.astype(np.int64) << 32 | words)
            banks = np.bincount((pairs >> 32) * BANKS + (pairs & 0xFFFFFFFF) % BANKS)
            banks = np.pad(banks, (0, -len(banks) % BANKS)).reshape(-1, BANKS)
            turns = banks.max(axis=1)
            row.bank_conflicts += int((turns[turns > 0] - 1).sum())

    def _global(
        self,
        row: LineCost,
        memory: Any,
        index,
        teams,
        width: int,
        write: bool,
        atomic: bool,
    ) -> None:
        granule = memory.info.layout.granule
        n_bytes = index.size * width * granule
        if not atomic:
            if write:
                row.stores += index.shape[1]
                row.store_bytes += n_bytes
            else:
                row.loads += index.shape[1]
                row.load_bytes += n_bytes
        segments = index.astype(np.int64) * granule // TRANSACTION_BYTES
        row.transactions += len(np.unique((teams.astype(np.int64) << 32 | segments).ravel()))
        for kind in (False, True) if atomic else (write,):
            key = (memory.info.name, kind)
            if key not in self._touched:
                self._touched[key] = (
                    np.zeros(len(memory.data) * 4 // granule, bool),
                    granule,
                )
            flags = self._touched[key][0]
            for k in range(width):
                flags[index + k] = True

    def barrier(self, line: int, m: Any, run: Any, kind: Any = "workgroup") -> None:
        """Count a barrier."""
        groups = run.groups if m is None else int(m.reshape(run.groups, run.width).any(axis=1).sum())
        self.at(line).barriers += groups

    def finish(self, run: Any) -> None:
        """Sum up."""
        self.total = LineCost()
        for row in self.lines.values():
            for f in fields(LineCost):
                setattr(
                    self.total,
                    f.name,
                    getattr(self.total, f.name) + getattr(row, f.name),
                )
        sums = {False: 0, True: 0}
        for (_, write), (flags, granule) in self._touched.items():
            sums[write] += int(np.count_nonzero(flags)) * granule
        self.distinct_load_bytes, self.distinct_store_bytes = sums[False], sums[True]
