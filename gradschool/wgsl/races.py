"""Data races, found from logs of who touched which word.

Loads and stores are only appended to a log. At a barrier the log is judged at once: if nothing was stored there
is nothing to judge; otherwise the stores are scattered into a shadow of last writers and every load is compared
with it. Two invocations race if they touch the same word with no barrier of the right kind between, and at least
one stores; stores of the same value by several invocations, which nobody loads, are tolerated.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

MAX_PENDING = 1 << 22


class Access(NamedTuple):
    """One logged load or store of a statement; `bits` is None for a load."""

    index: Any
    mask: Any
    line: int
    bits: np.ndarray | None
    width: int


class Silent:
    """A log that keeps nothing."""

    def read(self, a, m, line, width):
        """Ignore a load."""

    def write(self, a, m, line, val, width):
        """Ignore a store."""

    def close(self, lanes):
        """Ignore a barrier."""

    def finish(self):
        """Ignore the end."""


class Shadow:
    """Per word: who stored last, what and on which line, and who loaded. Agents count from 1."""

    def __init__(self, words: int, report: Any) -> None:
        self.words = words
        self.report = report
        self.writer = np.zeros(words, np.int32)
        self.writer_line = np.zeros(words, np.int32)
        self.bits = np.zeros(words, np.uint32)
        self.writer2 = np.zeros(words, np.int32)
        self.reader = np.zeros(words, np.int32)
        self.reader_line = np.zeros(words, np.int32)
        self.reader2 = np.zeros(words, np.int32)
        self.stored = self.loaded = self.shared = False

    def clear(self) -> None:
        """Start a new phase."""
        if self.stored:
            self.writer.fill(0)
            self.writer2.fill(0)
        if self.loaded:
            self.reader.fill(0)
            self.reader2.fill(0)
        self.stored = self.loaded = self.shared = False

    def store(self, index, agent, bits, line) -> None:
        """Judge and record stores."""
        old = self.writer[index]
        other = (old != 0) & (old != agent)
        if other.any():
            clash = other & (self.bits[index] != bits)
            self._found(clash, index, agent, old, line, self.writer_line[index], True, True)
            self.writer2[index[other]] = old[other]
            self.shared = True
        if self.loaded:
            for readers in (self.reader, self.reader2):
                seen = readers[index]
                clash = (seen != 0) & (seen != agent)
                self._found(
                    clash,
                    index,
                    agent,
                    seen,
                    line,
                    self.reader_line[index],
                    True,
                    False,
                )
        self.writer[index] = agent
        self.bits[index] = bits
        self.writer_line[index] = line
        self.stored = True
        now = self.writer[index]
        lost = now != agent
        if lost.any():
            clash = lost & (self.bits[index] != bits)
            self._found(
                clash,
                index,
                agent,
                now,
                line,
                np.broadcast_to(line, index.shape),
                True,
                True,
            )
            self.writer2[index[lost]] = agent[lost]
            self.shared = True

    def load(self, index, agent, line, keep: bool) -> None:
        """Judge loads, and record them if later stores may clash with them."""
        if self.stored:
            old = self.writer[index]
            clash = (old != 0) & (old != agent)
            if self.shared:
                second = self.writer2[index]
                also = (second != 0) & (second != agent)
                old = np.where(clash, old, second)
                clash = clash | also
            self._found(clash, index, agent, old, line, self.writer_line[index], False, True)
        if not keep:
            return
        old = self.reader[index]
        self.reader[index] = agent
        self.reader_line[index] = line
        self.loaded = True
        lost = self.reader[index] != agent
        if lost.any():
            self.reader2[index[lost]] = agent[lost]
        earlier = ~lost & (old != 0) & (old != agent)
        if earlier.any():
            self.reader2[index[earlier]] = old[earlier]

    def _found(self, clash, index, agent, other, line, other_line, stores, other_stores) -> None:
        if not clash.any():
            return
        k = int(np.argmax(clash))
        self.report(
            int(index[k]),
            int(agent[k]),
            int(other[k]),
            int(line),
            int(other_line[k]),
            stores,
            other_stores,
        )


class RaceLog:
    """Log of one variable; `across` also judges workgroups against each other (storage)."""

    def __init__(self, memory: Any, run: Any, words: int, across: bool) -> None:
        self.memory = memory
        self.run = run
        self.words = words
        self.across = across
        self.records: list[Access] = []
        self.pending = 0
        self.stores = False
        self.shadow: Shadow | None = None
        self.flushed = False
        self.wide: Shadow | None = None
        self.batches: list[tuple] = []
        self.wide_pending = 0

    def read(self, a, m, line, width):
        """Log a load."""
        self.records.append(Access(a, m, line, None, width))
        self._grow(a)

    def write(self, a, m, line, val, width):
        """Log a store."""
        self.records.append(Access(a, m, line, val, width))
        self.stores = True
        self._grow(a)

    def _grow(self, a) -> None:
        self.pending += self.run.lanes if isinstance(a, int) else a.size
        if self.pending > MAX_PENDING:
            self._judge(self.records, partial=True)
            self._forget(self.records)

    def _expand(self, r: Access, lanes: np.ndarray | None):
        """Flat word indices, agents and bits of the lanes that took part."""
        m = r.mask
        if lanes is not None:
            m = lanes if m is None else m & lanes
        who = self.run.lane if m is None else np.flatnonzero(m)
        index = np.asarray(r.index)
        if index.ndim == 2 and index.shape[1] > 1:
            index = index[:, who]
        elif index.ndim == 1:
            index = index[who]
        rows = index.shape[0] if index.ndim == 2 else 1
        index = np.broadcast_to(index.reshape(rows, -1), (rows, len(who)))
        bits = None
        if r.bits is not None:
            bits = r.bits if r.bits.ndim == 2 else r.bits.reshape(1, -1)
            if bits.shape[1] > 1:
                bits = bits[:, who]
            bits = np.broadcast_to(bits, (rows, len(who)))
            kind = {2: np.uint16, 4: np.uint32}[bits.dtype.itemsize]
            bits = np.ascontiguousarray(bits).view(kind).astype(np.uint32).ravel()
        agents = np.broadcast_to(who, (rows, len(who))).ravel()
        index = index.ravel()
        inside = index < self.words
        if not inside.all():
            index, agents = index[inside], agents[inside]
            bits = bits[inside] if bits is not None else None
        if r.width > 1:
            index = np.concatenate([index, index + 1])
            agents = np.concatenate([agents, agents])
            bits = np.concatenate([bits, bits]) if bits is not None else None
        return index, agents, bits

    def _judge(
        self,
        records: list[Access],
        lanes: np.ndarray | None = None,
        partial: bool = False,
    ) -> None:
        """Judge invocations of one workgroup against each other."""
        if not partial and not self.flushed and not self.stores:
            return
        if self.shadow is None:
            self.shadow = Shadow(self.words, self._report_lanes)
        for wanted in (True, False):
            for r in records:
                if (r.bits is not None) is not wanted:
                    continue
                index, agents, bits = self._expand(r, lanes)
                if not len(index):
                    continue
                if wanted:
                    self.shadow.store(index, (agents + 1).astype(np.int32), bits, r.line)
                else:
                    self.shadow.load(index, (agents + 1).astype(np.int32), r.line, partial)
        if partial:
            self.flushed = True

    def _forget(self, records: list[Access]) -> None:
        if self.across:
            self._remember(records)
        self.records = []
        self.pending = 0

    def close(self, lanes: np.ndarray | None) -> None:
        """A barrier was passed by these lanes (None: all)."""
        if lanes is None:
            self._judge(self.records)
            self._forget(self.records)
            if self.shadow is not None:
                self.shadow.clear()
            self.stores = self.flushed = False
            return
        self._judge(self.records, lanes)
        if self.shadow is not None:
            self.shadow.clear()
        if self.across:
            self._remember(
                [r._replace(mask=lanes if r.mask is None else r.mask & lanes) for r in self.records]
            )
        rest = ~lanes
        self.records = [r._replace(mask=rest if r.mask is None else r.mask & rest) for r in self.records]
        self.records = [r for r in self.records if r.mask.any()]

    def finish(self) -> None:
        """End of a batch of workgroups."""
        self.close(None)
        if self.across:
            self._settle()

    # Workgroups against each other.

    def _remember(self, records: list[Access]) -> None:
        if not self.run.many_groups:
            return
        groups = self.run.group_numbers
        for r in records:
            self.batches.append((r, groups, self.run))
            self.wide_pending += self.run.lanes
        if self.wide_pending > MAX_PENDING:
            self._settle()

    def _settle(self) -> None:
        """Judge everything remembered; loads stay recorded because later workgroups may store."""
        if not self.batches:
            return
        if self.wide is None:
            self.wide = Shadow(self.words, self._report_groups)
        for wanted in (True, False):
            for r, groups, _ in self.batches:
                if (r.bits is not None) is not wanted:
                    continue
                index, agents, bits = self._expand(r, None)
                if not len(index):
                    continue
                agents = (groups[agents] + 1).astype(np.int32)
                if wanted:
                    self.wide.store(index, agents, bits, r.line)
                else:
                    self.wide.load(index, agents, r.line, True)
        self.batches = []
        self.wide_pending = 0

    # Reports.

    def _report_lanes(self, word, agent, other, line, other_line, stores, other_stores) -> None:
        run = self.run
        across = bool(run.group_numbers[agent - 1] != run.group_numbers[other - 1])
        a, b = run.describe_lane(agent - 1), run.describe_lane(other - 1)
        run.report_race(self.memory, word, a, b, line, other_line, stores, other_stores, across)

    def _report_groups(self, word, agent, other, line, other_line, stores, other_stores) -> None:
        run = self.run
        a, b = run.describe_group(agent - 1), run.describe_group(other - 1)
        run.report_race(self.memory, word, a, b, line, other_line, stores, other_stores, True)
